"""`python -m lab.replication.dms_worker JOB STATUS`: what DMS does behind its API, between two MySQL servers.

It has DMS's habits. A full load copies rows, and what it makes itself is tables with columns and a primary
key: no secondary indexes, foreign keys, triggers, counters or users. Changes are read from the binlog and
applied one by one, in their order, `lag` seconds after they were read. A row that cannot be applied suspends
its table, and the task goes on with the others. A source that goes away ends the task, which says it stopped.

JOB is a JSON file (a Job), which holds passwords; STATUS is replaced whenever something changes.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pymysql
from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.event import HeartbeatLogEvent, RotateEvent
from pymysqlreplication.row_event import DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent

LOADED_AT_ONCE = 1000
_READ_SECONDS = 30
WAKE_SECONDS = 0.02


@dataclass(frozen=True)
class End:
    """A server as an endpoint names it."""

    host: str
    port: int
    user: str
    password: str
    ca: str | None = None

    def connect(self) -> pymysql.Connection[pymysql.cursors.Cursor]:
        """A connection; raises pymysql.MySQLError or OSError."""
        return pymysql.connect(**self.arguments(), autocommit=True, init_command="SET time_zone = '+00:00'")

    def arguments(self) -> dict[str, Any]:
        """What pymysql takes."""
        found: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "charset": "utf8mb4",
            "connect_timeout": 5,
        }
        return found | ({"ssl_ca": self.ca, "ssl_verify_cert": True} if self.ca else {})


@dataclass(frozen=True)
class Job:
    """What a task is to do."""

    source: End
    target: End
    schemas: tuple[str, ...]
    tables: tuple[str, ...]
    """Patterns with `%`."""
    load: bool
    changes: bool
    position: str | None
    """`file:offset` in the source's binlog to follow from; None: where it stands now."""
    prepare: str = "TRUNCATE_BEFORE_LOAD"
    """TRUNCATE_BEFORE_LOAD, DROP_AND_CREATE or DO_NOTHING."""
    lag: float = 1.0
    """Seconds by which a change is applied later than it was made."""

    @staticmethod
    def read(path: Path) -> Job:
        """From a file."""
        found = json.loads(path.read_text(encoding="utf-8"))
        found |= {side: End(**found[side]) for side in ("source", "target")}
        found |= {name: tuple(found[name]) for name in ("schemas", "tables")}
        return Job(**found)


@dataclass
class TableStatus:
    """What DescribeTableStatistics tells of a table."""

    schema: str
    name: str
    state: str = "Table is being loaded"
    loaded: int = 0
    inserts: int = 0
    updates: int = 0
    deletes: int = 0
    error: str = ""


@dataclass
class Status:
    """What DescribeReplicationTasks tells, besides the tables."""

    state: str = "starting"
    """starting, running, stopped or failed."""
    reason: str = ""
    position: str = ""
    """Up to where changes were applied."""
    progress: int = 0
    latency: float = 0.0
    """Seconds from when the change that was applied last was read until it was applied."""
    tables: list[TableStatus] = field(default_factory=list)


@dataclass(frozen=True)
class Arrival:
    """A change that was read from the binlog, or the reason why no more will be."""

    moment: float
    event: Any
    position: str
    error: Exception | None = None


