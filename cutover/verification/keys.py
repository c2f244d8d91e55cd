"""Keys: how rows are found by them, and how a table is cut into ranges of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cutover.mysql import Flavour, quoted
from cutover.verification.catalog import Column, Table

Key = tuple[str, ...]
"""A row's key as exact text: numbers and dates as they are, text and bytes in hexadecimal."""

_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "integer", "bigint")
_DATES = ("date", "datetime", "timestamp", "time")
_TEXT = ("char", "varchar")
_BYTES = ("binary", "varbinary")
_LABELS = ("enum", "set")


@dataclass(frozen=True)
class KeyColumn:
    """One column of a key."""

    column: Column

    @property
    def name(self) -> str:
        """In backticks."""
        return quoted(self.column.name)

    @property
    def in_hex(self) -> bool:
        """Whether its text is in hexadecimal."""
        return self.column.type in (*_TEXT, *_BYTES, *_LABELS)

    @property
    def read(self) -> str:
        """The expression that reads it as exact text."""
        if self.in_hex:
            return f"HEX(CAST({self.name} AS BINARY))"
        number = f"({self.name}+0)" if "zerofill" in self.column.full_type else self.name
        return f"CAST({number} AS CHAR)"

    def literal(self, text: str) -> str:
        """Its value in a statement, of a type by which the index can be used."""
        column = self.column
        if column.type in (*_INTEGERS, "decimal", "numeric"):
            if not text.lstrip("-").replace(".", "", 1).isdigit():
                raise ValueError(f"expected a number as the key's {column.name}, not {text!r}")
            return text
        if column.type in _DATES:
            return f"'{_harmless(text)}'"
        if column.type in _BYTES:
            return f"X'{_hexadecimal(text)}'"
        # Bytes of the column's own character set, so that nothing is converted.
        return f"_{column.charset or 'binary'} X'{_hexadecimal(text)}'"

    def shown(self, text: str) -> str:
        """Its value for people."""
        if not self.in_hex:
            return text
        raw = bytes.fromhex(text)
        if self.column.type in _BYTES:
            return f"0x{text}"
        try:
            return raw.decode("latin-1" if self.column.charset == "latin1" else "utf-8")
        except UnicodeDecodeError:
            return f"0x{text}"


@dataclass(frozen=True)
class TableKey:
    """The key of a table, and the part of it by which the table is cut into ranges."""

    columns: tuple[KeyColumn, ...]
    ranged: int
    """How many of its first columns have the same order on both servers; 0: none."""

    @property
    def single_integer(self) -> bool:
        """Whether ranges can be computed rather than looked up."""
        return len(self.columns) == 1 and self.columns[0].column.type in _INTEGERS

    def shown(self, key: Key) -> dict[str, str]:
        """A key for people, by column."""
        return {part.column.name: part.shown(text) for part, text in zip(self.columns, key, strict=True)}

    def equals(self, keys: Sequence[Key]) -> str:
        """A condition that holds for rows with these keys, and perhaps, by a collation, for some others."""
        if len(self.columns) == 1:
            only = self.columns[0]
            return f"{only.name} IN ({','.join(only.literal(key[0]) for key in keys)})"
        alternatives = (
            " AND ".join(
                f"{part.name}={part.literal(text)}" for part, text in zip(self.columns, key, strict=True)
            )
            for key in keys
        )
        return "(" + " OR ".join(f"({alternative})" for alternative in alternatives) + ")"

    def between(self, lower: Key | None, upper: Key | None) -> str:
        """A condition for the rows from one boundary, included, to another; None: the table's end."""
        conditions = [
            self._beyond(boundary, comparison)
            for boundary, comparison in ((lower, ">="), (upper, "<"))
            if boundary is not None
        ]
        return " AND ".join(conditions) or "TRUE"

    def after(self, boundary: Key) -> str:
        """A condition for the rows behind all those with this boundary."""
        return self._beyond(boundary, ">")

    def _beyond(self, boundary: Key, comparison: str) -> str:
        """`(a, b) >= (x, y)` spelled so that the index is used: a > x OR (a = x AND b >= y)."""
        strict = comparison[0]
        alternatives = []
        for last in range(len(boundary)):
            equal = [
                f"{part.name}={part.literal(text)}"
                for part, text in zip(self.columns[:last], boundary[:last], strict=True)
            ]
            part = self.columns[last]
            sign = comparison if last == len(boundary) - 1 else strict
            alternatives.append(" AND ".join((*equal, f"{part.name}{sign}{part.literal(boundary[last])}")))
        if len(alternatives) == 1:
            return alternatives[0]
        first = self.columns[0]
        # The first column's own bound lets the optimizer see a range at once.
        bound = f"{first.name}{strict}={first.literal(boundary[0])}"
        return f"({bound} AND ({' OR '.join(f'({each})' for each in alternatives)}))"


def table_key(source: Table, target: Table, flavours: tuple[Flavour, Flavour]) -> TableKey | None:
    """The key by which both servers know a row; None where they have none in common."""
    if not source.key or source.key != target.key:
        return None
    columns = tuple(KeyColumn(source.column(name)) for name in source.key)
    others = tuple(target.column(name) for name in target.key)
    if not all(
        _is_exact(part.column) and _is_exact(other) for part, other in zip(columns, others, strict=True)
    ):
        return None
    ranged = 0
    for part, other in zip(columns, others, strict=True):
        if not _same_order(part.column, other, flavours):
            break
        ranged += 1
    return TableKey(columns, ranged)


def _is_exact(column: Column) -> bool:
    """Whether a value of it can be written down so that it is found again."""
    return column.type in (*_INTEGERS, "decimal", "numeric", *_DATES, *_TEXT, *_BYTES, *_LABELS)


def _same_order(here: Column, there: Column, flavours: tuple[Flavour, Flavour]) -> bool:
    """Whether a range of values holds the same values on both servers."""
    if here.type in _LABELS or there.type in _LABELS:
        return False  # ordered by number, compared by label
    if here.type in _TEXT:
        same_rules = flavours[0].family == flavours[1].family or (here.collation or "").endswith("_bin")
        return there.type in _TEXT and here.collation == there.collation and same_rules
    numbers = (*_INTEGERS, "decimal", "numeric")
    return here.type == there.type or (here.type in numbers and there.type in numbers)


def _hexadecimal(text: str) -> str:
    if not all(character in "0123456789ABCDEFabcdef" for character in text):
        raise ValueError(f"expected a key in hexadecimal, not {text!r}")
    return text


def _harmless(text: str) -> str:
    if not all(character in "0123456789-: ." for character in text):
        raise ValueError(f"expected a date or a time as a key, not {text!r}")
    return text


def key_of(row: Sequence[Any]) -> Key:
    """A key as it was read."""
    return tuple(part.decode("ascii") if isinstance(part, bytes) else str(part) for part in row)
