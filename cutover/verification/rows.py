"""Single rows: read from both servers by their keys, compared value by value, shown with secrets masked."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cutover.verification.compare import HeapRow, exact
from cutover.verification.keys import Key, TableKey, key_of
from cutover.verification.lanes import Lane, Rows
from cutover.verification.pair import TablePair

READ_AT_ONCE = 500
SHOWN_CHARACTERS = 120
HIDDEN_COLUMNS = (
    r"pass(word|wd|phrase)?|pwd|secret|token|salt|hash|api_?key|private|credential|card|iban|otp|pin$"
)
"""What the name of a column holds that is never shown; letter case does not matter."""

Values = tuple[str | None, ...]


@dataclass(frozen=True)
class RowDifference:
    """One row that is not the same on both servers; secrets are masked in it."""

    table: str
    key: Mapping[str, str]
    """By column; empty where the table has no key."""
    kind: str
    """`different`, `only on the source`, `only on the target`, or how often it is there for a heap."""
    columns: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    """The values on the source and on the target, of the columns that differ."""

    def __str__(self) -> str:
        key = ", ".join(f"{name}={value}" for name, value in self.key.items())
        values = "; ".join(
            f"{name}: {_literal(here)} on the source, {_literal(there)} on the target"
            for name, (here, there) in self.columns.items()
        )
        return f"{self.table} ({key}) {self.kind}" + (f": {values}" if values else "")


@dataclass(frozen=True)
class Masking:
    """Which columns hold secrets."""

    names: str = HIDDEN_COLUMNS
    """A regular expression that is looked for in a column's name."""
    key: bytes = field(default_factory=lambda: secrets.token_bytes(16), repr=False)
    """Without it nobody can find a short secret by trying out all of them."""

    def hides(self, column: str) -> bool:
        """Whether a column's values are never shown."""
        return re.search(self.names, column, re.IGNORECASE) is not None

    def shown(self, column: str, value: str | None) -> str | None:
        """A value for people: a secret only by a keyed digest, so that two can be told apart."""
        if value is None:
            return None
        data = value.encode("utf-8", "surrogateescape")
        if self.hides(column):
            digest = hashlib.blake2b(data, key=self.key, digest_size=6).hexdigest()
            return f"masked ({len(data)} bytes, {digest})"
        text = data.decode("utf-8", "backslashreplace")
        return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}… ({len(data)} bytes)"


def differing(lane: Lane, pair: TablePair, key: TableKey, keys: Collection[Key]) -> set[Key]:
    """Those of some keys whose rows are not the same now. Raises DatabaseError."""
    found: set[Key] = set()
    for some in _slices(list(keys)):
        here, there = _read(lane, pair, key, some)
        found |= {each for each in {*here, *there} if here.get(each) != there.get(each)}
    return found


def differences(
    lane: Lane, pair: TablePair, key: TableKey, keys: Collection[Key], masking: Masking
) -> Iterator[RowDifference]:
    """What differs in the rows with some keys; nothing for those that are the same. Raises DatabaseError."""
    for some in _slices(sorted(keys)):
        here, there = _read(lane, pair, key, some)
        for each in sorted({*here, *there}):
            if here.get(each) != there.get(each):
                yield _difference(pair, key.shown(each), here.get(each), there.get(each), masking)


def heap_difference(pair: TablePair, row: HeapRow, masking: Masking) -> RowDifference:
    """A row of a table without a key that is not there equally often."""
    return RowDifference(
        pair.place,
        {},
        f"{row.on_source} times on the source, {row.on_target} times on the target",
        {
            name: (masking.shown(name, value), masking.shown(name, value))
            for name, value in zip(pair.text.columns, row.values, strict=True)
        },
    )


def _difference(
    pair: TablePair,
    key: Mapping[str, str],
    here: Values | None,
    there: Values | None,
    masking: Masking,
) -> RowDifference:
    shown = {name: str(masking.shown(name, value)) for name, value in key.items()}
    if here is None or there is None:
        return RowDifference(
            pair.place, shown, "is only on the target" if here is None else "is only on the source"
        )
    return RowDifference(
        pair.place,
        shown,
        "is different",
        {
            name: (masking.shown(name, ours), masking.shown(name, theirs))
            for name, ours, theirs in zip(pair.text.columns, here, there, strict=True)
            if ours != theirs
        },
    )


def _read(
    lane: Lane, pair: TablePair, key: TableKey, keys: Sequence[Key]
) -> tuple[dict[Key, Values], dict[Key, Values]]:
    """The rows with these keys, by key, on both servers; by a collation some with a similar key too."""
    read = (*(column.read for column in key.columns), *pair.text.values)
    here, there = lane.both(
        f"SELECT {','.join(read)} FROM {pair.from_table()} WHERE {key.equals(keys)}"  # noqa: S608
    )
    return _by_key(here, len(key.columns)), _by_key(there, len(key.columns))


def _by_key(rows: Rows, width: int) -> dict[Key, Values]:
    return {key_of(row[:width]): exact(row[width:]) for row in rows}


def _literal(value: str | None) -> str:
    return "NULL" if value is None else repr(value)


def _slices(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    for start in range(0, len(keys), READ_AT_ONCE):
        yield keys[start : start + READ_AT_ONCE]
