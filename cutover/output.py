"""Progress for people: a line each with the time, and on a terminal what is being waited for."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from types import FrameType, TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.status import Status
from rich.text import Text

from cutover.masking import masked

WAITING, STILL = "waiting", "still running"
LOOK_SECONDS = 0.5
View = Callable[[], RenderableType | None]


class Output:
    """Where progress goes: standard output, or standard error where that holds JSON."""

    def __init__(self, *, as_json: bool, view: View | None = None, console: Console | None = None) -> None:
        """`view`: what a terminal shows beneath the lines; None of it: what it showed before."""
        file = sys.stderr if as_json else sys.stdout
        self._console = console or Console(file=file, highlight=False, soft_wrap=True)
        self._view = view
        self._live: _LiveView | None = None
        self._status: Status | None = None
        self.last_said = time.monotonic()
        """When a line was said last, by the machine's monotonic clock."""

    def __enter__(self) -> Self:
        if self._console.is_terminal and self._view is not None:
            self._live = _LiveView(self._console, self._view)
            self._live.start()
        elif self._console.is_terminal:
            self._status = self._console.status("working")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, text: str) -> None:
        """One line of progress. On a terminal, what is waited for replaces itself."""
        text = masked(text)
        if self._status is not None:
            self._status.update(escape(text))
        if self._live is not None:
            self._live.note = text
        alive = self._status is not None or self._live is not None
        if alive and text.startswith((WAITING, STILL)):
            return
        self.last_said = time.monotonic()
        now = datetime.now().astimezone()
        self._console.print(f"{now:%H:%M:%S} {escape(text)}")


class _LiveView:
    """A view that is looked at again and again, over what is done at the moment."""

    def __init__(self, console: Console, view: View) -> None:
        self.note = ""
        self._view = view
        self._spinner = Spinner("dots")
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="view", daemon=True)

    def start(self) -> None:
        """Begins to show it."""
        self._live.start()
        self._thread.start()

    def stop(self) -> None:
        """Shows it a last time, and leaves it there."""
        self._ended.set()
        self._thread.join()
        self.note = ""
        self._look()
        self._live.stop()

    def _run(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        shown = self._view()
        if shown is None:
            return
        self._spinner.update(text=Text(self.note, style="dim"))
        self._live.update(Group(shown, self._spinner) if self.note else shown, refresh=True)


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
