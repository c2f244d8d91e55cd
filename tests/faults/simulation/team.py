"""The lease of a team: the real one over a table in memory; its renewals and its guard in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cutover.errors import LeaseError, TableError
from cutover.lease import Holder
from cutover.table_lease import RENEW, Lent, TableLease
from tests.faults.simulation.kernel import Kernel, Life
from tests.faults.simulation.outside import Call

if TYPE_CHECKING:
    from tests.faults.simulation.simulated import Simulated

SECONDS = 30.0


class Entry:
    """The lease's entry in a table with conditional writes. Implements LeaseTable."""

    def __init__(self, world: Simulated) -> None:
        self._world = world
        self._lent: Lent | None = None

    def read(self) -> Lent | None:
        found: Lent | None = self._world.outside.call(
            Call("table", "read", writes=False), lambda: self._lent, error=TableError
        )
        return found

    def write(self, fresh: Lent, before: Lent | None) -> bool:
        def put() -> bool:
            if self._lent != before:
                return False
            self._lent = fresh
            return True

        done: bool = self._world.outside.call(Call("table", "write", writes=False), put, error=TableError)
        return done


class Tending:
    """Renews in a task of the holder's process; a guard outside of it ends that in time."""

    def __init__(self, kernel: Kernel, life: Life, sleep: Callable[[float], None], *, guarded: bool) -> None:
        self._kernel, self._life, self._sleep, self._guarded = kernel, life, sleep, guarded
        self._deadline = float("inf")
        self._ended = False

    def start(self, lease: TableLease, holder: Holder) -> None:
        def renewing() -> None:
            while True:
                self._sleep(RENEW * SECONDS)
                if self._ended:
                    return
                lease.renew()
                try:
                    lease.ensure()
                except LeaseError:
                    return

        self._kernel.spawn(self._life, renewing)

    def until(self, deadline: float) -> None:
        self._deadline = deadline

        def look() -> None:
            if self._guarded and not self._ended and self._kernel.now >= self._deadline and self._life.alive:
                self._kernel.kill(self._life)

        self._kernel.at(deadline, look)

    def lost(self, holder: Holder) -> None:
        """A simulated runner has no children."""

    def stop(self, holder: Holder) -> None:
        self._ended = True


def team_lease(world: Simulated, life: Life, last_epoch: int, *, guarded: bool) -> TableLease:
    """A lease for a runner."""
    clock = world.simulated_clock
    tending = Tending(world.kernel, life, clock.sleep, guarded=guarded)
    return TableLease(world.entry, clock, last_epoch, seconds=SECONDS, tending=tending)
