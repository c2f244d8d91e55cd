"""Negative controls: a protection is taken away from the product, and the simulation has to notice.

Where its absence would show by bad luck alone, the schedules of the control make the bad luck.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from cutover.database_move.switching import Switching
from cutover.fence import GrantsFence
from cutover.switching import DmsDrain, NativeDrain
from cutover.table_lease import TableLease

WITHOUT = {
    "fence": "nobody is kept from writing to the database that is left",
    "lag gate": "nobody waits until the other database has applied everything, and nobody compares",
    "epoch": "a runner whose lease is another's goes on",
    "fsync": "what is written to the journal need not be on the disk",
}
"""What may be taken away, and what that means."""
LAG_SECONDS = 3.0


@contextmanager
def taken_away(world: Any, what: str) -> Iterator[None]:
    """Inside, the cutover does without."""

    def nothing(*_: Any, **__: Any) -> None:
        return None

    match what:
        case "":
            yield
        case "fsync":
            world.disk.fsyncs = False
            yield
        case "epoch":
            with mock.patch.object(TableLease, "ensure", nothing):
                yield
        case "fence":
            with (
                mock.patch.object(GrantsFence, "refuse_writes", nothing),
                mock.patch.object(GrantsFence, "end_connections", nothing),
            ):
                yield
        case "lag gate":
            # with hardly any lag all has been applied by then; and the comparison would give the switch up
            world.pair.lag = world.dms.lag = LAG_SECONDS
            with (
                mock.patch.object(Switching, "_compare", lambda *_: {}),
                mock.patch.object(NativeDrain, "wait", nothing),
                mock.patch.object(DmsDrain, "wait", nothing),
            ):
                yield
        case _:
            raise ValueError(f"there is no control {what!r}: expected {', '.join(WITHOUT)}")
