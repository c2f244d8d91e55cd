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
_MOST_SECONDS = 1.5
_SHARE = 0.85
_RECORDS_OF_A_STEP = 2
"""What the journal gets of a step at least: its intent and its outcome."""


@dataclass(frozen=True)
class Kill:
    """A kill as the report tells it. `step`: the step that the journal was last writing about."""

    kind: str
    at: str
    step: str


class Killer:
    """Kills a process `times` times, at moments that chance has spread over the whole way.

    The runner's children live on: what they do after their parent's death is part of the fault.
    """

    def __init__(self, journal: Path, times: int, seed: int, steps: int) -> None:
        """`steps`: how many the way has."""
        self._journal = journal
        self._random = random.Random(seed)
        # not in its last moments: it has to be running still when its time has come
        records = range(1, max(times + 1, int(steps * _RECORDS_OF_A_STEP * _SHARE)))
        self._moments = sorted(self._random.sample(records, times), reverse=True)
        """How many records the journal has by then; the next one last."""
        self.kills: list[Kill] = []

    @property
    def done(self) -> bool:
        """Whether all kills have happened."""
        return not self._moments

    def watch(self, start: Callable[[], subprocess.Popen[bytes]]) -> int:
        """Start the runner, again after each kill; the exit code of the one that ended by itself."""
        while True:
            process = start()
            if self.done or not self._kill(process):
                return process.wait()

    def _kill(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether it was still running at the chosen moment, and is dead now."""
        moment = max(self._moments[-1], self._records() + 1)
        seconds = self._random.uniform(0, _MOST_SECONDS)
        while self._records() < moment:
            if process.poll() is not None:
                return False
            time.sleep(_LOOK_SECONDS)
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            self._moments.pop()
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
