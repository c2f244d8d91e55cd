"""The moment in which a database hands over to another: requests wait, and none is refused."""

from cutover.switching.end import DatabaseEnd, DmsDrain, Drain, NativeDrain
from cutover.switching.record import SwitchRecord
from cutover.switching.switch import GivenUpError, Limits, Parts, Switch, Way, Workers, recover

__all__ = [
    "DatabaseEnd",
    "DmsDrain",
    "Drain",
    "GivenUpError",
    "Limits",
    "NativeDrain",
    "Parts",
    "Switch",
    "SwitchRecord",
    "Way",
    "Workers",
    "recover",
]
