"""Progress for people: a line each with the time, and on a terminal what is being waited for."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from types import FrameType, TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.status import Status

WAITING, STILL = "waiting", "still running"


class Output:
    """Where progress goes: standard output, or standard error where that holds JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self._console = Console(file=sys.stderr if as_json else sys.stdout, highlight=False, soft_wrap=True)
        self._status: Status | None = None
        self.last_said = time.monotonic()
        """When a line was said last, by the machine's monotonic clock."""

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._console.status("working")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def say(self, text: str) -> None:
        """One line of progress. On a terminal, what is waited for replaces itself."""
        if self._status is not None:
            self._status.update(escape(text))
            if text.startswith((WAITING, STILL)):
                return
        self.last_said = time.monotonic()
        now = datetime.now().astimezone()
        self._console.print(f"{now:%H:%M:%S} {escape(text)}")


@contextmanager
def stop_on_ctrl_c(output: Output) -> Iterator[Callable[[], bool]]:
    """Gives a function that says whether the operator asked to stop; a second Ctrl-C stops at once."""
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's signature
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        output.say("stopping at the next safe point; Ctrl-C again stops at once")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
