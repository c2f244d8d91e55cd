"""The rows of a table on MySQL and on PostgreSQL: compared by parts, then one by one where a part differs."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from cutover.context import Context
from cutover.mysql import Session
from cutover.mysql import quoted as mysql_quoted
from cutover.postgres import PostgresSession
from cutover.postgres import quoted as postgres_quoted
from cutover.transfer.across_schema import AcrossTable
from cutover.transfer.canonical import is_zero_date
from cutover.verification.rows import Masking, RowDifference

PART_ROWS = 2000
MOST_PARTS = 65_536
LISTED_ROWS = 100_000
"""Rows of differing parts that are looked at one by one; where there are more, that is said."""
_SAY_SECONDS = 5.0
_DIGEST = 16

Values = tuple[str | None, ...]


@dataclass
class RowsFound:
    """What came of a table."""

    table: str
    rows: int = 0
    """On MySQL."""
    rows_there: int = 0
    mismatches: int = 0
    """Rows that differ; at least so many where not all were looked at."""
    differences: list[RowDifference] = field(default_factory=list)
    zero_dates: Counter[str] = field(default_factory=Counter)
    """By column: zero dates, for which PostgreSQL has NULL."""


@dataclass
class _Sums:
    """Of the rows whose keys fall into one part."""

    rows: int = 0
    total: int = 0


def compare_table(
    context: Context,
    table: AcrossTable,
    mysql: Session,
    postgres: PostgresSession,
    *,
    masking: Masking,
    listed: int,
) -> RowsFound:
    """Compares all rows; lists at most so many that differ. `mysql` gives raw values. Raises StepError."""
    found = RowsFound(table.mysql.name)
    parts = min(MOST_PARTS, max(1, table.mysql.rows // PART_ROWS))
    here = _sums(context, _mysql_rows(mysql, table, found.zero_dates), table, parts)
    there = _sums(context, _postgres_rows(postgres, table), table, parts)
    found.rows = sum(part.rows for part in here.values())
    found.rows_there = sum(part.rows for part in there.values())
    differing = [part for part in sorted({*here, *there}) if here.get(part) != there.get(part)]
    if not differing:
        return found
    looked_at: set[int] = set()
    rows = 0
    for part in differing:
        rows += max(here.get(part, _Sums()).rows, there.get(part, _Sums()).rows)
        looked_at.add(part)
        if rows > LISTED_ROWS:
            break
    ours = _chosen(_mysql_rows(mysql, table, Counter()), table, parts, looked_at)
    theirs = _chosen(_postgres_rows(postgres, table), table, parts, looked_at)
    differences = list(_differences(table, ours, theirs, masking))
    found.mismatches = len(differences) + len(differing) - len(looked_at)
    found.differences = differences[:listed]
    return found


def _mysql_rows(session: Session, table: AcrossTable, zeros: Counter[str]) -> Iterator[Values]:
    names = ",".join(mysql_quoted(column.name) for column, _, _ in table.columns)
    dates = [
        (position, column.name)
        for position, (column, _, how) in enumerate(table.columns)
        if how.kind == "moment"
    ]
    forms = [how.mysql for _, _, how in table.columns]
    statement = f"SELECT {names} FROM {table.mysql.quoted}"  # noqa: S608 - quoted names
    for row in session.stream(statement):
        values = list(row)
        for position, name in dates:
            if is_zero_date(values[position]):
                values[position] = None
                zeros[name] += 1
        yield tuple(None if value is None else how(value) for how, value in zip(forms, values, strict=True))


def _postgres_rows(session: PostgresSession, table: AcrossTable) -> Iterator[Values]:
    shown = []
    for _, column, how in table.columns:
        name = postgres_quoted(column.name)
        if how.kind == "bytes" and column.type == "bytea":
            shown.append(f"encode({name}, 'hex')")
        elif column.array:
            shown.append(f"array_to_string({name}, ',')")
        else:
            shown.append(f"{name}::text")
    forms = [how.postgres for _, _, how in table.columns]
    statement = f"SELECT {', '.join(shown)} FROM {postgres_quoted('public', table.name)}"  # noqa: S608
    for row in session.stream(statement):
        yield tuple(None if value is None else how(value) for how, value in zip(forms, row, strict=True))


def _sums(context: Context, rows: Iterator[Values], table: AcrossTable, parts: int) -> dict[int, _Sums]:
    found: dict[int, _Sums] = {}
    said = time.monotonic()
    for count, values in enumerate(rows, start=1):
        part = found.setdefault(_part(values, table, parts), _Sums())
        part.rows += 1
        part.total = (part.total + _digest(values)) % (1 << 8 * _DIGEST)
        if count % 1000 == 0:
            context.pause(0)
            if time.monotonic() - said > _SAY_SECONDS:
                said = time.monotonic()
                context.say(f"{table.mysql.name}: {count:,} rows are compared")
    return found


def _chosen(
    rows: Iterator[Values], table: AcrossTable, parts: int, looked_at: Collection[int]
) -> dict[Values, Counter[Values]]:
    """The rows of some parts by their keys; of a table without a key all are under none."""
    found: dict[Values, Counter[Values]] = {}
    for values in rows:
        if _part(values, table, parts) in looked_at:
            key = tuple(values[position] for position in table.key)
            found.setdefault(key, Counter())[values] += 1
    return found


def _differences(
    table: AcrossTable,
    ours: dict[Values, Counter[Values]],
    theirs: dict[Values, Counter[Values]],
    masking: Masking,
) -> Iterator[RowDifference]:
    for key in sorted({*ours, *theirs}, key=lambda values: tuple(value or "" for value in values)):
        here, there = ours.get(key, Counter()), theirs.get(key, Counter())
        if here == there:
            continue
        if not table.key:
            for values in {**here, **there}:
                if here[values] != there[values]:
                    yield _heap_difference(table, values, (here[values], there[values]), masking)
            continue
        shown = {
            table.columns[position][0].name: str(masking.shown(table.columns[position][0].name, value))
            for position, value in zip(table.key, key, strict=True)
        }
        left, right = next(iter(here), None), next(iter(there), None)
        if left is None or right is None:
            kind = "is only on PostgreSQL" if left is None else "is only on MySQL"
            yield RowDifference(table.mysql.name, shown, kind)
            continue
        yield RowDifference(
            table.mysql.name,
            shown,
            "is different",
            {
                column.name: (masking.shown(column.name, a), masking.shown(column.name, b))
                for (column, _, _), a, b in zip(table.columns, left, right, strict=True)
                if a != b
            },
        )


def _heap_difference(
    table: AcrossTable, values: Values, times: tuple[int, int], masking: Masking
) -> RowDifference:
    return RowDifference(
        table.mysql.name,
        {
            column.name: str(masking.shown(column.name, value))
            for (column, _, _), value in zip(table.columns, values, strict=True)
        },
        f"is there {times[0]} times on MySQL, {times[1]} times on PostgreSQL",
    )


def _part(values: Values, table: AcrossTable, parts: int) -> int:
    if parts == 1:
        return 0
    key = tuple(values[position] for position in table.key) or values
    return _digest(key) % parts


def _digest(values: Values) -> int:
    """Of a row: NULL and the empty text, `a, b` and `ab` are told apart."""
    parts: list[str] = []
    for value in values:
        parts += ("N",) if value is None else ("V", str(len(value)), ":", value)
    data = "".join(parts).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(data, digest_size=_DIGEST).digest())
