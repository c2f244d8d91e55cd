"""The lease for runners on several machines: an entry in a table that its holder renews.

Nobody's time of day decides anything. A holder counts from before its last renewal was sent; whoever wants
the lease counts from after it saw that renewal, and so counts longer. With S seconds of the lease, of a clock
that only grows:

    S/6     the holder renews
    2/3 S   a holder that could not renew counts it as lost: it starts nothing more, and ends its children
    5/6 S   its guard, a process of its own, ends it and its children, should it have been stopped
    S       another may take it

Where the holder before ran on this machine, the next one ends it and its children by itself. What a call that
was under way elsewhere leaves behind, the next runner finds by looking: a broken-off flip is repaired, its
stack's lock cancelled, before anything goes on.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Protocol, Self

from cutover.children import end_children, kill, mark, stopped
from cutover.clock import BootClock, Clock
from cutover.errors import LeaseError, TableError
from cutover.lease import Holder, busy, new_holder, same
from cutover.lease_guard import Guard

RENEW, LOST, GUARD = 1 / 6, 2 / 3, 5 / 6
"""Shares of the lease's seconds, see above."""
SECONDS = 30.0


@dataclass(frozen=True)
class Lent:
    """The table's entry."""

    holder: Holder
    beat: int
    """Grows with each renewal."""
    seconds: float
    """How long the holder may be silent."""
    released: bool = False
    """Whether it was given back."""


class LeaseTable(Protocol):
    """Where the entry is kept. Each method raises TableError where the table cannot be asked."""

    def read(self) -> Lent | None:
        """The entry as it is now, no older."""

    def write(self, fresh: Lent, before: Lent | None) -> bool:
        """Writes the entry where it still is as it was `before`, and says whether it was."""


class Tending(Protocol):
    """What is kept going while the lease is held."""

    def start(self, lease: TableLease, holder: Holder) -> None:
        """Begins it. Raises LeaseError."""

    def until(self, deadline: float) -> None:
        """The holder is to be ended then, by the monotonic clock, unless it says so again."""

    def lost(self, holder: Holder) -> None:
        """Ends what the holder started."""

    def stop(self, holder: Holder) -> None:
        """Ends it. Raises LeaseError."""


