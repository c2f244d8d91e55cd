"""The journal in the team's table: an item a record, written only by whoever holds the lease.

A record is written together with two conditions: the lease is still the writer's, by its id and epoch, and
the record before is the one that it follows, by its hash. So a runner whose lease was taken writes no intent,
and without an intent it begins nothing. An item holds no more than 400 KB: what is longer goes on in items
behind it, whose sequence lies between two records (`5`, `5.001`, …), all written at once or not at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cutover.dynamodb import DynamoLease, Table
from cutover.errors import JournalError, LeaseError, TableError
from cutover.journal import EMPTY, Contents, Record, extended
from cutover.lease import Holder

PART_BYTES = 300_000
MOST_PARTS = 12
"""A transaction holds no more than 4 MB."""
_PAUSES = (0.1, 0.3, 1.0)


class DynamoJournal:
    """One journal. Implements journal.Home."""

    def __init__(
        self, table: Table, key: str, lease: DynamoLease, holder: Callable[[], Holder | None] = lambda: None
    ) -> None:
        """`holder`: who holds the lease in this process, when something is to be written."""
        self._table = table
        self._key = key
        self._lease = lease
        self._holder = holder

    def __str__(self) -> str:
        return f"{self._key} in {self._table}"

    def read(self, before: Contents = EMPTY) -> Contents:
        """See journal.Home."""
        last = before.records[-1] if before.records else None
        lines = self._read(last.number if last else 0)
        if last is None:
            return extended(EMPTY, lines, str(self))
        if not lines or extended(_up_to(before, last.number), lines[:1], str(self)).head != before.head:
            return self.read()  # another journal is there now
        return extended(before, lines[1:], str(self))

    def _read(self, number: int) -> list[bytes]:
        try:
            for pause in _PAUSES:
                try:
                    return list(self._lines(number))
                except _IncompleteError:
                    time.sleep(pause)  # its last items are being written right now
            return list(self._lines(number))
        except TableError as error:
            raise JournalError(f"the journal {self} cannot be read: {error}") from error

    def open(self, contents: Contents) -> None:
        """See journal.Home: there is nothing to be opened, and no torn tail."""

    def append(self, line: bytes, record: Record) -> None:
        """See journal.Home."""
        holder = self._holder()
        if holder is None:
            raise LeaseError(
                f"the journal {self} is written by whoever holds the lease, and nobody does here"
            )
        parts = [line[start : start + PART_BYTES] for start in range(0, len(line), PART_BYTES)]
        if len(parts) > MOST_PARTS:
            raise JournalError(
                f"a {record.kind!r} record of {len(line):,} bytes is longer than the journal {self} takes "
                f"({PART_BYTES * MOST_PARTS:,}): nothing was begun after it"
            )
        conditions = [self._lease.held_by(holder)]
        if record.number:
            conditions.append(
                (self._at(f"{record.number - 1}"), "digest = :digest", {":digest": {"S": record.previous}})
            )
        try:
            failed = self._table.put_together(list(self._items(record, parts)), conditions)
        except TableError as error:
            if self._is_there(line, record, error):
                return
            raise JournalError(
                f"the journal {self} could not be made durable ({error}): nothing was begun after it"
            ) from error
        if failed[0]:
            raise LeaseError(f"the lease is another's by now: {self} took no {record.kind!r} record")
        if any(failed) and not self._is_there(line, record, None):
            raise JournalError(
                f"the journal {self} does not end where it did: somebody else wrote record {record.number}, "
                f"or took out the one before it. Nothing was begun after it"
            )

    def close(self) -> None:
        """See journal.Home."""

    def _items(self, record: Record, parts: list[bytes]) -> Iterator[Mapping[str, Any]]:
        for number, part in enumerate(parts):
            item = {**self._at(_sequence(record.number, number)), "line": {"S": part.decode("ascii")}}
            if number == 0:
                item |= {"digest": {"S": record.hash}, "parts": {"N": str(len(parts))}}
            yield item

    def _is_there(self, line: bytes, record: Record, error: Exception | None) -> bool:
        """Whether a record whose answer was lost, or that was asked for twice, was written."""
        try:
            found = next(self._lines(record.number), b"")
        except TableError as another:
            raise JournalError(
                f"the journal {self} could not be made durable ({error or another}): nothing was begun "
                "after it"
            ) from another
        return found == line.rstrip(b"\n")

    def _lines(self, number: int) -> Iterator[bytes]:
        """The records' lines from a number on. Raises TableError, JournalError."""
        items = self._table.query(self._key, str(number))
        expected = number
        for item in items:
            try:
                count = int(item["parts"]["N"])
                found = [item, *(part for _, part in zip(range(count - 1), items, strict=False))]
                places = [part["sequence"]["N"] for part in found]
                line = "".join(part["line"]["S"] for part in found).encode("ascii")
            except (KeyError, TypeError, ValueError) as error:
                raise self._damaged(expected, repr(error)) from error
            if places != [_sequence(expected, part) for part in range(count)] or not line.endswith(b"\n"):
                kind = JournalError if len(places) == count else _IncompleteError
                raise self._damaged(expected, f"it stands in items {', '.join(places)} of {count}", kind)
            yield line[:-1]
            expected += 1

    def _damaged(self, number: int, how: str, kind: type[JournalError] = JournalError) -> JournalError:
        return kind(
            f"the journal {self} is damaged in record {number}: not a record ({how}). Keep it, and restore "
            "it from a copy"
        )

    def _at(self, sequence: str) -> dict[str, Any]:
        return {"journal": {"S": self._key}, "sequence": {"N": sequence}}


class _IncompleteError(JournalError):
    """A record of which items are missing."""


def _sequence(number: int, part: int) -> str:
    """As DynamoDB writes it: no zeros behind the last digit."""
    return f"{number}.{part:03}".rstrip("0") if part else str(number)


def _up_to(contents: Contents, number: int) -> Contents:
    """The contents before a record."""
    return Contents(contents.records[:number], 0, 0)
