"""A service's small pool of connections to MySQL. Nothing is ever tried again."""

from __future__ import annotations

import asyncio
import logging
import select
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from lab.services.variables import Variables

log = logging.getLogger(__name__)

CONNECT_SECONDS = 3
STATEMENT_SECONDS = 10
PORT = "3306"

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

    @classmethod
    def from_variables(cls, variables: Variables) -> DatabaseSettings:
        """From DATABASE_HOST, DATABASE_PORT and DATABASE_NAME, or from a whole DATABASE_URL."""
        url = variables.optional("DATABASE_URL")
        host, port, name = _parts(url, variables) if url else _entries(variables)
        return cls(
            host=host,
            port=port,
            name=name,
            user=variables.text("DATABASE_USER"),
            password=variables.text("DATABASE_PASSWORD"),
            ca=variables.optional("DATABASE_TLS_CA"),
            connections=int(variables.number("DATABASE_CONNECTIONS", "4")),
        )


def _entries(variables: Variables) -> tuple[str, int, str]:
    port = int(variables.number("DATABASE_PORT", PORT))
    return variables.text("DATABASE_HOST"), port, variables.text("DATABASE_NAME")


def _parts(url: str, variables: Variables) -> tuple[str, int, str]:
    try:
        found = urlsplit(url)
        host, port, name = found.hostname, found.port or int(PORT), found.path.strip("/")
    except ValueError:
        host = None
    if not host or found.scheme != "mysql" or not name or "/" in name:
        variables.problem(f"DATABASE_URL must be like mysql://host:3306/name, not {url!r}")
        return "", 0, ""
    return host, port, name


class Pool:
    """Each call takes one connection; a connection that failed is thrown away.

    `tables`: the statements that make the tables, by name. Methods raise `pymysql.MySQLError` or OSError.
    """

    def __init__(self, settings: DatabaseSettings, tables: Mapping[str, str]) -> None:
        self._settings = settings
        self._tables = tables
        self._local = threading.local()
        self._open: set[Connection[Cursor]] = set()
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(settings.connections, thread_name_prefix="database")
        self._prepared = False

    async def prepare(self) -> None:
        """Makes the tables if they are absent, once, and makes sure that the database answers."""
        if not self._prepared:
            await self.run(self._create_tables)
            self._prepared = True
        await self.run(_ping)

    async def run(self, work: Callable[[Connection[Cursor]], _Result]) -> _Result:
        """What `work` gives for a connection, which is in autocommit."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._with_connection, work)

    async def close(self) -> None:
        """Waits for what is running and closes every connection."""
        await asyncio.to_thread(self._threads.shutdown)
        for connection in self._open:
            connection.close()

    def _with_connection(self, work: Callable[[Connection[Cursor]], _Result]) -> _Result:
        connection: Connection[Cursor] | None = getattr(self._local, "connection", None)
        if connection is not None and _ended(connection):
            self._discard(connection)
            connection = None
        if connection is None:
            connection = self._local.connection = open_connection(self._settings)
            with self._lock:
                self._open.add(connection)
        try:
            return work(connection)
        except (pymysql.MySQLError, OSError):
            self._discard(connection)
            raise

    def _discard(self, connection: Connection[Cursor]) -> None:
        self._local.connection = None
        with self._lock:
            self._open.discard(connection)
        try:
            connection.close()
        except (pymysql.MySQLError, OSError) as error:
            log.debug("closing a broken connection: %s", error)

    def _create_tables(self, connection: Connection[Cursor]) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SHOW TABLES")
            present = {name for (name,) in cursor.fetchall()}
            for name, statement in self._tables.items():
                if name not in present:  # IF NOT EXISTS alone would warn at every start
                    cursor.execute(statement)


def open_connection(settings: DatabaseSettings) -> Connection[Cursor]:
    """A connection in autocommit. Raises pymysql.MySQLError or OSError."""
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
    return connection


def _ended(connection: Connection[Cursor]) -> bool:
    """Whether the server has said unasked that it has ended the connection; nothing is asked of it."""
    raw = getattr(connection, "_sock", None)
    return raw is None or bool(select.select([raw], [], [], 0)[0])


def _ping(connection: Connection[Cursor]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
