"""The journal: what was intended and what came of it, durable before the next effect.

One JSON object a line. Each record carries its number, the runner's epoch and the hash of the record before
it, so that a change in the middle shows. A line is written in one call and fsynced before `append` returns.
A tail without its newline was never reported as written: it is cut off when the journal is opened again.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutover.clock import Clock
from cutover.errors import JournalError

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
    """What a journal's file holds."""

    records: tuple[Record, ...]
    size: int
    """Bytes of whole records."""
    torn: int
    """Bytes of an unfinished record behind them."""

    @property
    def head(self) -> str:
        """The hash of the last record."""
        return self.records[-1].hash if self.records else FIRST


def read_journal(path: Path) -> Contents:
    """Reads and verifies a journal; changes nothing.

    Raises:
        JournalError: it cannot be read, was damaged or edited, or is of a later version.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Contents((), 0, 0)
    except OSError as error:
        raise JournalError(f"the journal {path} cannot be read: {error}") from error
    whole, _, tail = content.rpartition(b"\n")
    size = len(content) - len(tail)
    records: list[Record] = []
    head = FIRST
    for line in whole.split(b"\n") if size else []:
        record = _parse(path, len(records), head, line)
        records.append(record)
        head = record.hash
    if tail and _is_record(path, len(records), head, tail[:-1]):
        raise JournalError(
            f"the journal {path} is damaged in record {len(records)}: its last byte is not a newline. "
            "Keep the file, and restore it from a copy"
        )
    return Contents(tuple(records), size, len(tail))


def read_further(path: Path, before: Contents) -> Contents:
    """What a journal holds now, given what it held: for whoever follows it, since only the new is read.

    A line that is being written right now counts as unfinished. Raises JournalError; see read_journal.
    """
    try:
        with path.open("rb") as file:
            file.seek(before.size)
            content = file.read()
            shorter = file.tell() < before.size or os.fstat(file.fileno()).st_size < before.size
    except FileNotFoundError:
        return Contents((), 0, 0)
    except OSError as error:
        raise JournalError(f"the journal {path} cannot be read: {error}") from error
    if shorter:
        return read_journal(path)
    whole, _, tail = content.rpartition(b"\n")
    records: list[Record] = []
    head = before.head
    for line in whole.split(b"\n") if whole else []:
        records.append(_parse(path, len(before.records) + len(records), head, line))
        head = records[-1].hash
    return Contents((*before.records, *records), before.size + len(content) - len(tail), len(tail))


def _parse(path: Path, number: int, head: str, line: bytes) -> Record:
    place = f"the journal {path} is damaged in record {number}"
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
        raise JournalError(
            f"{place}: not a record ({error}). Keep the file, and restore it from a copy"
        ) from error
    if found != _hash(fields) or _line(fields, found) != line + b"\n":
        raise JournalError(
            f"{place}: its hash does not fit its content. Keep the file, and restore it from a copy"
        )
    if fields.get("v") != SCHEMA:
        raise JournalError(
            f"the journal {path}, record {number}, has version {fields.get('v')!r}; this program reads "
            f"version {SCHEMA}. Use the program that wrote it"
        )
    if record.number != number or record.previous != head:
        raise JournalError(
            f"{place}: it does not follow the record before it. Keep the file, and restore it from a copy"
        )
    return record


def _is_record(path: Path, number: int, head: str, line: bytes) -> bool:
    try:
        _parse(path, number, head, line)
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

    def __init__(self, path: Path, epoch: int, clock: Clock) -> None:
        """Opens or creates it; a torn tail is cut off and the cut recorded.

        Raises:
            JournalError: see read_journal; or the file cannot be opened or repaired.
        """
        self.path = path
        self.epoch = epoch
        self._clock = clock
        self._failed: str | None = None
        contents = read_journal(path)
        self._records = list(contents.records)
        self._size = contents.size
        self._head = contents.head
        try:
            self._file = _open(path)
            if contents.torn:
                os.ftruncate(self._file, contents.size)
                os.fsync(self._file)
        except OSError as error:
            raise JournalError(f"the journal {path} cannot be opened for writing: {error}") from error
        if contents.torn:
            self.append("repaired", {"bytes": contents.torn})

    @property
    def records(self) -> tuple[Record, ...]:
        """All records, the oldest first."""
        return tuple(self._records)

    def append(self, kind: str, data: dict[str, Any]) -> Record:
        """Writes a record; it is durable when this returns.

        Raises:
            JournalError: it could not be made durable. No effect may follow; the journal takes no more.
        """
        if self._failed:
            raise JournalError(
                f"the journal {self.path} takes no more records since it failed: {self._failed}"
            )
        fields = {
            "v": SCHEMA,
            "n": len(self._records),
            "at": self._clock.now().isoformat(timespec="milliseconds"),
            "epoch": self.epoch,
            "kind": kind,
            "data": data,
            "previous": self._head,
        }
        try:
            line = _line(fields, _hash(fields))
        except (TypeError, ValueError) as error:
            raise JournalError(f"a {kind!r} record holds what is not JSON: {error}") from error
        try:
            _write(self._file, line)
        except OSError as error:
            self._failed = str(error)
            self._cut()
            raise JournalError(
                f"the journal {self.path} could not be made durable ({error}): nothing was begun after it"
            ) from error
        record = _parse(self.path, len(self._records), self._head, line[:-1])
        self._records.append(record)
        self._head = record.hash
        self._size += len(line)
        return record

    def _cut(self) -> None:
        """Best effort: a half-written line is cut off here, or else when the journal is opened again."""
        try:
            os.ftruncate(self._file, self._size)
        except OSError as error:
            self._failed = f"{self._failed}; and its end could not be cut off: {error}"

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)


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
