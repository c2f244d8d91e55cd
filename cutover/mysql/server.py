"""A MySQL or MariaDB server, and sessions on it that are the same whatever the server's defaults are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

import pymysql
from pymysql.constants import CR, ER
from pymysql.converters import conversions
from pymysql.cursors import SSCursor

from cutover.errors import StepError
from cutover.masking import keep_secret

CONNECT_SECONDS = 5.0
STATEMENT_SECONDS = 60.0
_SHORTEST_SECONDS = 0.1
_SHOWN_CHARACTERS = 200
_LOST = (CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, CR.CR_CONN_HOST_ERROR, CR.CR_CONNECTION_ERROR)
_REFUSED = (ER.OPTION_PREVENTS_STATEMENT, 1836)
"""1290, and 1836 (ER_READ_ONLY_MODE): the server takes no writes."""


class DatabaseError(StepError):
    """A server refused something, or could not be reached."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code
        """MySQL's number of the error; 0 where there is none."""

    @property
    def read_only(self) -> bool:
        """Whether the server refused because it takes no writes."""
        return self.code in _REFUSED


class LostConnectionError(DatabaseError):
    """The connection ended: whether the last statement took effect is unknown."""


@dataclass(frozen=True)
class Flavour:
    """Whose server it is, and which version."""

    family: Literal["mysql", "mariadb"]
    version: tuple[int, ...]

    def __str__(self) -> str:
        name = "MariaDB" if self.family == "mariadb" else "MySQL"
        return f"{name} {'.'.join(map(str, self.version))}"

    @staticmethod
    def parse(text: str) -> Flavour:
        """From what `SELECT VERSION()` answers. Raises ValueError."""
        # Old MariaDB says 5.5.5-10.11.6-MariaDB to clients that expect a MySQL 5.
        found = re.match(r"(?:5\.5\.5-)?(\d+(?:\.\d+)+)", text)
        if not found:
            raise ValueError(f"expected a version such as 8.4.3, not {text!r}")
        family: Literal["mysql", "mariadb"] = "mariadb" if "mariadb" in text.lower() else "mysql"
        return Flavour(family, tuple(int(part) for part in found.group(1).split(".")))


@dataclass(frozen=True)
class Server:
    """Where a server answers, and as whom to sign in."""

    name: str
    """What people call it, such as `source`."""
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    ca: str | None = None
    """A PEM file with the authorities that may have signed its certificate; with it, TLS is required."""
    verify_name: bool = True
    """Whether the certificate must name the host."""

    def __post_init__(self) -> None:
        keep_secret(self.password)

    def __str__(self) -> str:
        return f"{self.name} ({self.host}:{self.port})"

    def arguments(self) -> dict[str, Any]:
        """What pymysql.connect takes to reach it."""
        found: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "charset": "utf8mb4",
        }
        if self.ca is not None:
            found |= {"ssl_ca": self.ca, "ssl_verify_cert": True, "ssl_verify_identity": self.verify_name}
        return found

    def connect(
        self, schema: str | None = None, *, seconds: float = STATEMENT_SECONDS, raw: bool = False
    ) -> Session:
        """A session with autocommit.

        Args:
            seconds: how long one statement may take. Signing in may take `CONNECT_SECONDS` at most: who
                accepts a connection and then says nothing (a proxy before a server that hangs) is not waited
                for longer.
            raw: values are read as the text that the server sends, or as bytes, and not as Python's types.

        Raises:
            DatabaseError: it cannot be reached, or does not let us in.
        """
        arguments = self.arguments()
        if raw:
            arguments["conv"] = {kind: how for kind, how in conversions.items() if not isinstance(kind, int)}
        patience = max(min(CONNECT_SECONDS, seconds), _SHORTEST_SECONDS)
        try:
            connection = pymysql.connect(
                **arguments,
                database=schema,
                autocommit=True,
                connect_timeout=max(1, round(patience)),
                read_timeout=patience,
                write_timeout=patience,
            )
        except (pymysql.MySQLError, OSError) as error:
            raise DatabaseError(f"{self} could not be connected to: {_text(error)}", _code(error)) from error
        session = Session(self, connection)
        try:
            # The server's defaults for the zone, for modes and for the collation must not change an answer.
            session.execute("SET SESSION time_zone = '+00:00', sql_mode = ''")
        except DatabaseError:
            session.close()
            raise
        session.allow(seconds)
        return session


