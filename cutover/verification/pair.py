"""A table as both servers have it, and how it is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cutover.mysql import Flavour, quoted
from cutover.verification.catalog import Catalog, Table
from cutover.verification.expressions import RowText, row_text
from cutover.verification.keys import TableKey, table_key


@dataclass(frozen=True)
class TablePair:
    """One table on both servers."""

    source: Table
    target: Table
    text: RowText
    key: TableKey | None
    """None: rows have no key in common, and are compared as a heap of rows."""

    @property
    def place(self) -> str:
        """`schema.table`."""
        return self.source.place

    @property
    def by_ranges(self) -> bool:
        """Whether it is cut into ranges of its key; else its rows are dealt into buckets."""
        return self.key is not None and self.key.ranged > 0

    def from_table(self) -> str:
        """The table with its key's index, for a statement on either server."""
        if self.by_ranges and self.source.key_name == self.target.key_name:
            return f"{self.source.quoted} FORCE INDEX ({quoted(str(self.source.key_name))})"
        return self.source.quoted

    def remark(self) -> str | None:
        """What a reader of the result should know of how it was compared."""
        if self.key is None:
            return (
                f"{self.place} has no primary key that both servers share: it is compared as a whole, and "
                "once more under the fence if a row of it changes"
            )
        if not self.by_ranges:
            first = self.key.columns[0].column
            return (
                f"{self.place}: the two servers do not sort {first.name} ({first.full_type}, "
                f"{first.collation}) the same way, so it is compared as a whole and not in ranges"
            )
        return None


def table_pairs(
    source: Catalog, target: Catalog, flavours: tuple[Flavour, Flavour], left_out: Sequence[str] = ()
) -> tuple[TablePair, ...]:
    """The tables that both servers have, the largest first."""
    common: Mapping[str, Table] = {
        place: table
        for place, table in source.tables.items()
        if place in target.tables and place not in left_out
    }
    pairs = (
        TablePair(
            source=here,
            target=target.tables[place],
            text=row_text(here, target.tables[place]),
            key=table_key(here, target.tables[place], flavours),
        )
        for place, here in common.items()
    )
    return tuple(sorted(pairs, key=lambda pair: (-pair.source.rows, pair.place)))
