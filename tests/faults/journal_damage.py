"""Journals that were cut, that have a bit wrong, or that a later version wrote; files as they are."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cutover.clock import SystemClock
from cutover.errors import JournalError
from cutover.journal import SCHEMA, Journal, read_journal
from tests.faults.table import Part

RECORDS = 8


def written(path: Path) -> bytes:
    """A journal as a runner leaves it."""
    journal = Journal(path, 1, SystemClock())
    for number in range(RECORDS):
        journal.append("fact", {"name": f"replicas {number}", "value": {"boss": number}})
    journal.close()
    return path.read_bytes()


def row(_say: Callable[[str], None]) -> Part:
    """Cut at every byte of the last record; a bit flipped in each byte of each; a version of tomorrow."""
    found = Part("the real journal, files")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="landfall-journal-") as name:
        path = Path(name) / "journal.jsonl"
        content = written(path)
        last = content[:-1].rfind(b"\n") + 1
        for size in range(last, len(content)):
            found.count(cut(path, content[:size]))
        for at in range(len(content)):
            found.count(flipped(path, content, at))
        found.count(of_tomorrow(path, content[:last]))
    found.seconds = time.monotonic() - begun
    return found


def cut(path: Path, content: bytes) -> str:
    """A torn tail is cut off and the cut recorded: without its newline a record was never reported."""
    path.write_bytes(content)
    try:
        journal = Journal(path, 2, SystemClock())
    except JournalError as error:
        return f"cut to {len(content)} bytes: {error}"
    journal.close()
    records = read_journal(path).records
    torn = len(content) - (content.rfind(b"\n") + 1)
    good = records[-1].kind == "repaired" if torn else len(records) == RECORDS - 1
    return "" if good else f"cut to {len(content)} bytes: {records[-1]}"


def flipped(path: Path, content: bytes, at: int) -> str:
    """A bit that is wrong anywhere is seen, and nothing is taken over."""
    damaged = bytearray(content)
    damaged[at] ^= 1 << (at % 7)
    path.write_bytes(bytes(damaged))
    try:
        read_journal(path)
    except JournalError:
        return ""
    return f"bit {at % 7} of byte {at} was flipped, and nobody noticed"


def of_tomorrow(path: Path, content: bytes) -> str:
    """A record of a later version, hash and all, is left to the program that wrote it."""
    lines = content.splitlines()
    fields = json.loads(lines[-1])
    previous = fields.pop("hash")
    fields |= {"v": SCHEMA + 1, "n": fields["n"] + 1, "previous": previous}

    def canonical(of: object) -> bytes:
        return json.dumps(of, sort_keys=True, separators=(",", ":")).encode()

    found = hashlib.sha256(canonical(fields)).hexdigest()
    path.write_bytes(content + canonical({**fields, "hash": found}) + b"\n")
    try:
        read_journal(path)
    except JournalError as error:
        return "" if "version" in str(error) else f"a version of tomorrow: {error}"
    return "a version of tomorrow was read"
