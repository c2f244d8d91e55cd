"""The journal: what was intended and what came of it, durable before the next effect.

One JSON object a line. Each record carries its number, the runner's epoch and the hash of the record before
it, so that a change in the middle shows. Lines are kept in a file, or in a table for a team
(dynamodb_journal.py). In a file, a line is written in one call and fsynced before `append` returns; a tail
without its newline was never reported as written: it is cut off when the journal is opened again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cutover.clock import Clock
from cutover.errors import JournalError
from cutover.masking import masked_data

SCHEMA = 1
FIRST = "0" * 64
"""What the first record has in place of its predecessor's hash."""


@dataclass(frozen=True)
class Record:
    """One line of a journal."""

    number: int
    at: str
    """Time of day, UTC, ISO 8601."""
    epoch: int
    """Of the runner that wrote it."""
    kind: str
    data: dict[str, Any]
    previous: str
    hash: str


@dataclass(frozen=True)
class Contents:
    """What a journal holds."""

    records: tuple[Record, ...]
    size: int
    """Bytes of whole records."""
    torn: int
    """Bytes of an unfinished record behind them."""

    @property
    def head(self) -> str:
        """The hash of the last record."""
        return self.records[-1].hash if self.records else FIRST


EMPTY = Contents((), 0, 0)


class Home(Protocol):
    """Where a journal's lines are kept. Its text names it in messages."""

    def read(self, before: Contents = EMPTY) -> Contents:
        """What it holds, verified; given what it held, only the new is read. Changes nothing.

        Raises:
            JournalError: it cannot be read, was damaged or edited, or is of a later version.
        """

    def open(self, contents: Contents) -> None:
        """Makes it ready to be written behind what it holds; what is torn is cut off. Raises JournalError."""

    def append(self, line: bytes, record: Record) -> None:
        """Makes a line durable, behind the one before it.

        Raises:
            OSError: it is not durable; nothing of it is kept, or no more than a torn tail.
            JournalError: the same, with its own words.
            LeaseError: the lease is another's by now.
        """

    def close(self) -> None:
        """Nothing more is written."""


class FileHome:
    """A file. Implements Home."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = -1
        self._size = 0

    def __str__(self) -> str:
        return str(self.path)

    def read(self, before: Contents = EMPTY) -> Contents:
        """See Home. A line that is being written right now counts as torn, whatever it holds by now."""
        try:
            with self.path.open("rb") as file:
                if before.records:
                    file.seek(before.size)
                content = file.read()
                shorter = os.fstat(file.fileno()).st_size < before.size
        except FileNotFoundError:
            return EMPTY
        except OSError as error:
            raise JournalError(f"the journal {self.path} cannot be read: {error}") from error
        if shorter and before.records:
            return self.read()
        whole, _, tail = content.rpartition(b"\n")
        size = len(content) - len(tail)
        found = extended(before, whole.split(b"\n") if size else [], str(self))
        if not before.records and tail and _is_record(str(self), found, tail[:-1]):
            raise JournalError(
                f"the journal {self.path} is damaged in record {len(found.records)}: its last byte is not a "
                "newline. Keep it, and restore it from a copy"
            )
        return Contents(found.records, before.size + size, len(tail))

    def open(self, contents: Contents) -> None:
        """See Home."""
        try:
            self._file = _open(self.path)
            if contents.torn:
                os.ftruncate(self._file, contents.size)
                os.fsync(self._file)
        except OSError as error:
            raise JournalError(f"the journal {self.path} cannot be opened for writing: {error}") from error
        self._size = contents.size

    def append(self, line: bytes, record: Record) -> None:  # noqa: ARG002 - Home's signature
        """See Home."""
        try:
            _write(self._file, line)
        except OSError as error:
            # best effort: a half-written line is cut off here, or else when the journal is opened again
            try:
                os.ftruncate(self._file, self._size)
            except OSError as another:
                raise OSError(f"{error}; and its end could not be cut off: {another}") from error
            raise
        self._size += len(line)

    def close(self) -> None:
        """See Home."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def read_journal(path: Path) -> Contents:
    """Reads and verifies a journal's file; changes nothing. Raises JournalError, see Home."""
    return FileHome(path).read()


def read_further(path: Path, before: Contents) -> Contents:
    """What a journal's file holds now, given what it held: only the new is read. Raises JournalError."""
    return FileHome(path).read(before)


