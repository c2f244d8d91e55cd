"""What a switch has begun, on disk before it is begun: whoever comes after a crash knows which way to go."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from cutover.errors import StepError

Stage = Literal[
    "arming",
    "parking",
    "fencing",
    "fenced",
    "promoting",
    "giving back",
    "letting through",
    "done",
    "given up",
]
COMMITTED: tuple[Stage, ...] = ("letting through", "done")
"""From here on requests may have reached the new database: there is only the way ahead."""

UNTOUCHED: tuple[Stage, ...] = ("arming", "given up")
"""The old database serves: while it is armed nothing is changed, and what was given up is as before."""


class SwitchRecord:
    """A file of JSON lines, one a stage; each line is durable when `note` returns."""

    def __init__(self, path: Path, ensure: Callable[[], None] = lambda: None) -> None:
        """`ensure` is asked before each line; it raises LeaseError where the lease was lost.

        Raises:
            StepError: it cannot be opened.
        """
        self._path = path
        self.ensure = ensure
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            whole = path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.ftruncate(self._file, whole)  # a line that was cut off while it was written
        except OSError as error:
            raise StepError(f"the record of the switch {path} cannot be opened: {error}") from error
        self._size = whole
        self._failed = ""

    def note(self, stage: Stage, **facts: Any) -> None:
        """Writes a line. Raises StepError, LeaseError: the stage must not be begun then."""
        self.ensure()
        line = json.dumps({"stage": stage, **facts}, separators=(",", ":")).encode() + b"\n"
        if self._failed:
            raise StepError(f"the record of the switch {self._path} takes no more lines: {self._failed}")
        try:
            written = os.write(self._file, line)
            while written < len(line):
                written += os.write(self._file, line[written:])
            os.fdatasync(self._file)
        except OSError as error:
            self._cut()
            raise StepError(f"the record of the switch {self._path} cannot be written: {error}") from error
        self._size += len(line)

    def _cut(self) -> None:
        """What was not written whole is cut off, so that the next line does not follow half a line."""
        try:
            os.ftruncate(self._file, self._size)
        except OSError as error:
            self._failed = f"its end could not be cut off: {error}"

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)

    @staticmethod
    def last(path: Path) -> Mapping[str, Any] | None:
        """The last line that is whole; None where nothing was begun. Raises StepError."""
        try:
            lines = path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StepError(f"the record of the switch {path} cannot be read: {error}") from error
        # What follows the last newline was cut off while it was written, so its stage was not begun.
        for line in reversed(lines[:-1]):
            if line:
                try:
                    found: dict[str, Any] = json.loads(line)
                except ValueError as error:
                    raise StepError(f"the record of the switch {path} is damaged: {line[:80]!r}") from error
                return found
        return None
