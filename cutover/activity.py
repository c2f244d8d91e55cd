"""What is being worked on right now, and a sign of life while nothing else is said."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

QUIET_SECONDS = 10.0
"""After so long without a line, the next one says that the work goes on, and on what."""
_LOOK_SECONDS = 0.5


@dataclass
class Activity:
    """Written by what works, read by the heartbeat in another thread."""

    monotonic: Callable[[], float] = time.monotonic
    step: str = ""
    """What is worked on; empty between two steps."""
    detail: str = ""
    """What of it is done or waited for."""
    since: float = 0.0

    def begin(self, step: str) -> None:
        """A step is worked on from now."""
        self.step, self.detail, self.since = step, "", self.monotonic()

    def note(self, detail: str) -> None:
        """The same step, seen closer: it goes on counting from where it began."""
        self.detail = detail

    def end(self) -> None:
        """Nothing is worked on."""
        self.step = self.detail = ""

    def __str__(self) -> str:
        return f"{self.step}: {self.detail}" if self.detail else self.step


class Heartbeat:
    """Says every `QUIET_SECONDS` without another line that the work still runs, for how long, and on what."""

    def __init__(
        self, activity: Activity, say: Callable[[str], None], last_said: Callable[[], float]
    ) -> None:
        """`last_said`: when any line was said last, by the activity's clock."""
        self._activity = activity
        self._say = say
        self._last_said = last_said
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def look(self) -> None:
        """Says a line if one is due."""
        now, what = self._activity.monotonic(), str(self._activity)
        if self._activity.step and now - max(self._last_said(), self._activity.since) >= QUIET_SECONDS:
            self._say(f"still running ({now - self._activity.since:.0f} s): {what}")

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            self.look()