class Worker:
    """One task, from its start to its end."""

    def __init__(self, job: Job, status: Path) -> None:
        self._job = job
        self._path = status
        self._status = Status()
        self._tables: dict[tuple[str, str], TableStatus] = {}
        self._columns: dict[tuple[str, str], list[tuple[str, str, str | None, bool]]] = {}
        self.stop = threading.Event()

    def run(self) -> None:
        """Loads and follows until it is stopped, or something fails."""
        try:
            with (
                contextlib.closing(self._job.source.connect()) as source,
                contextlib.closing(self._job.target.connect()) as target,
            ):
                self._work(source, target)
            self._say("stopped", "NORMAL")
        except (pymysql.MySQLError, OSError) as error:
            # DMS ends a task whose source went away as stopped, and not always as failed.
            self._say("stopped", f"SOURCE_OR_TARGET_LOST {error}")

    def _work(self, source: Any, target: Any) -> None:
        with target.cursor() as cursor:
            cursor.execute("SET SESSION sql_mode = '', foreign_key_checks = 0")
        start = self._job.position or _end_of_binlog(source)
        self._find_tables(source)
        self._say("running")
        if self._job.load:
            for number, key in enumerate(self._tables):
                self._load(target, key)
                self._status.progress = (number + 1) * 100 // len(self._tables)
                self._say("running")
        for table in self._tables.values():
            if table.state != "Table error":
                table.state = "Table completed"
        self._status.progress = 100
        self._say("running")
        if self._job.changes:
            self._follow(target, start)

    def _find_tables(self, source: Any) -> None:
        with source.cursor() as cursor:
            cursor.execute(
                "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, CHARACTER_SET_NAME, COLUMN_KEY "
                "FROM information_schema.COLUMNS "
                "JOIN information_schema.TABLES USING (TABLE_SCHEMA, TABLE_NAME) "
                "WHERE TABLE_SCHEMA IN %s AND TABLE_TYPE = 'BASE TABLE' "
                "ORDER BY TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION",
                (self._job.schemas,),
            )
            for schema, name, column, kind, charset, key in cursor.fetchall():
                if any(fnmatch.fnmatchcase(name, pattern.replace("%", "*")) for pattern in self._job.tables):
                    self._columns.setdefault((schema, name), []).append((column, kind, charset, key == "PRI"))
        self._tables = {key: TableStatus(*key) for key in self._columns}
        self._status.tables = list(self._tables.values())

    def _load(self, target: Any, key: tuple[str, str]) -> None:
        table, place = self._tables[key], _quoted(*key)
        columns = self._columns[key]
        try:
            with target.cursor() as writing:
                if self._job.prepare == "DROP_AND_CREATE":
                    writing.execute(f"DROP TABLE IF EXISTS {place}")
                    writing.execute(f"CREATE TABLE {place} ({_bare_definition(columns)})")
                elif self._job.prepare == "TRUNCATE_BEFORE_LOAD":
                    writing.execute(f"DELETE FROM {place}")  # noqa: S608
                marks = ",".join(["%s"] * len(columns))
                with (
                    contextlib.closing(self._job.source.connect()) as reading,
                    reading.cursor(pymysql.cursors.SSCursor) as cursor,
                ):
                    cursor.execute(f"SELECT {','.join(_quoted(c[0]) for c in columns)} FROM {place}")  # noqa: S608
                    while rows := cursor.fetchmany(LOADED_AT_ONCE):
                        writing.executemany(f"REPLACE INTO {place} VALUES ({marks})", rows)  # noqa: S608
                        table.loaded += len(rows)
                        if self.stop.is_set():
                            return
            table.state = "Table completed"
        except pymysql.MySQLError as error:
            self._suspend(table, error)

    def _follow(self, target: Any, start: str) -> None:
        """Applies changes in their order, each once it was read `lag` seconds ago."""
        # a SimpleQueue waits for ever where a signal comes in the moment in which its time is over
        arrived: queue.Queue[Arrival] = queue.Queue()
        reader = threading.Thread(target=self._read, args=(start, arrived), daemon=True)
        reader.start()
        try:
            while not self.stop.is_set():
                try:
                    arrival = arrived.get(timeout=WAKE_SECONDS)
                except queue.Empty:
                    continue
                if arrival.error is not None:
                    raise arrival.error
                self._delay(arrival.moment + self._job.lag)
                if self.stop.is_set():
                    return  # what was not applied is read again from the position that was told
                self._apply(target, (arrival.event.schema, arrival.event.table), arrival.event)
                self._status.position = arrival.position
                self._status.latency = round(time.monotonic() - arrival.moment, 3)
                self._say("running")
        finally:
            # a thread that still runs while the interpreter ends may keep it from ending
            self.stop.set()
            reader.join(_READ_SECONDS)

    def _read(self, start: str, arrived: queue.Queue[Arrival]) -> None:
        """Reads the source's binlog without waiting for what is applied."""
        file, _, offset = start.rpartition(":")
        stream = BinLogStreamReader(
            connection_settings={**self._job.source.arguments(), "read_timeout": _READ_SECONDS},
            server_id=3_000_000_000 + os.getpid() % 1_000_000,
            blocking=True,
            resume_stream=True,
            log_file=file,
            log_pos=int(offset),
            only_events=[WriteRowsEvent, UpdateRowsEvent, DeleteRowsEvent, RotateEvent, HeartbeatLogEvent],
            slave_heartbeat=0.1,
            enable_logging=False,
            freeze_schema=True,
            pymysql_wrapper=_connect_once(),
        )
        try:
            with contextlib.closing(stream):
                while not self.stop.is_set():
                    event = stream.fetchone()
                    if event is None:
                        raise pymysql.OperationalError(2013, "the source ended its binlog")
                    rows = isinstance(event, WriteRowsEvent | UpdateRowsEvent | DeleteRowsEvent)
                    if rows and (event.schema, event.table) in self._tables:
                        place = f"{stream.log_file}:{stream.log_pos}"
                        arrived.put(Arrival(time.monotonic(), event, place))
        except (pymysql.MySQLError, OSError) as error:
            arrived.put(Arrival(time.monotonic(), None, "", error))

    def _delay(self, until: float) -> None:
        while not self.stop.is_set() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, WAKE_SECONDS))

    def _apply(self, target: Any, key: tuple[str, str], event: Any) -> None:
        table, columns = self._tables[key], self._columns[key]
        if table.state == "Table error":
            return
        names = [column[0] for column in columns]
        primary = [column[0] for column in columns if column[3]] or names
        for column, (name, kind, charset, _) in zip(event.columns, columns, strict=True):
            column.name, column.unsigned = name, "unsigned" in kind
            column.character_set_name = charset or "left as bytes"
        place = _quoted(*key)
        try:
            with target.cursor() as cursor:
                for row in event.rows:
                    if isinstance(event, WriteRowsEvent):
                        marks = ",".join(["%s"] * len(names))
                        insert = f"INSERT INTO {place} VALUES ({marks})"  # noqa: S608
                        cursor.execute(insert, _in_order(row["values"], names))
                        table.inserts += 1
                    elif isinstance(event, UpdateRowsEvent):
                        sets = ",".join(f"{_quoted(name)}=%s" for name in names)
                        where, values = _where(row["before_values"], primary)
                        cursor.execute(
                            f"UPDATE {place} SET {sets} WHERE {where}",  # noqa: S608
                            [*_in_order(row["after_values"], names), *values],
                        )
                        table.updates += 1
                    else:
                        where, values = _where(row["values"], primary)
                        cursor.execute(f"DELETE FROM {place} WHERE {where} LIMIT 1", values)  # noqa: S608
                        table.deletes += 1
        except pymysql.MySQLError as error:
            self._suspend(table, error)

    def _suspend(self, table: TableStatus, error: Exception) -> None:
        table.state, table.error = "Table error", str(error)

    def _say(self, state: str, reason: str = "") -> None:
        self._status.state, self._status.reason = state, reason
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(asdict(self._status)), encoding="utf-8")
        new.replace(self._path)


