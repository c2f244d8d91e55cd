"""One of the two databases of a switch, with everything that was opened ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from cutover.errors import StepError
from cutover.fence import Fence
from cutover.fence.methods import unlogged
from cutover.mysql import Server, Session
from cutover.replication.dialects import Dialect, dialect_of
from cutover.replication.dms import DmsReplication
from cutover.replication.native import wait_applied

Side = Literal["source", "target"]
STATEMENT_SECONDS = 60.0


@dataclass
class DatabaseEnd:
    """A database that the switch leaves, or goes to. It serves writers exactly while its fence is down."""

    side: Side
    server: Server
    fence: Fence
    position_query: str
    """Reads up to where it has written."""
    on_promote: Sequence[str] = ()
    """Statements that belong to the moment when it begins to serve: triggers, events. May be repeated."""
    _session: Session | None = None

    @property
    def session(self) -> Session:
        """The administrator's session. Raises DatabaseError."""
        if self._session is None:
            self._session = self.server.connect(seconds=STATEMENT_SECONDS)
        return self._session

    def prepare(self) -> None:
        """Opens what will be needed, and looks up what the fence needs. Raises StepError."""
        self.session.ping()
        self.fence.prepare(self.session)

    def position(self) -> str:
        """Up to where it has written. Raises DatabaseError."""
        return str(self.session.value(self.position_query) or "").replace("\n", "")

    def allow(self, seconds: float) -> None:
        """How long a statement may take from now on. Raises DatabaseError."""
        self.session.allow(seconds)

    def renew(self) -> None:
        """Throws the session away, as one that may be broken."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def close(self) -> None:
        """Ends its session."""
        self.renew()

    def promote(self) -> None:
        """Lets it serve writers. Raises StepError; may be repeated."""
        if self.on_promote:
            with unlogged(self.session):  # the way back must not take them along
                for statement in self.on_promote:
                    self.session.execute(statement)
        self.fence.lower(self.session)


class Drain(Protocol):
    """Waits until the database that the switch goes to has applied what the other one wrote."""

    def prepare(self) -> None:
        """Opens what will be needed; raises StepError where the replication is not healthy."""

    def allow(self, seconds: float) -> None:
        """How long a statement may take from now on. Raises StepError."""

    def mark(self) -> None:
        """Called behind the fence, before the origin's position is noted. Raises StepError."""

    def wait(self, position: str, seconds: float) -> None:
        """Waits for a position of the origin. Raises StepError where that takes longer."""

    def stop(self) -> None:
        """Ends this direction, if it must not run beside what follows. Raises StepError."""

    def resume(self) -> None:
        """Takes `stop` back, where a switch is given up. Raises StepError."""

    def close(self) -> None:
        """Ends what was opened."""


class NativeDrain:
    """The drain of the databases' own replication, whose two directions may run side by side."""

    def __init__(self, replica: Server, *, stops: bool = False) -> None:
        """`stops`: this direction must end with the promotion, as the way back is carried by DMS."""
        self._replica = replica
        self._stops = stops
        self._opened: tuple[Session, Dialect] | None = None

    def prepare(self) -> None:
        """See Drain."""
        session, dialect = self._open()
        session.ping()
        state = dialect.state(session.records(dialect.status()))
        if not state.healthy:
            raise StepError(f"the replication to {self._replica} does not run: {state.detail}")

    def allow(self, seconds: float) -> None:
        """See Drain."""
        self._open()[0].allow(seconds)

    def mark(self) -> None:
        """See Drain: GTIDs are marks enough."""

    def wait(self, position: str, seconds: float) -> None:
        """See Drain."""
        session, dialect = self._open()
        wait_applied(session, dialect, position, seconds)

    def stop(self) -> None:
        """See Drain."""
        if self._stops:
            session, dialect = self._open()
            session.execute(*dialect.stop())

    def resume(self) -> None:
        """See Drain."""
        if self._stops:
            session, dialect = self._open()
            session.execute(*dialect.start())

    def close(self) -> None:
        """See Drain."""
        if self._opened is not None:
            self._opened[0].close()
            self._opened = None

    def _open(self) -> tuple[Session, Dialect]:
        if self._opened is None:
            session = self._replica.connect(seconds=STATEMENT_SECONDS)
            self._opened = (session, dialect_of(session))
        return self._opened


class DmsDrain:
    """The drain of a DMS task. Its lag is part of the switch; it must not run beside the way back."""

    def __init__(self, task: DmsReplication, origin: Server, replica: Server) -> None:
        """`origin` is with a user whom the fence lets write, as a marker is written behind it."""
        self._task = task
        self._origin = origin
        self._replica = replica
        self._opened: tuple[Session, Session] | None = None
        self._marker: str | None = None

    def prepare(self) -> None:
        """See Drain."""
        for session in self._open():
            session.ping()
        state = self._task.state()
        if not state.healthy:
            raise StepError(f"the DMS task to {self._replica} is not healthy: {state.detail}")

    def allow(self, seconds: float) -> None:
        """See Drain."""
        for session in self._open():
            session.allow(seconds)

    def mark(self) -> None:
        """Writes the marker that `wait` waits for: behind the fence, and before the position is noted."""
        self._marker = self._task.write_marker(self._open()[0])

    def wait(self, position: str, seconds: float) -> None:
        """See Drain: waits for the marker, which was written last of all."""
        if self._marker is None:
            raise StepError(f"no marker was written before {position}: there is nothing to wait for")
        self._task.wait_for_marker(self._open()[1], self._marker, seconds)

    def stop(self) -> None:
        """See Drain. A task takes a minute to stop: it has nothing to carry by then, and stops later."""

    def resume(self) -> None:
        """See Drain."""
        self._marker = None

    def close(self) -> None:
        """See Drain."""
        for session in self._opened or ():
            session.close()
        self._opened = None

    def _open(self) -> tuple[Session, Session]:
        if self._opened is None:
            self._opened = (
                self._origin.connect(seconds=STATEMENT_SECONDS),
                self._replica.connect(seconds=STATEMENT_SECONDS),
            )
        return self._opened