class TableLease:
    """A lease in a table. Use it as a context manager; `epoch` is known inside. Implements lease.Lease."""

    def __init__(
        self,
        table: LeaseTable,
        clock: Clock,
        last_epoch: int = 0,
        *,
        seconds: float = SECONDS,
        tending: Tending | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`last_epoch`: the highest that the journal knows. `tending`: a Keeper, unless a test tends it."""
        self.holder: Holder | None = None
        self._table = table
        self._clock = clock
        self._last_epoch = last_epoch
        self._seconds = seconds
        self._tending = tending if tending is not None else Keeper(seconds)
        self._say = say
        self._lent: Lent | None = None
        self._renewed = 0.0
        self._gone = ""
        """Why it was lost; for good, even if the entry would still be ours."""
        self._seen: tuple[tuple[str, int], float] | None = None
        self._lock = threading.Lock()

    @property
    def epoch(self) -> int:
        """Grows with each holder. Raises LeaseError outside the lease."""
        if self.holder is None:
            raise LeaseError("the lease is not held")
        return self.holder.epoch

    def ensure(self) -> None:
        """See lease.Lease: asks the clock and not the table."""
        if self.holder is None:
            raise LeaseError("the lease is not held")
        silent = self._clock.monotonic() - self._renewed
        if not self._gone and silent >= LOST * self._seconds:
            self._lose(f"it could not be renewed for {silent:.0f} s")
        if self._gone:
            raise LeaseError(f"the lease was lost: {self._gone}. Nothing more was begun")

    def __enter__(self) -> Self:
        """Takes the lease, once the holder before has given it back, has ended, or was silent for long.

        Raises:
            LeaseError: another runner holds it, or the table cannot be used.
        """
        try:
            before = self._turn()
            if before is not None:
                self._end(before)
                self._last_epoch = max(self._last_epoch, before.holder.epoch)
            holder = new_holder(self._last_epoch + 1, uuid.uuid4().hex, self._clock)
            fresh = Lent(holder, 0, self._seconds)
            begun = self._clock.monotonic()
            # an answer that was lost is found by looking: a second try of ours does not fit its own first
            if not self._table.write(fresh, before) and self._table.read() != fresh:
                found = self._table.read()
                raise busy(found.holder if found else None, "the lease")
        except TableError as error:
            raise LeaseError(f"the lease cannot be taken: {error}") from error
        self._lent, self._renewed, self._gone = fresh, begun, ""
        self.holder = holder
        try:
            self._tending.start(self, holder)
            self._tending.until(begun + GUARD * self._seconds)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        holder, self.holder = self.holder, None
        if holder is None:
            return
        try:
            self._tending.stop(holder)
        except LeaseError as trouble:
            self._say(f"{trouble}; the lease lapses by itself")
            return
        with self._lock:
            if self._lent is None or self._gone:
                return
            try:
                self._table.write(replace(self._lent, released=True), self._lent)
            except TableError as trouble:
                self._say(f"the lease could not be given back and lapses by itself: {trouble}")

    def renew(self) -> None:
        """Says that the holder lives. A table that cannot be asked is asked again, until it is too late."""
        with self._lock:
            if self.holder is None or self._lent is None or self._gone:
                return
            begun = self._clock.monotonic()
            fresh = replace(self._lent, beat=self._lent.beat + 1)
            try:
                if not self._table.write(fresh, self._lent):
                    found = self._table.read()
                    if found is None or found.holder != self.holder or found.released:
                        whose = "nobody's" if found is None or found.released else str(found.holder)
                        self._lose(f"it is {whose} now")
                        return
                    self._lent = found  # an earlier renewal of ours, whose answer was lost
                    return
            except TableError:
                return  # the next one; `ensure` says when it is too late
            self._lent = fresh
            if begun - self._renewed < LOST * self._seconds:
                self._renewed = begun
                self._tending.until(begun + GUARD * self._seconds)

    def held(self) -> bool:
        """See lease.Lease. A silent holder counts until it was seen to be silent for as long as it may be."""
        found = self._read()
        if found is None or _free(found):
            return False
        now, key = self._clock.monotonic(), (found.holder.id, found.beat)
        if self._seen is None or self._seen[0] != key:
            self._seen = (key, now)
        return now - self._seen[1] < found.seconds

    def holder_here(self) -> int | None:
        """See lease.Lease."""
        found = self._read()
        if found is None or _free(found) or not found.holder.here:
            return None
        return found.holder.pid

    def last(self) -> Holder | None:
        """See lease.Lease."""
        found = self._read()
        return found.holder if found else None

    def unlock(self, holder_id: str) -> Holder:
        """See lease.Lease. The holder is watched for two renewals: one that renews is not lost."""
        found = self._read()
        if found is None or found.released:
            raise LeaseError("nobody holds the lease: there is nothing to unlock")
        same(found.holder, holder_id)
        until = self._clock.monotonic() + 2 * RENEW * found.seconds
        while not _free(found) and not (found.holder.here and stopped(found.holder.pid)):
            if self._clock.monotonic() >= until:
                break
            self._say(f"watching whether {found.holder} is alive")
            self._clock.sleep(min(1.0, RENEW * found.seconds))
            now = self._read()
            if now is None or now != found:
                raise LeaseError(
                    f"{found.holder} is alive: it has just renewed the lease. Stop it there, with Ctrl-C"
                )
        self._end(found)
        try:
            if not self._table.write(replace(found, released=True), found):
                raise LeaseError("the lease has changed hands meanwhile; look at `cutover status`")
        except TableError as error:
            raise LeaseError(f"the lease cannot be unlocked: {error}") from error
        return found.holder

    def _turn(self) -> Lent | None:
        """Waits until the lease may be taken; the entry as it is then."""
        first = found = self._table.read()
        since = self._clock.monotonic()
        while found is not None and not _free(found):
            if first is None or (found.holder.id, found.beat) != (first.holder.id, first.beat):
                raise busy(found.holder, "the lease")
            silent = self._clock.monotonic() - since
            if silent >= found.seconds:
                break
            self._say(
                f"waiting for {found.holder} (lease {found.holder.id}): silent for {silent:.0f} s, counts as "
                f"lost after {found.seconds:g} s"
            )
            self._clock.sleep(min(1.0, found.seconds / 12))
            found = self._table.read()
        return found

    def _end(self, before: Lent) -> None:
        """Where the holder before ran here, ends it, should it only be stopped, and what it started."""
        holder = before.holder
        if holder.here and not before.released and holder.pid != os.getpid():
            kill(holder.pid, holder.began, self._clock)
        end_children(holder.id, self._clock)

    def _lose(self, why: str) -> None:
        self._gone = why
        if self.holder is not None:
            self._tending.lost(self.holder)

    def _read(self) -> Lent | None:
        try:
            return self._table.read()
        except TableError as error:
            raise LeaseError(f"the lease cannot be read: {error}") from error


class Keeper:
    """Renews in a thread, and lets a guard of its own process watch over the holder."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._guard: Guard | None = None

    def start(self, lease: TableLease, holder: Holder) -> None:
        """See Tending."""
        self._ended.clear()
        self._guard = Guard(holder, (1 - GUARD) / 2 * self._seconds)
        mark(holder.id)
        self._thread = threading.Thread(target=self._run, args=(lease,), name="lease", daemon=True)
        self._thread.start()

    def until(self, deadline: float) -> None:
        """See Tending."""
        if self._guard is not None:
            self._guard.until(deadline)

    def lost(self, holder: Holder) -> None:
        """See Tending; in a thread, for whoever finds out has no time to wait."""
        threading.Thread(target=_end_all, args=(holder,), name="lease lost", daemon=True).start()

    def stop(self, holder: Holder) -> None:
        """See Tending."""
        self._ended.set()
        mark(None)
        if self._thread is not None:
            self._thread.join()
        try:
            _end_all(holder)
        finally:
            if self._guard is not None:
                self._guard.close()

    def _run(self, lease: TableLease) -> None:
        while not self._ended.wait(RENEW * self._seconds):
            lease.renew()
            try:
                lease.ensure()
            except LeaseError:
                return


def _end_all(holder: Holder) -> None:
    end_children(holder.id, BootClock())


def _free(lent: Lent) -> bool:
    """Whether the lease may be taken at once."""
    return lent.released or lent.holder.gone
