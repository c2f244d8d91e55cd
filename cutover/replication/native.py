"""The databases' own replication, by GTIDs and over TLS."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Literal

from cutover.errors import StepError
from cutover.mysql import DatabaseError, Server, Session
from cutover.replication.dialects import Dialect, Origin, Statement, dialect_of
from cutover.replication.model import ReplicationState

CALL_SECONDS = 30.0
WHY_SECONDS = 2.0
"""What a replica gets to say why it has not applied everything."""
CONNECTED_SECONDS = 15.0
"""Until a replica that was started says that it is connected."""


@dataclass(frozen=True)
class ReplicationUser:
    """Whom a replica signs in as at its origin."""

    name: str
    password: str = field(repr=False)


class NativeReplication:
    """One direction: `replica` follows `origin`. Implements model.Replication.

    The replica has the origin's data up to `start` already, by a dump that was loaded. With MySQL its
    gtid_purged tells that, and `start` is not needed.

    For the way back, the same with the two servers exchanged: it may run beside the forward one, as a server
    skips what it wrote itself.
    """

    kind: Literal["native"] = "native"

    def __init__(
        self,
        origin: Server,
        replica: Server,
        user: ReplicationUser,
        *,
        origin_ca: str,
        start: str | None = None,
    ) -> None:
        """`origin_ca`: see dialects.Origin. `origin` and `replica` are with administrators' credentials."""
        self._origin = origin
        self._replica = replica
        self._user = user
        self._ca = origin_ca
        self._start = start

    def set_up(self) -> None:
        """See model.Replication."""
        with closing(self._connect(self._replica)) as session:
            dialect = dialect_of(session)
            if dialect.state(session.records(dialect.status())).state != "absent":
                self._run(session, dialect.stop())
            for statement in dialect.meet(session, self._start or ""):
                self._run(session, statement)
            signed_in = replace(self._origin, user=self._user.name, password=self._user.password)
            for statement in dialect.set_up(Origin(signed_in, self._ca)):
                self._run(session, statement)

    def start(self) -> None:
        """See model.Replication; returns once the replica is connected."""
        with closing(self._connect(self._replica)) as session:
            dialect = dialect_of(session)
            if not self._state(session, dialect).healthy:
                self._run(session, dialect.start())
            deadline = time.monotonic() + CONNECTED_SECONDS
            while not (state := self._state(session, dialect)).healthy:
                if time.monotonic() > deadline:
                    raise StepError(
                        f"{self._replica} does not replicate from {self._origin} {CONNECTED_SECONDS:g} s "
                        f"after it was started: {state.detail}"
                    )
                time.sleep(0.05)

    def stop(self) -> None:
        """See model.Replication."""
        with closing(self._connect(self._replica)) as session:
            dialect = dialect_of(session)
            if self._state(session, dialect).state not in ("absent", "stopped"):
                self._run(session, dialect.stop())

    def retire(self) -> None:
        """See model.Replication."""
        with closing(self._connect(self._replica)) as session:
            dialect = dialect_of(session)
            state = self._state(session, dialect).state
            if state in ("running", "failed"):
                self._run(session, dialect.stop())
            if state != "absent":
                self._run(session, dialect.forget())

    def state(self) -> ReplicationState:
        """See model.Replication."""
        with closing(self._connect(self._replica)) as session:
            return self._state(session, dialect_of(session))

    def position(self) -> str:
        """See model.Replication."""
        with closing(self._connect(self._origin)) as session:
            return position_of(session, dialect_of(session))

    def wait_applied(self, position: str, seconds: float) -> None:
        """See model.Replication."""
        with closing(self._connect(self._replica, CALL_SECONDS + seconds)) as session:
            wait_applied(session, dialect_of(session), position, seconds)

    def measure_lag(self, seconds: float) -> float:
        """See model.Replication."""
        position = self.position()
        begun = time.monotonic()
        self.wait_applied(position, seconds)
        return time.monotonic() - begun

    def observed_lag(self, seconds: float) -> float:
        """See model.Replication."""
        return self.measure_lag(seconds)

    @staticmethod
    def _connect(server: Server, seconds: float = CALL_SECONDS) -> Session:
        return server.connect(seconds=seconds)

    @staticmethod
    def _run(session: Session, statement: Statement) -> None:
        session.execute(*statement)

    @staticmethod
    def _state(session: Session, dialect: Dialect) -> ReplicationState:
        return dialect.state(session.records(dialect.status()))


def position_of(session: Session, dialect: Dialect) -> str:
    """Everything that a server has written, on a session that is open already. Raises DatabaseError."""
    return str(session.value(dialect.position()) or "").replace("\n", "")


def wait_applied(session: Session, dialect: Dialect, position: str, seconds: float) -> None:
    """Waits on a session of the replica. Raises StepError where it took longer, with what is wrong."""
    session.allow(seconds + WHY_SECONDS)
    if dialect.wait(session, position, seconds):
        return
    session.allow(WHY_SECONDS)  # a replica whose disk is full does not say how it is until there is space
    try:
        state = dialect.state(session.records(dialect.status()))
        why = f"it is at {position_of(session, dialect)}, {state.state}: {state.detail}"
    except DatabaseError as error:
        why = f"it does not say why: {error}. Look at its disk and its log"
    raise StepError(f"{session.server} has not applied {position} within {seconds:g} s; {why}")
