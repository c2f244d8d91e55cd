"""Following a server's binlog for the keys of the rows that change."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import threading
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pymysql
from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.event import HeartbeatLogEvent, QueryEvent, RotateEvent, XidEvent
from pymysqlreplication.row_event import DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent

from cutover.errors import StepError
from cutover.mysql import BinlogPosition, DatabaseError, Server, binlog_position
from cutover.verification.catalog import Column
from cutover.verification.keys import Key, KeyColumn
from cutover.verification.pair import TablePair
from cutover.verification.pending import PendingKeys

HEARTBEAT_SECONDS = 0.5
SILENCE_SECONDS = 30.0
"""A server that sends not even heartbeats for that long is taken for gone."""
_SERVER_IDS = (2_000_000_000, 2_147_000_000)
_IMAGES = ("values", "before_values", "after_values")
_RAW = "left as bytes"
"""No encoding's name: the library then leaves text as the bytes that it is."""
_DEFINITION = re.compile(
    r"\s*(ALTER|DROP|TRUNCATE|RENAME)\b(?!\s+(?:VIEW|INDEX|TRIGGER|EVENT))", re.IGNORECASE
)


# The library advises settings of the server that are not needed here, through this logger.
logging.getLogger("pymysqlreplication").setLevel(logging.ERROR)


class UnreadableKeyError(Exception):
    """A changed row's key cannot be told from the binlog."""


class Changes:
    """Collects the keys of changed rows of one server, in a thread of its own, into `pending`."""

    def __init__(
        self,
        server: Server,
        pairs: Mapping[str, TablePair],
        pending: PendingKeys,
        start: BinlogPosition,
        *,
        on_target: bool,
    ) -> None:
        self._server = server
        self._pairs = pairs
        self._pending = pending
        self._position = start
        self._on_target = on_target
        self._stop = threading.Event()
        self._failed: Exception | None = None
        self._connections: list[Any] = []
        self._thread = threading.Thread(target=self._run, name=f"changes of {server.name}", daemon=True)

    @property
    def position(self) -> BinlogPosition:
        """Up to where changes have been collected."""
        return self._position

    def start(self) -> None:
        """Begins to follow."""
        self._thread.start()

    def check(self) -> None:
        """Raises StepError where following has failed: changes since then are not known."""
        if self._failed is not None:
            raise StepError(
                f"the binlog of {self._server} can no longer be followed from {self._position}: "
                f"{self._failed}"
            ) from self._failed

    def wait_until(self, position: BinlogPosition, seconds: float) -> None:
        """Waits until changes up to there are collected. Raises StepError where that takes longer."""
        deadline = time.monotonic() + seconds
        while not self._position.reached(position):
            self.check()
            if time.monotonic() > deadline:
                raise StepError(
                    f"the changes of {self._server} have been collected up to {self._position} after "
                    f"{seconds:g} s, and not up to {position}"
                )
            time.sleep(0.001)
        self.check()

    def stop(self) -> None:
        """Ends following; waits for the thread."""
        self._stop.set()
        for connection in self._connections:
            # else it would wait for the next heartbeat
            with contextlib.suppress(OSError, AttributeError):  # closed already
                connection._sock.shutdown(socket.SHUT_RDWR)  # nothing public wakes a reader
        if self._thread.ident is not None:
            self._thread.join(SILENCE_SECONDS)

    def _run(self) -> None:
        try:
            self._follow()
        except Exception as error:  # noqa: BLE001 - told to whoever asks next, by check()
            if not self._stop.is_set():
                self._failed = error

    def _follow(self) -> None:
        stream = BinLogStreamReader(
            connection_settings={**self._server.arguments(), "read_timeout": SILENCE_SECONDS},
            server_id=_own_server_id(),
            blocking=True,
            resume_stream=True,
            log_file=self._position.file,
            log_pos=self._position.offset,
            only_events=[
                WriteRowsEvent,
                UpdateRowsEvent,
                DeleteRowsEvent,
                QueryEvent,
                RotateEvent,
                HeartbeatLogEvent,
                # what ends a transaction: without it the place would be known at the next heartbeat only
                XidEvent,
            ],
            slave_heartbeat=HEARTBEAT_SECONDS,
            freeze_schema=True,
            enable_logging=False,
            pymysql_wrapper=_connect_once(self._server, self._connections),
        )
        try:
            while not self._stop.is_set():
                event = stream.fetchone()
                if event is None:
                    raise DatabaseError(f"{self._server} ended the stream of its binlog")
                if isinstance(event, QueryEvent):
                    self._statement(event)
                elif isinstance(event, WriteRowsEvent | UpdateRowsEvent | DeleteRowsEvent):
                    self._rows(event)
                self._position = BinlogPosition(str(stream.log_file), int(stream.log_pos))
        finally:
            stream.close()

    def _rows(self, event: Any) -> None:
        place = f"{event.schema}.{event.table}"
        pair = self._pairs.get(place)
        if pair is None:
            return
        if pair.key is None:
            self._pending.add_whole(place)
            return
        table = pair.target if self._on_target else pair.source
        _describe(event, table.columns)
        try:
            self._pending.add(place, set(_keys(event, pair)))
        except UnreadableKeyError:
            self._pending.add_whole(place)

    def _statement(self, event: Any) -> None:
        """A change of a table's definition: what was read of it holds no longer."""
        statement = _text(event.query)
        found = _DEFINITION.match(statement)
        if found is None:
            return
        words = statement.replace("`", " ").replace(".", " ").replace(",", " ").split()
        schema = _text(event.schema)
        for place, pair in self._pairs.items():
            if pair.source.name in words and pair.source.schema in (schema, *words):
                raise StepError(
                    f"{place} was changed by {found.group(1).upper()} TABLE while it was verified: start the "
                    "verification anew, once both servers have the new definition"
                )


