"""Counters of MySQL and sequences of PostgreSQL: a number that was used once is never given again."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.mysql import Server, Session
from cutover.postgres import PostgresServer, PostgresSession
from cutover.postgres import quoted as postgres_quoted
from cutover.verification.catalog import fresh_statistics

_COUNTERS = (
    "SELECT c.TABLE_NAME, c.COLUMN_NAME, t.AUTO_INCREMENT FROM information_schema.COLUMNS c "
    "JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME "
    "WHERE c.TABLE_SCHEMA = %s AND c.EXTRA LIKE '%%auto_increment%%'"
)
_SEQUENCES = """
SELECT t.relname, a.attname, n.nspname, s.relname
FROM pg_class s
JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
JOIN pg_class t ON t.oid = d.refobjid
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
JOIN pg_namespace n ON n.oid = s.relnamespace
WHERE s.relkind = 'S' AND n.nspname = 'public'
"""


@dataclass(frozen=True)
class Counter:
    """The next number of a column."""

    table: str
    column: str
    next: int


def counters(session: Session, database: str) -> list[Counter]:
    """Of MySQL. Raises DatabaseError."""
    fresh_statistics(session)
    return [
        Counter(str(table), str(column), int(following or 1))
        for table, column, following in session.rows(_COUNTERS, (database,))
    ]


def sequences(session: PostgresSession) -> dict[tuple[str, str], tuple[str, int]]:
    """Of PostgreSQL: table and column -> the sequence, quoted, and its next number. Raises PostgresError."""
    found: dict[tuple[str, str], tuple[str, int]] = {}
    for table, column, schema, name in session.rows(_SEQUENCES):
        sequence = postgres_quoted(schema, name)
        last, called = session.rows(f"SELECT last_value, is_called FROM {sequence}")[0]  # noqa: S608
        found[str(table), str(column)] = (sequence, int(last) + int(called))
    return found


def raise_sequences(source: Server, source_database: str, target: PostgresServer, database: str) -> int:
    """Lets each sequence go on where MySQL's counter would have; returns how many were behind.

    pgloader goes on behind the highest number that is there, and gives those of deleted rows again.

    Raises:
        StepError: a server does not answer, or refuses.
    """
    with source.connect(source_database) as session:
        wanted = counters(session, source_database)
    raised = 0
    with target.connect(database) as found:
        there = sequences(found)
        for counter in wanted:
            sequence, following = there.get((counter.table.lower(), counter.column.lower()), ("", 0))
            if sequence and following < counter.next:
                found.execute("SELECT setval(%s, %s, false)", (sequence, counter.next))
                raised += 1
    return raised
