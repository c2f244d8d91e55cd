"""Cutting a table into ranges of its key, each small enough to be looked at closely if it differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cutover.mysql import Session
from cutover.verification.keys import Key, TableKey, key_of
from cutover.verification.pair import TablePair

PART_ROWS = 2000
"""Rows of a range: few enough for its keys to be listed in a millisecond."""
BATCH_PARTS = 32
"""Ranges that one statement asks for."""
LOOKED_UP_ROWS = 8000
"""Rows of a range whose boundary has to be looked up, which costs as much as reading its rows."""
LOOKED_UP_PARTS = 4
LEAST_DENSITY = 1 / 16
"""Integers of which a larger share is missing are not cut by computing: a range could hold too many rows."""


@dataclass(frozen=True)
class Part:
    """The rows from one key, included, up to another; None: from the table's start, to its end."""

    lower: Key | None
    upper: Key | None


Batch = tuple[Part, ...]


def batches(session: Session, pair: TablePair, key: TableKey, start: Key | None) -> Iterator[Batch]:
    """All parts of a table from a key on, in order; one part may have rows on the target alone.

    Raises:
        DatabaseError: the source could not be asked for a boundary.
    """
    if key.single_integer:
        name, place = key.columns[0].name, pair.from_table()
        first, last = session.row(f"SELECT MIN({name}), MAX({name}) FROM {place}") or (None, None)  # noqa: S608
        if first is not None and last is not None:
            span = int(last) - int(first) + 1
            density = min(1.0, pair.source.rows / span)
            if density >= LEAST_DENSITY:
                yield from _computed(int(first), int(last), max(1, round(PART_ROWS / density)), start)
                return
    yield from _looked_up(session, pair, key, start)


def _computed(first: int, last: int, width: int, start: Key | None) -> Iterator[Batch]:
    """Ranges of equal width. A range of n integers never holds more than n rows."""
    at = first if start is None else int(start[0])
    lower = start
    parts: list[Part] = []
    while True:
        at += width
        end = at > last
        upper = None if end else (str(at),)
        parts.append(Part(lower, upper))
        lower = upper
        if end or len(parts) == BATCH_PARTS:
            yield tuple(parts)
            parts = []
        if end:
            return


def _looked_up(session: Session, pair: TablePair, key: TableKey, start: Key | None) -> Iterator[Batch]:
    lower = start
    parts: list[Part] = []
    while True:
        upper = _boundary(session, pair, key, lower)
        parts.append(Part(lower, upper))
        lower = upper
        if upper is None or len(parts) == LOOKED_UP_PARTS:
            yield tuple(parts)
            parts = []
        if upper is None:
            return


def _boundary(session: Session, pair: TablePair, key: TableKey, lower: Key | None) -> Key | None:
    """Where the next range ends; None where the table does."""
    columns = key.columns[: key.ranged]
    read = ",".join(column.read for column in columns)
    order = ",".join(column.name for column in columns)
    select = f"SELECT {read} FROM {pair.from_table()}"  # noqa: S608 - quoted names and literals
    found = session.row(
        f"{select} WHERE {key.between(lower, None)} ORDER BY {order} LIMIT 1 OFFSET {LOOKED_UP_ROWS}"
    )
    if found is None:
        return None
    boundary = key_of(found)
    if boundary == lower:
        # More rows than that share the first columns of the key: the range ends where others begin.
        found = session.row(f"{select} WHERE {key.after(boundary)} ORDER BY {order} LIMIT 1")
        return None if found is None else key_of(found)
    return boundary
