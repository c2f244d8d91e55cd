"""A PostgreSQL server, and sessions on it that are the same whatever the server's defaults are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import sql

from cutover.errors import StepError
from cutover.masking import keep_secret

CONNECT_SECONDS = 5
STATEMENT_SECONDS = 60.0
_SHOWN_CHARACTERS = 200
_SAME_EVERYWHERE = (
    "SET TimeZone TO 'UTC'; SET DateStyle TO 'ISO, YMD'; SET IntervalStyle TO 'postgres'; "
    "SET bytea_output TO 'hex'; SET extra_float_digits TO 1; SET client_encoding TO 'UTF8'"
)


class PostgresError(StepError):
    """A server refused something, or could not be reached."""

    def __init__(self, text: str, state: str = "") -> None:
        super().__init__(text)
        self.state = state
        """The SQLSTATE; empty where there is none."""


@dataclass(frozen=True)
class PostgresServer:
    """Where a server answers, and as whom to sign in."""

    name: str
    """What people call it."""
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    ca: str | None = None
    """A PEM file with the authorities that may have signed its certificate; with it the host is verified."""

    def __post_init__(self) -> None:
        keep_secret(self.password)

    def __str__(self) -> str:
        return f"{self.name} ({self.host}:{self.port})"

    def environment(self, database: str) -> dict[str, str]:
        """What a program of PostgreSQL's reads from its environment: nothing stands in a process list."""
        found = {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": database,
            "PGCONNECT_TIMEOUT": str(CONNECT_SECONDS),
            "PGSSLMODE": "verify-full" if self.ca else "prefer",
            "PGTZ": "UTC",
        }
        return found | ({"PGSSLROOTCERT": self.ca} if self.ca else {})

    def connect(self, database: str, *, seconds: float = STATEMENT_SECONDS) -> PostgresSession:
        """A session with autocommit; `seconds`: how long one statement may take. Raises PostgresError."""
        try:
            connection = psycopg.connect(
                host=self.host,
                port=self.port,
                user=self.user,
                password=self.password,
                dbname=database,
                autocommit=True,
                connect_timeout=CONNECT_SECONDS,
                sslmode="verify-full" if self.ca else "prefer",
                sslrootcert=self.ca or "",
                options=f"-c statement_timeout={max(1, round(seconds * 1000))}",
                # a server that went away is noticed, whatever a statement waits for
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=3,
            )
        except psycopg.Error as error:
            raise PostgresError(f"{self} could not be connected to: {_text(error)}", _state(error)) from error
        session = PostgresSession(self, database, connection)
        try:
            session.script(_SAME_EVERYWHERE)
        except PostgresError:
            session.close()
            raise
        return session


class PostgresSession:
    """One connection. Methods raise PostgresError."""

    def __init__(
        self, server: PostgresServer, database: str, connection: psycopg.Connection[tuple[Any, ...]]
    ) -> None:
        self.server = server
        self.database = database
        self._connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def version(self) -> str:
        """Such as `PostgreSQL 15.4`."""
        number = self._connection.info.server_version
        return f"PostgreSQL {number // 10000}.{number % 10000}"

    def script(self, statements: str) -> None:
        """Runs statements that answer nothing."""
        with self._cursor(statements) as cursor:
            cursor.execute(_sql(statements))

    def execute(self, statement: str, arguments: Sequence[Any] = ()) -> int:
        """Runs a statement; returns how many rows it changed."""
        with self._cursor(statement) as cursor:
            cursor.execute(_sql(statement), arguments or None)
            return cursor.rowcount

    def rows(self, statement: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._cursor(statement) as cursor:
            cursor.execute(_sql(statement), arguments or None)
            return cursor.fetchall()

    def value(self, statement: str, arguments: Sequence[Any] = ()) -> Any:
        """The first value of a query's first row; None where there is no row."""
        found = self.rows(statement, arguments)
        return found[0][0] if found else None

    def stream(self, statement: str, at_once: int = 2000) -> Iterator[tuple[Any, ...]]:
        """The rows of a query as they come, none kept here."""
        try:
            with (
                self._connection.transaction(),
                self._connection.cursor(name="landfall") as cursor,
            ):
                cursor.itersize = at_once
                cursor.execute(_sql(statement))
                yield from cursor
        except psycopg.Error as error:
            raise self._error(error, statement) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        try:
            with self._connection.transaction():
                yield
        except psycopg.Error as error:
            raise self._error(error, "the end of a transaction") from error

    def close(self) -> None:
        """Ends the connection; never raises."""
        self._connection.close()

    @contextmanager
    def _cursor(self, statement: str) -> Iterator[psycopg.Cursor[tuple[Any, ...]]]:
        try:
            with self._connection.cursor() as cursor:
                yield cursor
        except psycopg.Error as error:
            raise self._error(error, statement) from error

    def _error(self, error: psycopg.Error, statement: str) -> PostgresError:
        shown = " ".join(statement.split())[:_SHOWN_CHARACTERS]
        return PostgresError(f"{self.server}: {_text(error)}, at: {shown}", _state(error))


def quoted(*names: str) -> str:
    """Identifiers in double quotes, joined by dots."""
    return sql.Identifier(*names).as_string()


def _sql(statement: str) -> sql.SQL:
    """Statements are put together from constants and quoted names."""
    return sql.SQL(statement)


def _state(error: psycopg.Error) -> str:
    return error.sqlstate or ""


def _text(error: psycopg.Error) -> str:
    """What the server says, without the row that it may show."""
    primary = error.diag.message_primary
    return primary or " ".join(str(error).split()) or type(error).__name__
