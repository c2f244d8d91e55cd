"""MySQL and PostgreSQL compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cutover.actions.base import Evidence, Look
from cutover.context import Context
from cutover.errors import StepError
from cutover.transfer import marker, reach
from cutover.transfer.across_rows import RowsFound, compare_table
from cutover.transfer.across_schema import SchemaFound, compare_schemas
from cutover.transfer.places import DatabasePlace
from cutover.transfer.sums import STATEMENT_SECONDS
from cutover.verification.catalog import read_catalog
from cutover.verification.rows import Masking

LISTED = 20
"""Differing rows of a table that are shown."""
_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class CompareAcross(Look):
    """Compares everything: rows, values, sequences, indexes, keys."""

    source: DatabasePlace
    """The MySQL."""
    target: DatabasePlace
    """The PostgreSQL."""
    left_out: tuple[str, ...] = ()
    """Tables that were not converted."""
    left_to_application: tuple[str, ...] = ("trigger", "routine")
    """Kinds of objects that the application makes itself on PostgreSQL; 3scale its triggers and routines."""

    def describe(self) -> str:
        """See Action."""
        return (
            f"compare {self.source.name} with {self.target.name}: every row and value, sequences, indexes, "
            "foreign keys, what may be NULL, defaults"
        )

    def apply(self, context: Context) -> Evidence:
        """Raises StepError that shows what differs, by key, with secrets masked."""
        source, database = reach.mysql_server(context, self.source)
        target, target_database = reach.postgres_server(context, self.target)
        if marker.state(target, target_database)[1]:
            raise StepError(f"{target} is half filled: the conversion has not come to its end")
        seconds = min(STATEMENT_SECONDS, context.remaining())
        masking = Masking()
        with (
            source.connect(database, seconds=seconds) as mysql,
            source.connect(database, seconds=seconds, raw=True) as raw,
            target.connect(target_database, seconds=seconds) as postgres,
        ):
            catalog = read_catalog(mysql, [database], rights=False)
            schema = compare_schemas(
                mysql,
                postgres,
                database,
                catalog=catalog,
                left_out=self.left_out,
                left_to_application=self.left_to_application,
            )
            tables: list[RowsFound] = []
            for number, table in enumerate(schema.tables, start=1):
                context.activity.note(f"{table.mysql.name}, table {number} of {len(schema.tables)}")
                tables.append(compare_table(context, table, raw, postgres, masking=masking, listed=LISTED))
        for found in tables:
            schema.remarks += [
                f"{count} zero dates in {found.table}.{column} are NULL on PostgreSQL, which has no such date"
                for column, count in sorted(found.zero_dates.items())
            ]
        for remark in schema.remarks:
            context.say(remark)
        refuse(schema, tables, f"{self.source.name} and {self.target.name}")
        rows = sum(found.rows for found in tables)
        context.say(f"{len(tables)} tables with {rows} rows are the same on MySQL and PostgreSQL")
        return {"verification": {"tables": len(tables), "rows": rows, "mismatches": 0,
                                 "schema_differences": 0, "remarks": schema.remarks}}  # fmt: skip


def refuse(schema: SchemaFound, tables: Sequence[RowsFound], what: str) -> None:
    """Raises StepError where anything differs."""
    mismatches = sum(found.mismatches for found in tables)
    if not mismatches and not schema.differences:
        return
    counts = [
        f"{found.table} has {found.rows} rows on MySQL and {found.rows_there} on PostgreSQL"
        for found in tables
        if found.rows != found.rows_there
    ]
    rows = [str(difference) for found in tables for difference in found.differences]
    rows = [
        text.replace("on the source", "on MySQL").replace("on the target", "on PostgreSQL") for text in rows
    ]
    shown = [*schema.differences[:_SHOWN], *counts[:_SHOWN], *rows[:_SHOWN]]
    raise StepError(
        f"{what} differ: {mismatches} rows, {len(schema.differences)} differences of the schema: "
        f"{'; '.join(shown)}. Mend the rows in the MySQL database, roll this stage back, and convert anew"
    )
