"""The switch of a database: park, fence, drain, compare, promote, let through.

Everything slow is done ahead by `arm`. Until requests are let through to the new database, every failure and
every deadline ends in the old state: writes admitted to the old database, requests let through to it. After
that there is no way back but another switch, in the other direction, by the reverse replication.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from cutover.errors import StepError, StepTimeoutError, UnfinishedError
from cutover.gate import Gates, NoGates
from cutover.mysql import DatabaseError
from cutover.switching.end import DatabaseEnd, Drain
from cutover.switching.record import COMMITTED, SwitchRecord

_Answer = TypeVar("_Answer")
GIVE_UP_SECONDS = 5.0
ANSWER_SECONDS = 1.0
"""What a server gets beyond a part's deadline to say that it was missed."""
ATTEMPTS = 3
"""How often a part is tried that requests wait for; each may be repeated."""


class GivenUpError(StepError):
    """The switch was given up in time: everything is as it was before, and nobody was refused."""


class _TakenError(StepError):
    """The new database has taken writes already: there is only the way ahead."""


class Workers(Protocol):
    """What writes to the database without being asked by a request: committers, consumers, schedules."""

    def pause(self, seconds: float) -> None:
        """Stops them, what they hold being committed. Raises StepError where that takes longer."""

    def resume(self) -> None:
        """Lets them go on; may be repeated. Raises StepError."""


@dataclass(frozen=True)
class Limits:
    """Deadlines, in seconds."""

    park: float
    fence: float
    drain: float
    compare: float
    total: float
    """From the first held request: when it is over, the switch is given up."""


@dataclass(frozen=True)
class Parts:
    """What the switch took, in milliseconds."""

    position: str
    """The last one of the database that was left."""
    park: float = 0.0
    pause: float = 0.0
    fence: float = 0.0
    drain: float = 0.0
    compare: float = 0.0
    promote: float = 0.0
    let_through: float = 0.0

    @property
    def total(self) -> float:
        """From the first held request until requests were let through."""
        return (
            self.park + self.pause + self.fence + self.drain + self.compare + self.promote + self.let_through
        )


class NoWorkers:
    """Nothing writes but what requests ask for. Implements Workers."""

    def pause(self, seconds: float) -> None:
        """See Workers."""

    def resume(self) -> None:
        """See Workers."""


@dataclass(frozen=True)
class Way:
    """From which database to which, and what stands between."""

    gates: Gates | NoGates
    old: DatabaseEnd
    new: DatabaseEnd
    drain: Drain
    workers: Workers = field(default_factory=NoWorkers)

    def close(self) -> None:
        """Ends what was opened ahead."""
        self.old.close()
        self.new.close()
        self.drain.close()


