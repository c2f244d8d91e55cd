"""What a writer remembers of its writes, in a file of fixed-size entries."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

Kind = Literal["insert", "swap"]
Outcome = Literal["acknowledged", "unknown"]
_KINDS: tuple[Kind, ...] = ("insert", "swap")
_OUTCOMES: tuple[Outcome, ...] = ("acknowledged", "unknown")
_ENTRY = struct.Struct("<BBIQQd")


@dataclass(frozen=True)
class Write:
    """One write. What was refused was not done, is tried again, and is not in the log."""

    kind: Kind
    outcome: Outcome
    place: int
    """Of an insert: the writer; of a swap: the register."""
    value: int
    """What was written, which no other write writes in that place."""
    before: int
    """Of a swap: what it took the place of."""
    ended: float
    """When it was answered, in seconds of the machine's monotonic clock."""


def put(file: BinaryIO, write: Write) -> None:
    """Adds an entry."""
    file.write(
        _ENTRY.pack(
            _KINDS.index(write.kind), _OUTCOMES.index(write.outcome),
            write.place, write.value, write.before, write.ended,
        )
    )  # fmt: skip


def entries(path: Path) -> Iterator[Write]:
    """All entries of a file. Raises ValueError where its end is torn."""
    content = path.read_bytes()
    if len(content) % _ENTRY.size:
        raise ValueError(f"{path} ends in the middle of an entry")
    for kind, outcome, place, value, before, ended in _ENTRY.iter_unpack(content):
        yield Write(_KINDS[kind], _OUTCOMES[outcome], place, value, before, ended)