def extended(before: Contents, lines: Iterable[bytes], place: str) -> Contents:
    """Contents with further lines, verified. Raises JournalError."""
    records, head = list(before.records), before.head
    size = before.size
    for line in lines:
        record = _parse(place, len(records), head, line)
        records.append(record)
        head = record.hash
        size += len(line) + 1
    return Contents(tuple(records), size, 0)


def _parse(journal: str, number: int, head: str, line: bytes) -> Record:
    place = f"the journal {journal} is damaged in record {number}"
    try:
        fields = json.loads(line)
        found = fields.pop("hash")
        record = Record(
            number=fields["n"],
            at=fields["at"],
            epoch=fields["epoch"],
            kind=fields["kind"],
            data=fields["data"],
            previous=fields["previous"],
            hash=found,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise JournalError(f"{place}: not a record ({error}). Keep it, and restore it from a copy") from error
    if found != _hash(fields) or _line(fields, found) != line + b"\n":
        raise JournalError(f"{place}: its hash does not fit its content. Keep it, and restore it from a copy")
    if fields.get("v") != SCHEMA:
        raise JournalError(
            f"the journal {journal}, record {number}, has version {fields.get('v')!r}; this program reads "
            f"version {SCHEMA}. Use the program that wrote it"
        )
    if record.number != number or record.previous != head:
        raise JournalError(
            f"{place}: it does not follow the record before it. Keep it, and restore it from a copy"
        )
    return record


def _is_record(journal: str, before: Contents, line: bytes) -> bool:
    try:
        _parse(journal, len(before.records), before.head, line)
    except JournalError:
        return False
    return True


def _hash(fields: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(fields)).hexdigest()


def _line(fields: dict[str, Any], found: str) -> bytes:
    return _canonical({**fields, "hash": found}) + b"\n"


def _canonical(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


class Journal:
    """An open journal, for the one runner that holds the lease."""

    def __init__(
        self, home: Path | Home, epoch: int, clock: Clock, ensure: Callable[[], None] = lambda: None
    ) -> None:
        """Opens or creates it; a torn tail is cut off and the cut recorded.

        Args:
            home: where it is kept; a path is a file's.
            epoch: the runner's.
            ensure: asked before each record; it raises LeaseError where the lease was lost.

        Raises:
            JournalError: see Home; or it cannot be opened or repaired.
        """
        self.home: Home = FileHome(home) if isinstance(home, Path) else home
        self.epoch = epoch
        self._clock = clock
        self._ensure = ensure
        self._failed: str | None = None
        contents = self.home.read()
        self._records = list(contents.records)
        self._head = contents.head
        self.home.open(contents)
        if contents.torn:
            self.append("repaired", {"bytes": contents.torn})

    def ensure(self) -> None:
        """Asked before each effect. Raises LeaseError where the lease was lost."""
        self._ensure()

    @property
    def records(self) -> tuple[Record, ...]:
        """All records, the oldest first."""
        return tuple(self._records)

    def append(self, kind: str, data: dict[str, Any]) -> Record:
        """Writes a record; it is durable when this returns.

        Raises:
            JournalError: it could not be made durable. No effect may follow; the journal takes no more.
            LeaseError: the lease was lost.
        """
        self._ensure()
        if self._failed:
            raise JournalError(
                f"the journal {self.home} takes no more records since it failed: {self._failed}"
            )
        safe = masked_data(data)
        if kind == "fact" and safe != data:
            raise JournalError(f"the fact {data.get('name')!r} would hold a secret, and is not written down")
        fields = {
            "v": SCHEMA,
            "n": len(self._records),
            "at": self._clock.now().isoformat(timespec="milliseconds"),
            "epoch": self.epoch,
            "kind": kind,
            "data": safe,
            "previous": self._head,
        }
        try:
            line = _line(fields, _hash(fields))
        except (TypeError, ValueError) as error:
            raise JournalError(f"a {kind!r} record holds what is not JSON: {error}") from error
        record = _parse(str(self.home), len(self._records), self._head, line[:-1])
        try:
            self.home.append(line, record)
        except OSError as error:
            self._failed = str(error)
            raise JournalError(
                f"the journal {self.home} could not be made durable ({error}): nothing was begun after it"
            ) from error
        except JournalError as error:
            self._failed = str(error)
            raise
        self._records.append(record)
        self._head = record.hash
        return record

    def close(self) -> None:
        """Nothing more is written."""
        self.home.close()


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.chmod(0o700)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.fchmod(file, 0o600)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return file


def _write(file: int, line: bytes) -> None:
    written = os.write(file, line)
    while written < len(line):
        written += os.write(file, line[written:])
    os.fsync(file)
