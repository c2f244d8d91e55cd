"""Finding the rows that differ, by hashes that the servers compute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cutover.errors import StepError
from cutover.verification.expressions import checksums
from cutover.verification.keys import Key, TableKey, key_of
from cutover.verification.lanes import Lane, Rows
from cutover.verification.pair import TablePair
from cutover.verification.ranges import PART_ROWS, Batch, Part

MOST_BUCKETS = 65536
LISTED_AT_ONCE = 20
"""Ranges whose keys one statement lists."""


@dataclass(frozen=True)
class Method:
    """How hashes are made in this run."""

    salt: str
    """Letters and digits, other ones in each run."""
    twice: bool
    """Whether two hashes are computed, which takes about half as long again."""


@dataclass(frozen=True)
class Compared:
    """What was found in one batch, or in a whole table that is not cut into ranges."""

    rows: int
    """Of the source."""
    suspects: frozenset[Key]
    """Keys of rows that were not the same, or not there, when both servers were asked."""


def compare_batch(lane: Lane, pair: TablePair, key: TableKey, batch: Batch, method: Method) -> Compared:
    """Compares ranges of a table's key, and lists the keys that differ. Raises DatabaseError."""
    aggregates = ",".join(checksums(pair.text, method.salt, keyed=True, twice=method.twice))
    statement = " UNION ALL ".join(
        f"SELECT {number},{aggregates} FROM {pair.from_table()} "  # noqa: S608 - quoted names and literals
        f"WHERE {key.between(part.lower, part.upper)}"
        for number, part in enumerate(batch)
    )
    here, there = lane.both(statement)
    sums = {int(row[0]): row[1:] for row in there}
    different = [batch[int(row[0])] for row in here if sums[int(row[0])] != row[1:]]
    suspects: set[Key] = set()
    for part in different:
        suspects |= _differing_keys(lane, pair, key, part, method)
    return Compared(sum(int(row[1]) for row in here), frozenset(suspects))


def compare_whole(lane: Lane, pair: TablePair, key: TableKey, method: Method) -> Compared:
    """Compares a table whose key the servers sort differently: its rows are dealt into buckets by their key.

    Raises DatabaseError.
    """
    aggregates = ",".join(checksums(pair.text, method.salt, keyed=True, twice=method.twice))
    hashed = f"CRC32(CONCAT_WS(',',{','.join(column.read for column in key.columns)}))"
    bucket = f"{hashed} % {_bucket_count(pair)}"
    statement = f"SELECT {bucket} AS bucket,{aggregates} FROM {pair.source.quoted} GROUP BY bucket"  # noqa: S608
    here, there = lane.both(statement)
    suspects: set[Key] = set()
    for buckets in _slices(_differing_buckets(here, there), LISTED_AT_ONCE):
        condition = f"{bucket} IN ({','.join(map(str, buckets))})"
        suspects |= _listed(*lane.both(_listing(pair, key, condition, method)))
    return Compared(sum(int(row[1]) for row in here), frozenset(suspects))


@dataclass(frozen=True)
class HeapRow:
    """A row of a table without a key, of which the two servers do not hold the same number."""

    values: tuple[str | None, ...]
    on_source: int
    on_target: int


def compare_heap(lane: Lane, pair: TablePair, method: Method) -> tuple[int, tuple[HeapRow, ...]]:
    """Compares a table without a key: how often each row is there. Raises DatabaseError.

    Returns:
        How many rows the source has, and the rows that are not there equally often.
    """
    aggregates = ",".join(checksums(pair.text, method.salt, keyed=False, twice=method.twice))
    bucket = f"{pair.text.second_hash()} % {_bucket_count(pair)}"
    statement = f"SELECT {bucket} AS bucket,{aggregates} FROM {pair.source.quoted} GROUP BY bucket"  # noqa: S608
    here, there = lane.both(statement)
    rows = sum(int(row[1]) for row in here)
    found: list[HeapRow] = []
    for buckets in _slices(_differing_buckets(here, there), LISTED_AT_ONCE):
        read = f"SELECT {','.join(pair.text.values)} FROM {pair.source.quoted}"  # noqa: S608
        ours, theirs = (
            Counter(exact(row) for row in side)
            for side in lane.both(f"{read} WHERE {bucket} IN ({','.join(map(str, buckets))})")
        )
        found += [
            HeapRow(values, ours[values], theirs[values])
            for values in {**ours, **theirs}
            if ours[values] != theirs[values]
        ]
    return rows, tuple(found)


def exact(row: Sequence[object]) -> tuple[str | None, ...]:
    """Values of a raw session as text; bytes that are no UTF-8 as surrogates, which keep them apart."""
    return tuple(
        value.decode("utf-8", "surrogateescape")
        if isinstance(value, bytes)
        else (None if value is None else str(value))
        for value in row
    )


def _bucket_count(pair: TablePair) -> int:
    return min(MOST_BUCKETS, max(1, max(pair.source.rows, pair.target.rows) // PART_ROWS))


def _differing_buckets(here: Rows, there: Rows) -> list[int]:
    ours: Mapping[int, object] = {int(row[0]): row[1:] for row in here}
    theirs: Mapping[int, object] = {int(row[0]): row[1:] for row in there}
    return sorted(bucket for bucket in {*ours, *theirs} if ours.get(bucket) != theirs.get(bucket))


def _differing_keys(lane: Lane, pair: TablePair, key: TableKey, part: Part, method: Method) -> set[Key]:
    """The keys of one range whose rows differ."""
    return _listed(*lane.both(_listing(pair, key, key.between(part.lower, part.upper), method)))


def _listing(pair: TablePair, key: TableKey, condition: str, method: Method) -> str:
    """All keys with the digests of their rows, as one value: four times as quick as a row each."""
    read = ",".join((*(column.read for column in key.columns), pair.text.digest(method.salt)))
    return (
        f"SELECT COUNT(*),GROUP_CONCAT(CONCAT_WS(',',{read}) SEPARATOR ';') "  # noqa: S608
        f"FROM {pair.from_table()} WHERE {condition}"
    )


def _listed(here: Rows, there: Rows) -> set[Key]:
    ours, theirs = _entries(here), _entries(there)
    return {key_of(entry.split(",")[:-1]) for entry in ours ^ theirs}


def _entries(rows: Rows) -> set[str]:
    count, text = int(rows[0][0]), rows[0][1]
    if text is None:
        return set()
    entries = set((text.decode("ascii") if isinstance(text, bytes) else str(text)).split(";"))
    if len(entries) != count:
        raise StepError(
            f"a server listed {len(entries)} keys of {count}: its max_allowed_packet is too small for the "
            "list; 16 MiB is enough"
        )
    return entries


def _slices(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]
