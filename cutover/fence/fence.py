"""The order in which a database is fenced: refuse new writes, end open transactions, then note the position.

Vitess once had that order wrong (vitess#16563): a position that is noted while a transaction is open is not
the last one.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from cutover.errors import StepError, StepTimeoutError
from cutover.mysql import DatabaseError, Server, Session

_NO_SUCH_THREAD = 1094
_SERVER_THREADS = (
    "system user",
    "event_scheduler",
    "rdsadmin",  # RDS's own, which nobody else can end
    "mysql.session",
    "mysql.infoschema",
)
_DUMPING = ("Binlog Dump", "Binlog Dump GTID")


@dataclass(frozen=True)
class Exempt:
    """Who stays connected behind the fence: the replication, and whoever watches."""

    users: tuple[str, ...] = ()


@dataclass(frozen=True)
class FenceReport:
    """What fencing took."""

    position: str
    """The last position of the fenced server, as `position` of the caller reads it."""
    ended: tuple[str, ...]
    """The connections that were ended, as `user@host`."""
    milliseconds: float


@dataclass
class Fence(ABC):
    """A fence around one server. It is up until `lower`: it does not end with the program that raised it.

    The session is opened ahead, so that no connection has to be made inside the switch.
    """

    server: Server
    schemas: tuple[str, ...]
    exempt: Exempt = field(default_factory=Exempt)
    _ended: list[str] = field(default_factory=list)

    @abstractmethod
    def problems(self, session: Session) -> Sequence[str]:
        """Why this fence would not hold on this server, with what to do; empty where it would."""

    def prepare(self, session: Session) -> None:  # noqa: B027 - most have nothing to look up
        """Looks up ahead what would take time inside the switch. Raises StepError."""

    @abstractmethod
    def refuse_writes(self, session: Session, seconds: float) -> None:
        """From now on nobody but the exempt can begin a write. Raises StepError."""

    @abstractmethod
    def admit_writes(self, session: Session) -> None:
        """Takes that back; may be repeated. Raises StepError."""

    @abstractmethod
    def is_up(self, session: Session) -> bool:
        """Whether writes are refused now. Raises StepError."""

    def raise_fence(
        self,
        session: Session,
        position_query: str,
        seconds: float,
        mark: Callable[[], None] = lambda: None,
    ) -> FenceReport:
        """Refuses writes, ends whoever is still connected, and notes the position once all of them are gone.

        Args:
            position_query: reads the server's position.
            mark: called once nobody else writes any more, and before the position is noted.
            seconds: how long all of that may take.

        Raises:
            StepError: it could not be raised; writes may be refused already, and `lower` takes that back.
        """
        begun = time.monotonic()
        self._ended.clear()
        self.refuse_writes(session, seconds)
        self.end_connections(session, begun + seconds)
        mark()
        position = str(session.value(position_query) or "").replace("\n", "")
        return FenceReport(position, tuple(self._ended), (time.monotonic() - begun) * 1000)

    def lower(self, session: Session) -> None:
        """Takes the fence away. Raises StepError."""
        self.admit_writes(session)

    def end_connections(self, session: Session, deadline: float) -> None:
        """Ends whoever has to be ended, and waits until they and their transactions are gone.

        They are looked up once: writes are refused already, so that whoever comes later does no harm.
        A connection that is ended in the middle of a statement rolls back first: until then it is listed.
        """
        found = dict(self.connections(session))
        for thread in found:
            end_connection(session, thread)
        self._ended += found.values()
        left = set(found)
        while left:
            left &= {
                int(thread) for (thread,) in session.rows("SELECT ID FROM information_schema.PROCESSLIST")
            }
            if left and time.monotonic() > deadline:
                who = ", ".join(sorted({found[thread] for thread in left}))
                raise StepTimeoutError(
                    f"{self.server} still serves {who}: they were told to end, and have not within the time "
                    "that the fence may take"
                )

    def connections(self, session: Session) -> list[tuple[int, str]]:
        """Whoever has to be ended before the position holds still: the connection's id, and `user@host`.

        That is everybody who is neither exempt nor ourselves, unless a method knows that some do no harm.
        """
        return [
            (int(thread), f"{user}@{str(host).rpartition(':')[0] or host}")
            for thread, user, host, command in session.rows(
                "SELECT ID, USER, HOST, COMMAND FROM information_schema.PROCESSLIST "
                "WHERE ID <> CONNECTION_ID()"
            )
            if user not in (*_SERVER_THREADS, *self.exempt.users, self.server.user)
            and command not in (*_DUMPING, "Daemon")
        ]


def still_moving(session: Session, position_query: str, seconds: float) -> str | None:
    """Whether a fenced server's position moves on for some time: then somebody writes in spite of the fence.

    Returns:
        What was seen; None where it stands still.
    """
    before = session.value(position_query)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        now = session.value(position_query)
        if now != before:
            return f"from {before} to {now}"
        time.sleep(0.01)
    return None


def prove_writable(session: Session, statement: str) -> None:
    """Writes, with rights that do not bypass read_only. Raises StepError where that is refused."""
    try:
        session.execute(statement)
    except DatabaseError as error:
        if error.read_only:
            raise StepError(f"{session.server} still refuses writes: {error}") from error
        raise


def end_connection(session: Session, thread: int) -> None:
    """Ends a connection of the server; does nothing where it has gone by itself. Raises DatabaseError."""
    try:
        session.execute(f"KILL {thread:d}")
    except DatabaseError as error:
        if error.code != _NO_SUCH_THREAD:  # it has gone by itself
            raise
