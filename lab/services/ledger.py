"""BOSS's tables in MySQL, reached through a small pool of connections."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TypeVar

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import Cursor

log = logging.getLogger(__name__)

CONNECT_SECONDS = 3
STATEMENT_SECONDS = 10
# `client_id` is not unique on purpose: a write that was carried out twice must show.
_TABLE = """
CREATE TABLE IF NOT EXISTS {name} (
    seq BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    client_id CHAR(36) CHARACTER SET ascii NOT NULL,
    amount DECIMAL(12, 2) NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    KEY client_id (client_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4
"""
TABLES = ("records", "usage_records")

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class DatabaseSettings:
    """Where the database is and as whom to log in; `ca` turns TLS on, checked against that file."""

    host: str
    port: int
    name: str
    user: str
    password: str
    ca: str | None
    connections: int


@dataclass(frozen=True)
class Row:
    """One row of either table."""

    client_id: str
    amount: Decimal


class Ledger:
    """The tables. Each call takes one connection of the pool; a connection that failed is thrown away.

    Methods raise `pymysql.MySQLError` or OSError; nothing is tried again.
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._local = threading.local()
        self._open: set[Connection[Cursor]] = set()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(settings.connections, thread_name_prefix="database")
        self._prepared = False

    async def prepare(self) -> None:
        """Makes the tables if they are absent, once, and makes sure that the database answers."""
        if not self._prepared:
            await self._run(self._create_tables)
            self._prepared = True
        await self._run(self._ping)

    async def add_record(self, row: Row) -> int:
        """Commits a row of `records` and gives its `seq`."""
        return await self._run(partial(self._insert_record, row))

    async def find_record(self, client_id: str) -> tuple[int, Decimal] | None:
        """`seq` and amount of the first row of `records` with this id."""
        return await self._run(partial(self._select_record, client_id))

    async def add_usage(self, rows: Sequence[Row], *, maybe_committed: bool) -> None:
        """Commits rows of `usage_records` in one transaction.

        With `maybe_committed` an earlier try at the same rows may have got through: those are left out.
        """
        await self._run(partial(self._insert_usage, rows, maybe_committed))

    async def close(self) -> None:
        """Waits for what is running and closes every connection."""
        await asyncio.to_thread(self._pool.shutdown)
        for connection in self._open:
            connection.close()

    async def _run(self, work: Callable[[Connection[Cursor]], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._with_connection, work)

    def _with_connection(self, work: Callable[[Connection[Cursor]], _Result]) -> _Result:
        connection: Connection[Cursor] | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
        try:
            return work(connection)
        except (pymysql.MySQLError, OSError):
            self._discard(connection)
            raise

    def _connect(self) -> Connection[Cursor]:
        settings = self._settings
        connection: Connection[Cursor] = pymysql.connect(
            host=settings.host,
            port=settings.port,
            user=settings.user,
            password=settings.password,
            database=settings.name,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=STATEMENT_SECONDS,
            write_timeout=STATEMENT_SECONDS,
            ssl={"ca": settings.ca} if settings.ca else None,
        )
        with self._lock:
            self._open.add(connection)
        return connection

    def _discard(self, connection: Connection[Cursor]) -> None:
        self._local.connection = None
        with self._lock:
            self._open.discard(connection)
        try:
            connection.close()
        except (pymysql.MySQLError, OSError) as error:
            log.debug("closing a broken connection: %s", error)

    @staticmethod
    def _create_tables(connection: Connection[Cursor]) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SHOW TABLES")
            present = {name for (name,) in cursor.fetchall()}
            for name in TABLES:
                if name not in present:  # IF NOT EXISTS alone would warn at every start
                    cursor.execute(_TABLE.format(name=name))

    @staticmethod
    def _ping(connection: Connection[Cursor]) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    @staticmethod
    def _insert_record(row: Row, connection: Connection[Cursor]) -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO records (client_id, amount) VALUES (%s, %s)", (row.client_id, row.amount)
            )
            return int(cursor.lastrowid)

    @staticmethod
    def _select_record(client_id: str, connection: Connection[Cursor]) -> tuple[int, Decimal] | None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT seq, amount FROM records WHERE client_id = %s ORDER BY seq LIMIT 1", (client_id,)
            )
            row = cursor.fetchone()
        return None if row is None else (int(row[0]), row[1])

    @staticmethod
    def _insert_usage(rows: Sequence[Row], maybe_committed: bool, connection: Connection[Cursor]) -> None:
        connection.begin()
        with connection.cursor() as cursor:
            present: set[str] = set()
            if maybe_committed:
                ids = [row.client_id for row in rows]
                cursor.execute("SELECT client_id FROM usage_records WHERE client_id IN %s", (ids,))
                present = {client_id for (client_id,) in cursor.fetchall()}
            absent = [(row.client_id, row.amount) for row in rows if row.client_id not in present]
            if absent:
                cursor.executemany("INSERT INTO usage_records (client_id, amount) VALUES (%s, %s)", absent)
        connection.commit()
