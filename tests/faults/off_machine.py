"""Loads off_machine.c into real processes: a time of day that is off, a disk that is full or broken."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
DISKS = {"full": 1, "broken": 2, "fsync fails": 3}
_BUILD_SECONDS = 60.0


@dataclass(frozen=True)
class OffMachine:
    """The library, and the file that says how far its clock is off."""

    library: Path
    clock: Path

    @classmethod
    def build(cls, folder: Path) -> OffMachine:
        """Compiles it."""
        library = folder / "off_machine.so"
        subprocess.run(
            ["gcc", "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"],
            check=True, capture_output=True, timeout=_BUILD_SECONDS,
        )  # fmt: skip
        return cls(library, folder / "clock")

    def environment(self) -> Mapping[str, str]:
        """For a process that is to run on it."""
        return {**os.environ, "LD_PRELOAD": str(self.library), "OFF_CLOCK": str(self.clock)}

    def set_clock(self, text: str) -> None:
        """`+3600`, `-3600`, `frozen`, or nothing."""
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.clock)


class Disk:
    """Of this process, which was started on such a machine."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)

    def fail(self, kind: str, number: int) -> None:
        """From the number-th operation of its kind on; 0: none."""
        self._library.off_disk(DISKS[kind] if number else 0, number)

    def count(self) -> None:
        """Counts, and lets nothing fail."""
        self._library.off_disk(DISKS["full"], 1 << 30)

    @property
    def operations(self) -> tuple[int, int]:
        """Writes and fsyncs of journals."""
        return self._library.off_writes(), self._library.off_fsyncs()

    @property
    def failed(self) -> int:
        """How many failed."""
        return int(self._library.off_failed())