class Switch:
    """One switch from a database to another, in either direction."""

    def __init__(
        self,
        way: Way,
        limits: Limits,
        record: SwitchRecord,
        *,
        compare: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        """`compare` raises StepError where the databases differ, once the new one has applied everything."""
        self._way = way
        self._gates = way.gates
        self._old = way.old
        self._new = way.new
        self._drain = way.drain
        self._workers = way.workers
        self._limits = limits
        self._record = record
        self._compare = compare
        self._stood: str | None = None
        """Where the new database stood when its promotion was begun."""
        self._position = ""
        self._took: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._way.close()

    def arm(self) -> None:
        """Opens all connections and looks at everything that could be in the way; nobody notices.

        Raises:
            StepError: the switch cannot be done now; nothing was changed.
        """
        self._record.note("arming", old=self._old.side, new=self._new.side)
        self._old.prepare()
        self._new.prepare()
        self._drain.prepare()
        if self._old.fence.is_up(self._old.session):
            raise StepError(f"{self._old.server} refuses writes already: it is not the database that serves")
        if not self._new.fence.is_up(self._new.session):
            raise StepError(
                f"{self._new.server} admits writes before the switch: raise its fence, and find out whether "
                "somebody has written to it"
            )
        for state in self._gates.states():
            if state.closed or state.side != self._old.side:
                raise StepError(
                    f"a gate is {'closed' if state.closed else 'open'} towards the {state.side}, not open "
                    f"towards the {self._old.side}"
                )

    def run(self) -> Parts:
        """Does it.

        Raises:
            GivenUpError: a part failed or took too long; requests go to the old database as before.
            StepError: it failed, and the old state could not be brought back: the text says what is left.
        """
        begun = time.monotonic()
        try:
            parts = self._until_promoted(begun)
            self._record.note("letting through", position=parts.position)
        except StepError as error:
            try:
                self._give_up(error)
            except _TakenError:
                parts = self._go_ahead()
            else:
                raise GivenUpError(
                    f"the switch was given up after {(time.monotonic() - begun) * 1000:.0f} ms, and requests "
                    f"go to the {self._old.side} as before: {error}"
                ) from error
        try:
            let_through = _persist(lambda: self._gates.let_through(self._new.side))
            _persist(self._workers.resume)
            self._record.note("done")
        except StepError as error:
            raise UnfinishedError(
                f"the {self._new.side}'s database serves, but the switch did not come to its end: {error}. "
                "There is only the way ahead: what is left is done when it goes on"
            ) from error
        return Parts(**{**vars(parts), "let_through": let_through})

    def _until_promoted(self, begun: float) -> Parts:
        limits = self._limits

        def within(seconds: float, what: str) -> float:
            left = begun + limits.total - time.monotonic()
            if left <= 0:
                raise StepTimeoutError(f"{limits.total:g} s were over before {what}")
            return min(seconds, left)

        def ready_within(seconds: float, what: str) -> float:
            """No statement of the part hangs for longer, whatever became of its server."""
            left = within(seconds, what)
            for end in (self._old, self._new, self._drain):
                end.allow(left + ANSWER_SECONDS)
            return left

        took = self._took

        def timed(name: str, what: Callable[[], object]) -> None:
            start = time.monotonic()
            what()
            took[name] = (time.monotonic() - start) * 1000

        self._record.note("parking")
        timed("park", lambda: self._gates.park(within(limits.park, "requests had ended")))
        timed("pause", lambda: self._workers.pause(within(limits.park, "workers had paused")))
        self._record.note("fencing")
        start = time.monotonic()
        report = self._old.fence.raise_fence(
            self._old.session,
            self._old.position_query,
            ready_within(limits.fence, "the fence was up"),
            self._drain.mark,
        )
        took["fence"] = (time.monotonic() - start) * 1000
        self._position = report.position
        self._record.note("fenced", position=report.position)
        timed(
            "drain", lambda: self._drain.wait(report.position, ready_within(limits.drain, "all was applied"))
        )
        timed("compare", lambda: self._compare(within(limits.compare, "all was compared")))
        self._refuse_late_writes(report.position)
        ready_within(limits.fence, "the promotion")
        self._stood = self._new.position()
        self._record.note("promoting", stood=self._stood, position=report.position)
        timed("promote", self._promote)
        within(limits.total, "requests were let through")
        return Parts(position=report.position, **took)

    def _refuse_late_writes(self, position: str) -> None:
        """Somebody who passed the fence would be lost."""
        now = self._old.position()
        if now != position:
            raise StepError(
                f"{self._old.server} was written to behind its fence: it was at {position} and is at {now}. "
                "Find the account that may write in spite of the fence"
            )

    def _promote(self) -> None:
        self._drain.stop()
        self._new.promote()
        if self._new.fence.is_up(self._new.session):
            raise StepError(f"{self._new.server} still refuses writes after its promotion")

    def _give_up(self, reason: StepError) -> None:
        """Back to the old state, whatever of the new one was reached."""
        give_up(self._way, reason, self._record, stood=self._stood)
        try:
            self._record.note("given up", reason=str(reason))
        except StepError as error:
            raise UnfinishedError(
                f"the switch was given up ({reason}), and that could not be written down: {error}"
            ) from error

    def _go_ahead(self) -> Parts:
        """What was begun is brought to its end: whoever was not kept by a gate has written to the new one."""
        try:
            self._record.note("letting through", position=self._position)
            _persist(self._new.promote, self._new.renew)
        except StepError as error:
            raise UnfinishedError(
                f"{self._new.server} has taken writes already, and could not be let serve: {error}"
            ) from error
        return Parts(position=self._position, **self._took)


def give_up(way: Way, reason: Exception, record: SwitchRecord, *, stood: str | None) -> None:
    """Goes back to the old database: no request has reached the new one.

    In this order: where its promotion was begun, the new database refuses writes again before the old one
    takes any. Else it has refused them all along, and is not asked: it may be what does not answer. Once it
    follows the old one again, nobody can tell from where it stands whether it was written to: so that was
    found out is written down before.

    Args:
        stood: where the new database stood when its promotion was begun; None where it was not, empty where
            that is not known.

    Raises:
        LeaseError: the lease was lost: what is left is the next runner's.
        _TakenError: somebody who passes no gate has written to the new database meanwhile. It refuses writes
            by now, and nothing else was changed.
        StepError: a part of it failed; the text says what is left to do by hand. The gate stays closed then.
    """
    old, new = way.old, way.new

    def renew() -> None:  # a session in which something failed may be in the middle of a statement
        for end in (old, new):
            end.renew()

    def demote() -> None:
        new.fence.refuse_writes(new.session, GIVE_UP_SECONDS)
        # whoever connected while it admitted writes may have kept the right to
        new.fence.end_connections(new.session, time.monotonic() + GIVE_UP_SECONDS)
        if stood and (now := new.position()) != stood and _unlogged(new):
            raise _TakenError(f"{new.server} was at {stood} before it was to serve, and is at {now}")

    renew()
    demoted: tuple[tuple[str, Callable[[], object]], ...] = (
        (f"let {new.server} refuse writes", demote),
        ("write down that it took none", lambda: record.note("giving back")),
        (f"let {new.server} follow again", way.drain.resume),
    )
    steps: tuple[tuple[str, Callable[[], object]], ...] = (
        *(demoted if stood is not None else ()),
        (f"let {old.server} take writes", lambda: old.fence.lower(old.session)),
        ("let the workers go on", way.workers.resume),
        (f"let requests through to the {old.side}", lambda: way.gates.let_through(old.side)),
    )
    for index, (_, do) in enumerate(steps):
        record.ensure()
        try:
            _persist(do, renew)
        except _TakenError:
            raise
        except StepError as error:
            left = "; ".join(text for text, _ in steps[index:])
            raise UnfinishedError(
                f"the switch failed ({reason}), and so did the way back ({error}). Requests are held. Left "
                f"to do, in this order: {left}"
            ) from error


def _persist(do: Callable[[], _Answer], between: Callable[[], None] = lambda: None) -> _Answer:
    """Tries again what failed; raises what the last attempt did."""
    for _ in range(ATTEMPTS - 1):
        try:
            return do()
        except _TakenError:
            raise
        except StepError:
            between()
    return do()


def _unlogged(end: DatabaseEnd) -> bool:
    """Whether our own statements on accounts leave a database's position where it is."""
    try:
        end.session.execute("SET SESSION sql_log_bin = 1")
    except DatabaseError:
        return False
    return True


def recover(path: Path, way: Way, ensure: Callable[[], None] = lambda: None) -> str:
    """Ends what a killed switch left behind: ahead if the new database may have taken writes, else back.

    Args:
        path: the switch's record.
        way: the one that the switch took.
        ensure: see SwitchRecord.

    Returns:
        `done`, `given up`, or `nothing` where no switch was begun.

    Raises:
        LeaseError: the lease was lost meanwhile.
        StepError: it could not be ended.
    """
    last = SwitchRecord.last(path)
    if last is None or last["stage"] in ("done", "given up"):
        return "nothing" if last is None else str(last["stage"])
    record = SwitchRecord(path, ensure)
    try:
        ahead = last["stage"] in COMMITTED
        if not ahead and last["stage"] != "arming":
            reason = StepError(f"killed while {last['stage']}")
            try:
                give_up(way, reason, record, stood=_stood(last))
            except _TakenError:
                ahead = True
                record.note("letting through", position=last.get("position"))
        if ahead:
            _persist(way.new.promote, way.new.renew)
            _persist(lambda: way.gates.let_through(way.new.side))
            _persist(way.workers.resume)
            record.note("done")
            return "done"
        record.note("given up", reason=f"killed while {last['stage']}")
        return "given up"
    finally:
        record.close()


def _stood(last: Mapping[str, Any]) -> str | None:
    """See give_up; empty too where it was found out before that nobody had written to it."""
    match last["stage"]:
        case "promoting":
            return str(last.get("stood", ""))
        case "giving back":
            return ""
    return None
