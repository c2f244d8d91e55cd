"""What the cutover asks of a replication, whatever carries it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["native", "dms"]


@dataclass(frozen=True)
class ReplicationState:
    """What a replication says about itself."""

    state: Literal["absent", "stopped", "running", "failed"]
    detail: str
    """In its own words: what it does, or what went wrong."""
    lag_seconds: float | None = None
    """As it says itself, which is coarse; `measure_lag` is exact. None: it does not say."""

    @property
    def healthy(self) -> bool:
        """Whether it replicates."""
        return self.state == "running"


class Replication(Protocol):
    """One direction of replication, from an origin to a replica. Every method raises StepError."""

    @property
    def kind(self) -> Kind:
        """What carries it."""

    def set_up(self) -> None:
        """Makes it ready to be started; may be repeated."""

    def start(self) -> None:
        """Starts it where it stopped, or at the place that `set_up` found; may be repeated."""

    def stop(self) -> None:
        """Stops it; may be repeated."""

    def state(self) -> ReplicationState:
        """What it says about itself now."""

    def position(self) -> str:
        """Up to where the origin has written: taken once nobody writes there any more."""

    def wait_applied(self, position: str, seconds: float) -> None:
        """Waits until the replica has applied everything up to a position of the origin."""

    def measure_lag(self, seconds: float) -> float:
        """Seconds from now until the replica has what the origin holds now."""

    def observed_lag(self, seconds: float) -> float | None:
        """The same for whoever looks on: writes nothing. None: it does not say."""

    def retire(self) -> None:
        """Ends it for good: the replica follows nobody in this direction any more; may be repeated."""
