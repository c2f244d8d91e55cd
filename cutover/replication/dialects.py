"""How MySQL and MariaDB, by themselves and as RDS, are told to replicate from another server by GTIDs.

Statements and procedures are those of the vendors' manuals:

- MySQL 8.0 and 8.4: "CHANGE REPLICATION SOURCE TO", "SHOW REPLICA STATUS", "WAIT_FOR_EXECUTED_GTID_SET";
- MariaDB: "CHANGE MASTER TO", "SHOW SLAVE STATUS", "MASTER_GTID_WAIT";
- Amazon RDS: "mysql.rds_set_external_source_with_auto_position" and its siblings.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cutover.errors import StepError
from cutover.mysql import Flavour, Server, Session
from cutover.replication.model import ReplicationState

Statement = tuple[str, tuple[Any, ...]]
"""A statement and its values, which are never shown."""


@dataclass(frozen=True)
class Origin:
    """The server that is replicated from, as the replica connects to it."""

    server: Server
    """With the replication's own user."""
    ca: str
    """The authorities that signed its certificate: a file on a plain server, their PEM text for RDS."""


class Dialect(ABC):
    """One family of servers, plain or managed."""

    @abstractmethod
    def set_up(self, origin: Origin) -> Sequence[Statement]:
        """Statements that tell the replica whom to follow, by GTIDs and over TLS."""

    @abstractmethod
    def start(self) -> Statement:
        """Starts replication."""

    @abstractmethod
    def stop(self) -> Statement:
        """Stops it."""

    @abstractmethod
    def forget(self) -> Statement:
        """Makes the replica forget whom it followed."""

    @abstractmethod
    def status(self) -> str:
        """The statement that shows the replica's state."""

    @abstractmethod
    def position(self) -> str:
        """The query for everything that a server has written or applied."""

    @abstractmethod
    def wait(self, session: Session, position: str, seconds: float) -> bool:
        """Waits on the replica until it has applied a position; False where that took too long."""

    def meet(self, session: Session, start: str) -> Sequence[Statement]:  # noqa: ARG002 - for those that need it
        """Statements by which a replica is told what it already has."""
        return ()

    def state(self, records: Sequence[Mapping[str, Any]]) -> ReplicationState:
        """What the answer to `status` says."""
        if not records:
            return ReplicationState("absent", "it follows nobody")
        found = {
            key.replace("Slave", "Replica").replace("Master", "Source"): value
            for key, value in records[0].items()
        }
        receiving, applying = str(found["Replica_IO_Running"]), str(found["Replica_SQL_Running"])
        errors = [str(found[name]) for name in ("Last_IO_Error", "Last_SQL_Error") if found.get(name)]
        behind = found.get("Seconds_Behind_Source")
        lag = None if behind is None else float(behind)
        detail = f"receiving: {receiving}, applying: {applying}"
        if errors:
            return ReplicationState("failed", f"{detail}; {'; '.join(errors)}", lag)
        if receiving == "No" and applying == "No":
            return ReplicationState("stopped", detail, lag)
        # Connecting: the origin does not answer, or not yet.
        running = receiving == "Yes" and applying == "Yes"
        return ReplicationState("running" if running else "failed", detail, lag)


class MySqlDialect(Dialect):
    """MySQL 8, which says source and replica."""

    def set_up(self, origin: Origin) -> Sequence[Statement]:
        """See Dialect."""
        server = origin.server
        return [
            (
                "CHANGE REPLICATION SOURCE TO SOURCE_HOST = %s, SOURCE_PORT = %s, SOURCE_USER = %s, "
                "SOURCE_PASSWORD = %s, SOURCE_AUTO_POSITION = 1, SOURCE_SSL = 1, SOURCE_SSL_CA = %s, "
                "SOURCE_SSL_VERIFY_SERVER_CERT = %s, SOURCE_CONNECT_RETRY = 1, SOURCE_HEARTBEAT_PERIOD = 1",
                (server.host, server.port, server.user, server.password, origin.ca, int(server.verify_name)),
            )
        ]

    def start(self) -> Statement:
        """See Dialect."""
        return "START REPLICA", ()

    def stop(self) -> Statement:
        """See Dialect."""
        return "STOP REPLICA", ()

    def forget(self) -> Statement:
        """See Dialect."""
        return "RESET REPLICA ALL", ()

    def status(self) -> str:
        """See Dialect."""
        return "SHOW REPLICA STATUS"

    def position(self) -> str:
        """See Dialect."""
        return "SELECT @@GLOBAL.gtid_executed"

    def wait(self, session: Session, position: str, seconds: float) -> bool:
        """See Dialect. WAIT_FOR_EXECUTED_GTID_SET answers 0 once it is so, and 1 when the time is over."""
        return bool(session.value("SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, %s)", (position, seconds)) == 0)


