"""A pair of MariaDB servers in memory, as far as fences, replication and switches talk to them.

A session understands the statements that the cutover sends, by their text, and nothing else: a statement
that it does not know is an error of the test. Rights are those of accounts on schemas; a session of the
application keeps the rights that it had when it connected, as MariaDB's do. The binlog is a list; GTIDs are
MariaDB's, one domain a server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from cutover.mysql import DatabaseError, Flavour, Server
from cutover.mysql.server import LostConnectionError
from cutover.replication.dms import MARKER_TABLE
from tests.faults.simulation.kernel import Kernel
from tests.faults.simulation.outside import Call, Outside

Side = Literal["source", "target"]
MARIADB = Flavour("mariadb", (10, 11, 6))
ALL = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "TRIGGER", "EXECUTE")
READ = ("SELECT", "SHOW VIEW")
_WRITES = {"INSERT", "UPDATE", "DELETE", "ALL PRIVILEGES"}


class LateWriteError(Exception):
    """The server refused: no right to write, or the connection was ended."""


@dataclass(frozen=True)
class Entry:
    """A transaction in a binlog."""

    domain: int
    number: int
    table: str
    key: str
    value: str
    at: float


@dataclass(eq=False)
class Connection:
    """A client of the application."""

    number: int
    user: str
    account: str
    schema: str
    may_write: bool
    killed: bool = False
    busy: bool = False


@dataclass
class Database:
    """One server."""

    side: Side
    domain: int
    kernel: Kernel
    tables: dict[str, dict[str, str]] = field(default_factory=dict)
    """Rows by table (`schema.table`) and key."""
    grants: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    """Rights by account and by what they are on."""
    binlog: list[Entry] = field(default_factory=list)
    applied: dict[int, int] = field(default_factory=dict)
    """The last number of each other domain that was applied here."""
    written: int = 0
    connections: dict[int, Connection] = field(default_factory=dict)
    follows: bool = False
    """Whether a slave is set up."""
    runs: bool = False
    slave_error: str = ""
    _threads: int = 100

    def write(self, schema: str, key: str, value: str, table: str = "writes") -> Entry:
        """A transaction of its own."""
        self.written += 1
        entry = Entry(self.domain, self.written, f"{schema}.{table}", key, value, self.kernel.now)
        self.binlog.append(entry)
        self.tables.setdefault(entry.table, {})[key] = value
        return entry

    def apply(self, entry: Entry) -> None:
        """What a slave does; it skips what it has."""
        if entry.number > self.applied.get(entry.domain, 0):
            self.applied[entry.domain] = entry.number
            self.binlog.append(entry)
            self.tables.setdefault(entry.table, {})[entry.key] = entry.value

    def position(self) -> str:
        """Everything that it has written or applied."""
        numbers = {**self.applied, **({self.domain: self.written} if self.written else {})}
        return ",".join(f"{domain}-{domain}-{number}" for domain, number in sorted(numbers.items()))

    def admits(self, account: str | None = None) -> bool:
        """Whether the application may write."""
        found = self.grants.items() if account is None else [(account, self.grants.get(account, {}))]
        return any(rights & _WRITES for _, places in found for rights in places.values())

    def connect(self, account: str, schema: str) -> Connection:
        """A client connects."""
        self._threads += 1
        places = self.grants.get(account, {})
        may = any(rights & _WRITES for place, rights in places.items() if _schema(place) == schema)
        found = Connection(self._threads, account.partition("@")[0], account, schema, may)
        self.connections[found.number] = found
        return found

    def may_write(self, connection: Connection) -> bool:
        """By what it had when it connected, or by rights on the table itself, which are seen at once."""
        if connection.killed:
            return False
        places = self.grants.get(connection.account, {})
        return connection.may_write or any(
            rights & _WRITES
            for place, rights in places.items()
            if _schema(place) == connection.schema and not place.endswith(".*")
        )


def _schema(place: str) -> str:
    return place.replace("`", "").partition(".")[0]


@dataclass
class Pair:
    """Both servers and the native replication from the source to the target."""

    outside: Outside
    source: Database
    target: Database
    lag: float = 0.05
    broken_until: float = 0.0

    def server(self, side: Side) -> Database:
        return self.source if side == "source" else self.target

    def replicate(self) -> None:
        """The target's slave applies what has come to it by now."""
        now, target = self.source.kernel.now, self.target
        if not (target.follows and target.runs) or now < self.broken_until:
            return
        have = target.applied.get(self.source.domain, 0)
        if have >= self.source.written:
            return
        for entry in self.source.binlog:
            if entry.domain == self.source.domain and entry.number > have:
                if entry.at + self.lag > now:
                    break
                target.apply(entry)


