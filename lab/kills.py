"""Kills the runner with SIGKILL at random moments, as a machine that loses power would."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from cutover.journal import read_journal

_LOOK_SECONDS = 0.02
_MOST_RECORDS = 4
_MOST_SECONDS = 1.5


@dataclass(frozen=True)
class Kill:
    """A kill as the report tells it. `step`: the step that the journal was last writing about."""

    kind: str
    at: str
    step: str


class Killer:
    """Kills a process `times` times, each a random number of journal records and seconds after its start.

    The runner's children live on: what they do after their parent's death is part of the fault.
    """

    def __init__(self, journal: Path, times: int, seed: int) -> None:
        self._journal = journal
        self._left = times
        self._random = random.Random(seed)
        self.kills: list[Kill] = []

    @property
    def done(self) -> bool:
        """Whether all kills have happened."""
        return self._left == 0

    def watch(self, start: Callable[[], subprocess.Popen[bytes]]) -> int:
        """Start the runner, again after each kill; the exit code of the one that ended by itself."""
        while True:
            process = start()
            if self.done or not self._kill(process):
                return process.wait()

    def _kill(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether it was still running at the chosen moment, and is dead now."""
        begun = self._records()
        records = self._random.randint(1, _MOST_RECORDS)
        seconds = self._random.uniform(0, _MOST_SECONDS)
        while self._records() < begun + records:
            if process.poll() is not None:
                return False
            time.sleep(_LOOK_SECONDS)
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            self._left -= 1
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            self.kills.append(Kill("the runner killed with SIGKILL", now, self._step()))
            return True
        return False

    def _records(self) -> int:
        return len(read_journal(self._journal).records)

    def _step(self) -> str:
        records = read_journal(self._journal).records
        return next((record.data["step"] for record in reversed(records) if record.data.get("step")), "")

    def write(self, path: Path) -> Path:
        """Write the kills as a file for the report."""
        path.write_text(json.dumps({"faults_injected": [asdict(kill) for kill in self.kills]}, indent=2))
        return path