class RdsMySqlDialect(MySqlDialect):
    """RDS for MySQL, where procedures stand for the statements that need SUPER."""

    def __init__(self, flavour: Flavour) -> None:
        # From 8.4 on the procedures say source.
        self._word = "source" if flavour.version >= (8, 4) else "master"

    def set_up(self, origin: Origin) -> Sequence[Statement]:
        """See Dialect. RDS checks the origin's certificate against the authorities that it was given."""
        server = origin.server
        material = json.dumps({"ssl_ca": origin.ca})
        return [
            ("CALL mysql.rds_import_binlog_ssl_material(%s)", (material,)),
            (
                f"CALL mysql.rds_set_external_{self._word}_with_auto_position(%s, %s, %s, %s, 1, 0)",
                (server.host, server.port, server.user, server.password),
            ),
        ]

    def start(self) -> Statement:
        """See Dialect."""
        return "CALL mysql.rds_start_replication", ()

    def stop(self) -> Statement:
        """See Dialect."""
        return "CALL mysql.rds_stop_replication", ()

    def forget(self) -> Statement:
        """See Dialect."""
        return f"CALL mysql.rds_reset_external_{self._word}", ()


class MariaDbDialect(Dialect):
    """MariaDB, whose GTIDs are numbers of a domain and not sets."""

    def set_up(self, origin: Origin) -> Sequence[Statement]:
        """See Dialect."""
        server = origin.server
        return [
            (
                "CHANGE MASTER TO MASTER_HOST = %s, MASTER_PORT = %s, MASTER_USER = %s, "
                "MASTER_PASSWORD = %s, MASTER_USE_GTID = slave_pos, MASTER_SSL = 1, MASTER_SSL_CA = %s, "
                "MASTER_SSL_VERIFY_SERVER_CERT = %s, MASTER_CONNECT_RETRY = 1, MASTER_HEARTBEAT_PERIOD = 1",
                (server.host, server.port, server.user, server.password, origin.ca, int(server.verify_name)),
            )
        ]

    def meet(self, session: Session, start: str) -> Sequence[Statement]:
        """See Dialect. A replica begins where gtid_slave_pos says; its own binlog does not count."""
        # In each domain the later of both: the server refuses a place before the end of its own binlog.
        own = str(session.value("SELECT @@GLOBAL.gtid_binlog_pos") or "")
        return [("SET GLOBAL gtid_slave_pos = %s", (later(start, own),))]

    def start(self) -> Statement:
        """See Dialect."""
        return "START SLAVE", ()

    def stop(self) -> Statement:
        """See Dialect."""
        return "STOP SLAVE", ()

    def forget(self) -> Statement:
        """See Dialect."""
        return "RESET SLAVE ALL", ()

    def status(self) -> str:
        """See Dialect."""
        return "SHOW SLAVE STATUS"

    def position(self) -> str:
        """See Dialect."""
        return "SELECT @@GLOBAL.gtid_binlog_pos"

    def wait(self, session: Session, position: str, seconds: float) -> bool:
        """See Dialect. MASTER_GTID_WAIT answers 0 once it is so, and -1 when the time is over."""
        return bool(session.value("SELECT MASTER_GTID_WAIT(%s, %s)", (position, seconds)) == 0)


def dialect_of(session: Session) -> Dialect:
    """The dialect of a server. Raises DatabaseError, or StepError for one that cannot be made a replica."""
    flavour = session.flavour
    managed = bool(
        session.value(
            "SELECT COUNT(*) FROM information_schema.ROUTINES "
            "WHERE ROUTINE_SCHEMA = 'mysql' AND ROUTINE_NAME = 'rds_start_replication'"
        )
    )
    if flavour.family == "mariadb":
        if managed:
            raise StepError(
                f"{session.server} is RDS for MariaDB, which replicates natively by its own procedures; "
                "choose `dms` for this direction"
            )
        return MariaDbDialect()
    if flavour.version < (8, 0, 23):
        raise StepError(f"{session.server} is {flavour}: native replication needs MySQL 8.0.23 or later")
    return RdsMySqlDialect(flavour) if managed else MySqlDialect()


def later(one: str, other: str) -> str:
    """Two positions of MariaDB put together: in each domain the one with the higher number."""
    found: dict[str, tuple[int, str]] = {}
    for gtid in filter(None, (part.strip() for part in f"{one},{other}".split(","))):
        domain, _, number = gtid.split("-")
        if domain not in found or int(number) > found[domain][0]:
            found[domain] = (int(number), gtid)
    return ",".join(gtid for _, (_, gtid) in sorted(found.items()))