def _end_of_binlog(source: Any) -> str:
    with source.cursor() as cursor:
        cursor.execute("SHOW MASTER STATUS")
        found = cursor.fetchone()
    if found is None:
        raise pymysql.OperationalError(1236, "the source writes no binlog")
    return f"{found[0]}:{found[1]}"


def _connect_once() -> Any:
    """The library would connect anew for ever: a source that went away would go unnoticed."""
    made: list[int] = []

    def connect(**settings: Any) -> Any:
        made.append(1)
        if len(made) > 2:
            raise pymysql.OperationalError(2003, "the connection to the source was lost")
        settings["database"] = settings.pop("db", None)
        return pymysql.connect(**settings)

    return connect


def _bare_definition(columns: Sequence[tuple[str, str, str | None, bool]]) -> str:
    """Columns and a primary key: what DMS makes of a table."""
    parts = [
        f"{_quoted(name)} {kind}{f' CHARACTER SET {charset}' if charset else ''}{' NOT NULL' if key else ''}"
        for name, kind, charset, key in columns
    ]
    if primary := [_quoted(name) for name, _, _, key in columns if key]:
        parts.append(f"PRIMARY KEY ({','.join(primary)})")
    return ",".join(parts)


def _where(image: Mapping[str, Any], names: Sequence[str]) -> tuple[str, list[Any]]:
    return " AND ".join(f"{_quoted(name)}<=>%s" for name in names), _in_order(image, names)


def _in_order(image: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    return [",".join(sorted(value)) if isinstance(value := image[name], set) else value for name in names]


def _quoted(*names: str) -> str:
    return ".".join("`" + name.replace("`", "``") + "`" for name in names)


def main(arguments: Sequence[str]) -> int:
    """Runs one task until it is stopped."""
    job = Path(arguments[0])
    worker = Worker(Job.read(job), Path(arguments[1]))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop.set())
    worker.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
