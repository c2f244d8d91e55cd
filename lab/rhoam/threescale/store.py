"""The system database, of either kind, as a URL names it; one connection a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
import pymysql
from psycopg.rows import dict_row

from lab.rhoam.threescale.schema import Kind, create_statements, releases_up_to

CONNECT_SECONDS = 5
STATEMENT_SECONDS = 20
FAILURES: tuple[type[Exception], ...] = (pymysql.MySQLError, psycopg.Error, OSError)

Row = Mapping[str, Any]


class Store:
    """Statements with `%s` for values, which both kinds take alike."""

    def __init__(self, url: str) -> None:
        """`url`: `mysql2://user:password@host/name`, or `postgresql://…`. Raises ValueError for another."""
        parts = urlsplit(url)
        kinds: dict[str, Kind] = {"mysql2": "mysql", "mysql": "mysql"}
        kinds |= {"postgresql": "postgresql", "postgres": "postgresql"}
        if parts.scheme not in kinds or not parts.hostname:
            raise ValueError(f"the database's URL must be mysql2:// or postgresql://, not {parts.scheme}://")
        self.kind = kinds[parts.scheme]
        self._host, self._port = parts.hostname, parts.port or (3306 if self.kind == "mysql" else 5432)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._name = parts.path.strip("/")
        self._local = threading.local()

    def rows(self, statement: str, *values: object) -> list[Row]:
        """What a query gives."""
        with self._cursor() as cursor:
            cursor.execute(statement, values)
            return [dict(row) for row in cursor.fetchall()]

    def row(self, statement: str, *values: object) -> Row | None:
        """The first row, or None."""
        found = self.rows(statement, *values)
        return found[0] if found else None

    def run(self, statement: str, *values: object) -> int:
        """Runs a statement that gives no rows; how many rows it changed."""
        with self._cursor() as cursor:
            cursor.execute(statement, values)
            return int(cursor.rowcount)

    def insert(self, table: str, **values: object) -> int:
        """Adds a row and commits it; its id."""
        columns, marks = ", ".join(values), ", ".join(["%s"] * len(values))
        statement = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 - its own names
        with self._cursor() as cursor:
            if self.kind == "mysql":
                cursor.execute(statement, tuple(values.values()))
                return int(cursor.lastrowid)
            cursor.execute(f"{statement} RETURNING id", tuple(values.values()))
            return int(cursor.fetchone()["id"])

    def migrate(self, version: str) -> bool:
        """Brings the tables to what a version of 3scale wants; whether they were made from nothing.

        Raises ValueError where the database is of a later version than this.
        """
        wanted = releases_up_to(version)
        made = not self._has_tables()
        if made:
            for statement in create_statements(self.kind):
                self.run(statement)
        done = {str(row["version"]) for row in self.rows("SELECT version FROM schema_migrations")}
        if later := done - {release.number for release in wanted}:
            raise ValueError(f"the database is of a later version than {version}: it has {', '.join(later)}")
        for release in wanted:
            if release.number not in done:
                for statement in release.statements:
                    self.run(statement)
                self.run("INSERT INTO schema_migrations (version) VALUES (%s)", release.number)
        return made

    def _has_tables(self) -> bool:
        where = "DATABASE()" if self.kind == "mysql" else "ANY(current_schemas(false))"
        query = (
            "SELECT count(*) AS n FROM information_schema.tables "  # noqa: S608 - its own text
            f"WHERE table_name = 'schema_migrations' AND table_schema = {where}"
        )
        found = self.row(query)
        return found is not None and int(found["n"]) > 0

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
        try:
            with connection.cursor() as cursor:
                yield cursor
        except FAILURES:
            self._local.connection = None
            connection.close()
            raise

    def _connect(self) -> Any:
        if self.kind == "mysql":
            return pymysql.connect(
                host=self._host,
                port=self._port,
                user=self._user,
                password=self._password,
                database=self._name,
                charset="utf8mb4",
                autocommit=True,
                connect_timeout=CONNECT_SECONDS,
                read_timeout=STATEMENT_SECONDS,
                write_timeout=STATEMENT_SECONDS,
                cursorclass=pymysql.cursors.DictCursor,
            )
        return psycopg.connect(
            host=self._host,
            port=self._port,
            user=self._user,
            password=self._password,
            dbname=self._name,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            row_factory=dict_row,
            options=f"-c statement_timeout={STATEMENT_SECONDS * 1000}",
        )


def stamps(tenant: int | None = None) -> dict[str, object]:
    """What every row has: its tenant and two times."""
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    return {"tenant_id": tenant, "created_at": now, "updated_at": now}


def placeholders(values: Sequence[object]) -> str:
    """`%s, %s, …` for an IN list."""
    return ", ".join(["%s"] * len(values))