def _connect_once(server: Server, made: list[Any]) -> Any:
    """Connects the library, which would connect anew for ever without telling anyone; `made` keeps them."""

    def connect(**settings: Any) -> Any:
        if len(made) >= 2:  # one for the stream, one for questions
            raise DatabaseError(f"the connection to {server} that follows its binlog was lost")
        settings["database"] = settings.pop("db", None)  # the older name of it
        made.append(pymysql.connect(**{**settings, "connect_timeout": 5}))
        return made[-1]

    return connect


def _own_server_id() -> int:
    """An id that no replica of the server has, nor another follower."""
    first, last = _SERVER_IDS
    return first + (time.monotonic_ns() ^ threading.get_ident()) % (last - first)


def _describe(event: Any, columns: tuple[Column, ...]) -> None:
    """Tells the library what the binlog does not say of the columns unless binlog_row_metadata is FULL."""
    described = event.columns
    if len(described) != len(columns):
        raise StepError(
            f"the binlog has {len(described)} columns of {event.schema}.{event.table}, its definition "
            f"{len(columns)}: it was altered; start the verification anew"
        )
    for column, known in zip(described, columns, strict=True):
        column.name = known.name
        column.unsigned = known.unsigned
        column.character_set_name = _RAW
        if known.type == "enum":
            column.enum_values = ["", *known.labels]
        elif known.type == "set":
            column.set_values = list(known.labels)


def _keys(event: Any, pair: TablePair) -> list[Key]:
    images = [row[image] for row in event.rows for image in _IMAGES if image in row]
    key = pair.key
    if key is None:
        return []
    return [tuple(_key_text(part, image.get(part.column.name)) for part in key.columns) for image in images]


def _key_text(part: KeyColumn, value: Any) -> str:
    """A value of the binlog as the server's own text of the key. Raises UnreadableKeyError."""
    column = part.column
    if value is None:
        # Keys have no NULL: a zero date, an empty set, or a row image that leaves the key out.
        raise UnreadableKeyError(column.name)
    if part.in_hex:
        if column.type == "set":
            value = ",".join(label for label in column.labels if label in value)
        data = value if isinstance(value, bytes) else str(value).encode()
        if column.type == "binary":
            data = data.ljust(column.octets, b"\0")  # the binlog leaves out the zeros at the end
        return data.hex().upper()
    if column.type in ("datetime", "timestamp", "time"):
        return _time_text(column, value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value)


def _time_text(column: Column, value: Any) -> str:
    digits = int(column.full_type.partition("(")[2].rstrip(")") or 0)
    if column.type == "time":
        total = round(value.total_seconds() * 1_000_000)
        sign, total = ("-" if total < 0 else ""), abs(total)
        seconds, fraction = divmod(total, 1_000_000)
        text = f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    else:
        fraction = value.microsecond
        text = value.strftime("%Y-%m-%d %H:%M:%S")
    return f"{text}.{fraction:06d}"[: len(text) + 1 + digits] if digits else text


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def followable(server: Server) -> tuple[BinlogPosition | None, str]:
    """Where a server's binlog stands, or why it cannot be followed."""
    try:
        with server.connect() as session:
            image = (session.variable("binlog_row_image") or "FULL").upper()
            if session.variable("binlog_format") != "ROW":
                return None, f"the binlog of {server} is not in the format ROW"
            if image == "MINIMAL":
                return None, f"binlog_row_image of {server} is MINIMAL: an update's new key may be left out"
            return binlog_position(session), ""
    except DatabaseError as error:
        return None, str(error)