@dataclass(frozen=True)
class SimulatedServer(Server):
    """Where a simulated server answers."""

    pair: Pair | None = None

    def connect(self, schema: str | None = None, *, seconds: float = 60.0, raw: bool = False) -> Any:
        assert self.pair is not None
        side: Side = "source" if self.name == "source" else "target"
        call = Call(f"{side} database", "connect", writes=False)

        def open_() -> SimulatedSession:
            assert self.pair is not None
            return SimulatedSession(self, self.pair, self.pair.server(side))

        return self.pair.outside.call(call, open_, error=DatabaseError)


@dataclass
class SimulatedSession:
    """The administrator's session; stands for cutover.mysql.Session."""

    server: SimulatedServer
    pair: Pair
    database: Database
    flavour: Flavour = MARIADB
    thread: int = 1
    lost: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.lost = True

    def allow(self, seconds: float) -> None:
        """A call that gets no answer ends by itself here."""

    def ping(self) -> None:
        self.value("SELECT 1")

    def execute(self, statement: str, arguments: Sequence[Any] = ()) -> int:
        self._ask(statement, tuple(arguments))
        return 1

    def rows(self, statement: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._ask(statement, tuple(arguments))

    def row(self, statement: str, arguments: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        return next(iter(self.rows(statement, arguments)), None)

    def value(self, statement: str, arguments: Sequence[Any] = ()) -> Any:
        found = self.row(statement, arguments)
        return None if found is None else found[0]

    def records(self, statement: str, arguments: Sequence[Any] = ()) -> list[dict[str, Any]]:
        return [dict(row) for row in self.rows(statement, arguments)]

    def _ask(self, statement: str, arguments: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        if self.lost:
            raise LostConnectionError(f"{self.server}: the connection has ended, at: {statement[:80]}")
        said, pattern, writes, answer = _understood(statement)
        call = Call(f"{self.database.side} database", pattern.partition("(")[0].strip(), writes)

        def lost(text: str) -> Exception:
            self.lost = True
            return LostConnectionError(text)

        found: list[tuple[Any, ...]] = self.pair.outside.call(
            call, lambda: answer(self, said, arguments), error=DatabaseError, lost=lost, arguments=statement
        )
        return found


def _understood(statement: str) -> tuple[re.Match[str], str, bool, Answer]:
    for pattern, writes, answer in _STATEMENTS:
        if said := re.match(pattern, statement):
            return said, pattern, writes, answer
    raise AssertionError(f"a simulated server does not know: {statement}")


Answer = Callable[[SimulatedSession, "re.Match[str]", tuple[Any, ...]], list[tuple[Any, ...]]]


def _show_grants(session: SimulatedSession, said: re.Match[str], _: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    account = _account(said.group(1))
    if account not in session.database.grants:
        raise DatabaseError(f"there is no such grant defined for user {account}", 1141)
    places = session.database.grants[account]
    return [(f"GRANT USAGE ON *.* TO {said.group(1)}",)] + [
        (f"GRANT {', '.join(sorted(rights))} ON {place} TO {said.group(1)}",)
        for place, rights in places.items()
        if rights
    ]


def _revoke(session: SimulatedSession, said: re.Match[str], _: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    rights, place, account = said.groups()
    found = session.database.grants[_account(account)]
    if place not in found:
        raise DatabaseError(f"there is no such grant defined for user {account} on {place}", 1141)
    found[place] -= {right.strip() for right in rights.split(",")}
    return []


def _grant(session: SimulatedSession, said: re.Match[str], _: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    rights, place, account = said.groups()
    places = session.database.grants[_account(account)]
    places.setdefault(place, set()).update(right.strip() for right in rights.split(","))
    return []


def _account(text: str) -> str:
    return text.replace("`", "").partition(" WITH ")[0].strip()


def _processes(session: SimulatedSession, _said: object, _: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return [
        (item.number, item.user, "192.0.2.9:5", "Sleep") for item in session.database.connections.values()
    ]


def _process_ids(session: SimulatedSession, _said: object, _: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return [(1,), *((number,) for number in session.database.connections)]


def _kill(session: SimulatedSession, said: re.Match[str], _: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    found = session.database.connections.pop(int(said.group(1)), None)
    if found is None:
        raise DatabaseError("Unknown thread id", 1094)
    found.killed = True
    return []


def _tables(session: SimulatedSession, _said: object, arguments: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    names = [tuple(name.split(".")) for name in session.database.tables]
    return [name for name in names if name[0] in arguments[0]]


def _gtid_wait(session: SimulatedSession, _said: object, arguments: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    position, seconds = arguments
    kernel, pair = session.database.kernel, session.pair
    until = kernel.now + seconds
    while True:
        pair.replicate()
        if _has(session.database, position):
            return [(0,)]
        if kernel.now >= until:
            return [(-1,)]
        kernel.sleep(0.05)
        if pair.outside.world is not None:
            pair.outside.world.before(Call("time", "passes", writes=False), kernel.life)


def _has(database: Database, position: str) -> bool:
    for part in filter(None, position.split(",")):
        domain, _, number = part.split("-")
        have = database.written if int(domain) == database.domain else database.applied.get(int(domain), 0)
        if have < int(number):
            return False
    return True


def _slave_status(session: SimulatedSession, _said: object, _: tuple[Any, ...]) -> list[Any]:
    found = session.database
    if not found.follows:
        return []
    broken = found.kernel.now < session.pair.broken_until
    return [
        {
            "Slave_IO_Running": ("Connecting" if broken else "Yes") if found.runs else "No",
            "Slave_SQL_Running": "Yes" if found.runs else "No",
            "Last_IO_Error": "error connecting to master" if broken and found.runs else "",
            "Last_SQL_Error": "",
            "Seconds_Behind_Master": 0,
        }.items()
    ]


def _change_master(session: SimulatedSession, _said: object, _: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    if session.database.runs:
        raise DatabaseError("This operation cannot be performed as you have a running slave", 1198)
    session.database.follows = True
    return []


def _slave_position(
    session: SimulatedSession, _said: object, arguments: tuple[Any, ...]
) -> list[tuple[Any, ...]]:
    for part in filter(None, str(arguments[0]).split(",")):
        domain, _, number = part.split("-")
        if int(domain) != session.database.domain:
            session.database.applied[int(domain)] = int(number)
    return []


def _slave(follows: bool | None, runs: bool) -> Answer:
    def change(session: SimulatedSession, _said: object, _: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        if runs and not session.database.follows:
            raise DatabaseError("The server is not configured as slave", 1200)
        if follows is not None:
            session.database.follows = follows
        session.database.runs = runs
        return []

    return change


def _binlog(session: SimulatedSession, _said: object, _: tuple[Any, ...]) -> list[Any]:
    return [{"File": "binlog.000001", "Position": len(session.database.binlog)}.items()]


def _marker(
    session: SimulatedSession, said: re.Match[str], arguments: tuple[Any, ...]
) -> list[tuple[Any, ...]]:
    session.database.write(said.group(1), str(arguments[0]), "", MARKER_TABLE)
    return []


def _has_marker(
    session: SimulatedSession, said: re.Match[str], arguments: tuple[Any, ...]
) -> list[tuple[Any, ...]]:
    found = session.database.tables.get(f"{said.group(1)}.{MARKER_TABLE}", {})
    return [(1,)] if arguments[0] in found else []


def _markers(session: SimulatedSession, said: re.Match[str], _: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return [(len(session.database.tables.get(f"{said.group(1)}.{MARKER_TABLE}", {})),)]


def _fixed(*rows: tuple[Any, ...]) -> Answer:
    return lambda _session, _said, _arguments: list(rows)


def _position(session: SimulatedSession, _said: object, _: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return [(session.database.position(),)]


_TABLE = rf"`(\w+)`\.`{MARKER_TABLE}`"
_STATEMENTS: tuple[tuple[str, bool, Answer], ...] = (
    (r"SELECT 1$", False, _fixed((1,))),
    (r"SELECT VERSION", False, _fixed(("10.11.6-MariaDB",))),
    (r"SELECT COUNT\(\*\) FROM information_schema.ROUTINES", False, _fixed((0,))),
    (r"SET SESSION sql_log_bin", False, _fixed()),
    (r"SHOW GRANTS FOR (.+)$", False, _show_grants),
    (r"REVOKE (.+) ON (\S+) FROM (.+)$", True, _revoke),
    (r"GRANT (.+) ON (\S+) TO (.+)$", True, _grant),
    (r"SELECT ID, USER, HOST, COMMAND FROM information_schema.PROCESSLIST", False, _processes),
    (r"SELECT ID FROM information_schema.PROCESSLIST", False, _process_ids),
    (r"KILL (\d+)", True, _kill),
    (r"SELECT TABLE_SCHEMA", False, _tables),
    (r"SELECT @@GLOBAL.gtid_binlog_pos", False, _position),
    (r"SELECT MASTER_GTID_WAIT", False, _gtid_wait),
    (r"SHOW SLAVE STATUS", False, _slave_status),
    (r"CHANGE MASTER TO", True, _change_master),
    (r"SET GLOBAL gtid_slave_pos", True, _slave_position),
    (r"START SLAVE", True, _slave(None, runs=True)),
    (r"STOP SLAVE", True, _slave(None, runs=False)),
    (r"RESET SLAVE ALL", True, _slave(False, runs=False)),
    (r"SHOW MASTER STATUS", False, _binlog),
    (rf"INSERT INTO {_TABLE}", True, _marker),
    (rf"SELECT 1 FROM {_TABLE}", False, _has_marker),  # noqa: S608 - a pattern
    (rf"SELECT COUNT\(\*\) FROM {_TABLE}", False, _markers),  # noqa: S608 - a pattern
    (r"CREATE TABLE IF NOT EXISTS", True, _fixed()),
)


@dataclass
class SimulatedDms:
    """A client of DMS's API, with one task each way and the worker behind it."""

    pair: Pair
    status: dict[str, str] = field(default_factory=lambda: {"forward": "ready", "reverse": "ready"})
    place: int = 0
    """Up to where in the target's binlog the reverse task has read."""
    lag: float = 1.0
    failed: bool = False

    def __getattr__(self, operation: str) -> Any:
        answer = object.__getattribute__(self, f"_{operation}")
        call = Call("dms", operation, operation.startswith(("start_", "stop_")))
        return lambda **parameters: self.pair.outside.call(
            call, lambda: answer(**parameters), arguments=repr(parameters)
        )

    def _describe_replication_tasks(self, Filters: Any = None) -> Any:  # noqa: N803 - DMS's names
        wanted = Filters[0]["Values"] if Filters else list(self.status)
        return {
            "ReplicationTasks": [
                {
                    "ReplicationTaskArn": name,
                    "ReplicationTaskIdentifier": name,
                    "ReplicationInstanceArn": "instance",
                    "SourceEndpointArn": "a",
                    "TargetEndpointArn": "b",
                    "Status": "failed"
                    if self.failed and self.status[name] == "running"
                    else self.status[name],
                    "MigrationType": "cdc",
                    "StopReason": "NORMAL" if self.status[name] == "stopped" else "",
                }
                for name in wanted
            ]
        }

    def _describe_table_statistics(self, ReplicationTaskArn: str) -> Any:  # noqa: N803
        return {"TableStatistics": []}

    def _test_connection(self, **_: str) -> Any:
        return {}

    def _describe_connections(self, **_: Any) -> Any:
        return {"Connections": [{"Status": "successful"}]}

    def _start_replication_task(self, ReplicationTaskArn: str, CdcStartPosition: str = "", **_: str) -> Any:  # noqa: N803
        self.status[ReplicationTaskArn] = "running"
        if CdcStartPosition:
            self.place = int(CdcStartPosition.rpartition(":")[2])
        return {}

    def _stop_replication_task(self, ReplicationTaskArn: str) -> Any:  # noqa: N803
        self.status[ReplicationTaskArn] = "stopped"
        return {}

    def replicate(self) -> None:
        """The worker: applies to the source what the target has written itself, as its own user."""
        if self.status["reverse"] != "running" or self.failed:
            return
        source, target = self.pair.source, self.pair.target
        now = source.kernel.now
        while self.place < len(target.binlog):
            entry = target.binlog[self.place]
            if entry.at + self.lag > now:
                return
            self.place += 1
            if entry.domain == target.domain:
                schema, _, table = entry.table.partition(".")
                if source.tables.get(entry.table, {}).get(entry.key) != entry.value:
                    source.write(schema, entry.key, entry.value, table)


@contextmanager
def nothing() -> Iterator[None]:
    """A block that does nothing."""
    yield
