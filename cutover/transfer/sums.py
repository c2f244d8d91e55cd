"""What each table holds, as a number of rows and a checksum, computed by the server itself."""

from __future__ import annotations

import time

from cutover.context import Context
from cutover.mysql import Server, Session
from cutover.mysql import quoted as mysql_quoted
from cutover.postgres import PostgresServer, PostgresSession
from cutover.postgres import quoted as postgres_quoted
from cutover.transfer.manifest import TableSum
from cutover.verification.catalog import read_catalog
from cutover.verification.expressions import checksums, row_text

_ROW = "('x' || substr(md5(t::text), 1, 16))::bit(64)::bigint::numeric"
POSTGRES_SUMS = (
    "SELECT format('SELECT %L, count(*), coalesce(sum("  # noqa: S608 - written out by the server, quoted
    + _ROW.replace("'", "''")
    + "), 0) FROM %I.%I t', c.relname, n.nspname, c.relname) FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1 \\gexec"
)
"""The same as `postgres_sums`, for psql: a line a table, with its name, rows and checksum."""
_SAY_SECONDS = 5.0
STATEMENT_SECONDS = 3600.0
"""A large table is read whole."""
_POSTGRES_TABLES = (
    "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = %s AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1"
)


def sums(context: Context, server: Server | PostgresServer, database: str) -> dict[str, TableSum]:
    """All tables of a database. Raises StepError."""
    seconds = min(STATEMENT_SECONDS, context.remaining())
    if isinstance(server, Server):
        with server.connect(database, seconds=seconds) as session:
            return mysql_sums(context, session, database)
    with server.connect(database, seconds=seconds) as found:
        return postgres_sums(context, found)


def mysql_sums(context: Context, session: Session, database: str) -> dict[str, TableSum]:
    """Of a MySQL database; the same for the same rows on any server of the family."""
    found: dict[str, TableSum] = {}
    said = time.monotonic()
    for table in read_catalog(session, [database], rights=False).tables.values():
        text = row_text(table, table)
        aggregates = ",".join(checksums(text, "", keyed=False, twice=True))
        place = mysql_quoted(database, table.name)
        rows, first, second = session.rows(f"SELECT {aggregates} FROM {place}")[0]  # noqa: S608
        found[table.name] = TableSum(rows=int(rows), checksum=f"{int(first or 0):x}.{int(second or 0):x}")
        said = _said(context, said, len(found))
    return found


def postgres_sums(context: Context, session: PostgresSession, schema: str = "public") -> dict[str, TableSum]:
    """Of a schema of a PostgreSQL database, from the rows as the server writes them."""
    found: dict[str, TableSum] = {}
    said = time.monotonic()
    for (name,) in session.rows(_POSTGRES_TABLES, (schema,)):
        rows, total = session.rows(
            f"SELECT count(*), coalesce(sum({_ROW}), 0) FROM {postgres_quoted(schema, name)} t"  # noqa: S608
        )[0]
        found[name] = TableSum(rows=int(rows), checksum=str(total))
        said = _said(context, said, len(found))
    return found


def _said(context: Context, said: float, tables: int) -> float:
    context.pause(0)
    if time.monotonic() - said < _SAY_SECONDS:
        return said
    context.say(f"{tables} tables are counted")
    return time.monotonic()