class Session:
    """One connection. Methods raise DatabaseError, or LostConnectionError where the connection ended."""

    def __init__(self, server: Server, connection: pymysql.Connection[pymysql.cursors.Cursor]) -> None:
        self.server = server
        self._connection = connection
        self._flavour: Flavour | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def flavour(self) -> Flavour:
        """The server's flavour, asked once."""
        if self._flavour is None:
            self._flavour = Flavour.parse(str(self.value("SELECT VERSION()")))
        return self._flavour

    @property
    def thread(self) -> int:
        """The connection's id on the server."""
        return int(self.value("SELECT CONNECTION_ID()"))

    def execute(self, statement: str, arguments: Sequence[Any] = ()) -> int:
        """Runs a statement; returns how many rows it changed."""
        with self._cursor(statement) as cursor:
            return int(cursor.execute(statement, arguments or None))

    def rows(self, statement: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._cursor(statement) as cursor:
            cursor.execute(statement, arguments or None)
            return list(cursor.fetchall())

    def row(self, statement: str, arguments: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row of a query, if there is one."""
        with self._cursor(statement) as cursor:
            cursor.execute(statement, arguments or None)
            return cursor.fetchone()

    def value(self, statement: str, arguments: Sequence[Any] = ()) -> Any:
        """The first value of a query's first row; None where there is no row."""
        found = self.row(statement, arguments)
        return None if found is None else found[0]

    def records(self, statement: str, arguments: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """All rows of a query, by column name; for SHOW, whose columns differ between versions."""
        with self._cursor(statement) as cursor:
            cursor.execute(statement, arguments or None)
            names = [str(column[0]) for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def stream(self, statement: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a query as they come, none kept here; nothing else may be asked until they end."""
        with self._cursor(statement, SSCursor) as cursor:
            cursor.execute(statement)
            while row := cursor.fetchone():
                yield row

    def variable(self, name: str) -> str | None:
        """A global variable; None where this server has none of that name."""
        found = self.row("SHOW GLOBAL VARIABLES LIKE %s", (name.replace("_", r"\_"),))
        return None if found is None else str(found[1])

    def ping(self) -> None:
        """Asks for a sign of life, without connecting anew."""
        self.value("SELECT 1")

    def allow(self, seconds: float) -> None:
        """How long a statement may take from now on; one without an answer by then costs the connection."""
        connection: Any = self._connection
        connection._read_timeout = connection._write_timeout = max(seconds, _SHORTEST_SECONDS)

    def abort(self) -> None:
        """Cuts the connection without a word to the server."""
        connection: Any = self._connection
        connection._force_close()

    def close(self) -> None:
        """Ends the connection; never raises."""
        if self._connection.open:
            try:
                self._connection.close()
            except (pymysql.MySQLError, OSError):
                self.abort()

    @contextmanager
    def _cursor(
        self, statement: str, how: type[pymysql.cursors.Cursor] = pymysql.cursors.Cursor
    ) -> Iterator[pymysql.cursors.Cursor]:
        try:
            with self._connection.cursor(how) as cursor:
                yield cursor
        except (pymysql.MySQLError, OSError, AttributeError) as error:
            # A connection that was cut while a statement ran shows as an attribute of None.
            code = _code(error)
            lost = code in _LOST or isinstance(error, pymysql.InterfaceError | OSError | AttributeError)
            kind = LostConnectionError if lost else DatabaseError
            shown = " ".join(statement.split())[:_SHOWN_CHARACTERS]
            raise kind(f"{self.server}: {_text(error)}, at: {shown}", code) from error


def quoted(*names: str) -> str:
    """Identifiers in backticks, joined by dots."""
    return ".".join("`" + name.replace("`", "``") + "`" for name in names)


def _code(error: BaseException) -> int:
    first = error.args[0] if error.args else None
    return first if isinstance(error, pymysql.MySQLError) and isinstance(first, int) else 0


def _text(error: BaseException) -> str:
    if isinstance(error, pymysql.MySQLError) and len(error.args) > 1:
        return f"{error.args[1]} ({error.args[0]})"
    return str(error) or type(error).__name__
