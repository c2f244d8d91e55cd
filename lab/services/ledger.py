"""BOSS's tables in MySQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

import pymysql
from pymysql.connections import Connection
from pymysql.constants import ER
from pymysql.cursors import Cursor

from lab.services.database import Pool

# `client_id` and `id` are not unique on purpose: a write that was carried out twice must show.
_ROWS = """
CREATE TABLE IF NOT EXISTS {name} (
    seq BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    client_id CHAR(36) CHARACTER SET ascii NOT NULL,
    amount DECIMAL(12, 2) NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    KEY client_id (client_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4
"""
_REPORTS = """
CREATE TABLE IF NOT EXISTS reports (
    seq BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    id CHAR(36) CHARACTER SET ascii NOT NULL,
    day DATE NOT NULL,
    total DECIMAL(14, 2) NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    KEY id (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4
"""
_NO_WRITES = (ER.TABLEACCESS_DENIED_ERROR, ER.COLUMNACCESS_DENIED_ERROR, ER.OPTION_PREVENTS_STATEMENT)
TABLES = {
    "records": _ROWS.format(name="records"),
    "usage_records": _ROWS.format(name="usage_records"),
    "reports": _REPORTS,
}


@dataclass(frozen=True)
class Row:
    """One row of `records` or `usage_records`."""

    client_id: str
    amount: Decimal


@dataclass(frozen=True)
class Report:
    """A day's total as a region reports it; `day` is an ISO date."""

    id: str
    day: str
    total: Decimal


class Ledger:
    """The tables. Methods raise `pymysql.MySQLError` or OSError; nothing is tried again."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add_record(self, row: Row) -> int:
        """Commits a row of `records` and gives its `seq`."""
        return await self._pool.run(partial(_insert_record, row))

    async def find_record(self, client_id: str) -> tuple[int, Decimal] | None:
        """`seq` and amount of the first row of `records` with this id."""
        return await self._pool.run(partial(_select_record, client_id))

    async def records_after(self, seq: int, most: int) -> list[tuple[int, str, Decimal]]:
        """`seq`, id and amount of the rows of `records` that follow, at most so many."""
        return await self._pool.run(partial(_select_records, seq, most))

    async def add_usage(self, rows: Sequence[Row], *, maybe_committed: bool) -> None:
        """Commits rows of `usage_records` in one transaction.

        With `maybe_committed` an earlier try at the same rows may have got through: those are left out.
        """
        await self._pool.run(partial(_insert_usage, rows, maybe_committed))

    async def writable(self) -> bool:
        """Whether the database takes writes of usage now; nothing is written."""
        return await self._pool.run(_writable)

    async def add_report(self, report: Report) -> None:
        """Commits a row of `reports`."""
        await self._pool.run(partial(_insert_report, report))


def _insert_record(row: Row, connection: Connection[Cursor]) -> int:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO records (client_id, amount) VALUES (%s, %s)", (row.client_id, row.amount))
        return int(cursor.lastrowid)


def _select_record(client_id: str, connection: Connection[Cursor]) -> tuple[int, Decimal] | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT seq, amount FROM records WHERE client_id = %s ORDER BY seq LIMIT 1", (client_id,)
        )
        row = cursor.fetchone()
    return None if row is None else (int(row[0]), row[1])


def _select_records(seq: int, most: int, connection: Connection[Cursor]) -> list[tuple[int, str, Decimal]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT seq, client_id, amount FROM records WHERE seq > %s ORDER BY seq LIMIT %s", (seq, most)
        )
        return [(int(number), str(client_id), amount) for number, client_id, amount in cursor.fetchall()]


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


def _writable(connection: Connection[Cursor]) -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE usage_records SET amount = amount WHERE seq = 0")
    except pymysql.MySQLError as error:
        if error.args and error.args[0] in _NO_WRITES:
            return False
        raise
    return True


def _insert_report(report: Report, connection: Connection[Cursor]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO reports (id, day, total) VALUES (%s, %s, %s)", (report.id, report.day, report.total)
        )
