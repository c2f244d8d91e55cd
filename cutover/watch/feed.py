"""The journal, followed: one thread reads it, and every page is sent what it has not seen yet.

Pages are not queued for: each says up to which record it was told, and gets the difference, or everything.
So a slow page costs nothing, and one that is opened late sees what the others see.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cutover.errors import CutoverError, JournalError
from cutover.history import History, add, fold
from cutover.journal import Contents
from cutover.masking import masked
from cutover.measure.metrics import text, values
from cutover.narrative import owners_of
from cutover.plan import Plan
from cutover.session import Session
from cutover.watch.view import LINES, head_view, lines_view, plan_view, steps_view

LOOK_SECONDS = 0.25
_MOST = 500
"""A page that lacks more records than this is sent everything."""


@dataclass(frozen=True)
class Moment:
    """What is known at one time. `generation` grows with everything that a page should hear of."""

    generation: int
    contents: Contents
    head: Mapping[str, Any]


class Feed:
    """Follows a session's journal until it is closed."""

    def __init__(self, session: Session, plan: Plan, expected: Mapping[str, float]) -> None:
        self.plan = plan
        self.plan_json = _json(plan_view(plan, expected))
        self.asked: Callable[[], Mapping[str, str] | None] = lambda: None
        """What somebody asked for on a page, and what became of it."""
        self.probed: Callable[[], Mapping[str, Any] | None] = lambda: None
        """What the sides answer, where they are asked."""
        self._session = session
        self._owners = owners_of(plan)
        self._names = [step.id for step in plan.steps]
        self._changed = threading.Condition()
        self._history = History()
        self._folded = 0
        self._error = ""
        self._moment = Moment(0, Contents((), 0, 0), {})
        self._seen: tuple[str, bool] | None = None
        self._stands: Mapping[str, Any] = {}
        """Where it stands, as of what was seen: it is worked out anew only when something has changed."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)
        self.look()

    def start(self) -> None:
        """Begins to follow."""
        self._thread.start()

    def close(self) -> None:
        """Ends it, and lets everybody go who waits."""
        self._ended.set()
        with self._changed:
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._ended.is_set()

    def look(self) -> None:
        """Reads what is new. What cannot be read is said on the page, and looked at again."""
        try:
            running = self._session.running()
            contents = self._read()
            # asked on both sides: a runner that begins or ends in between has not died
            running = self._session.running() or running
            self._error = ""
        except CutoverError as error:
            contents, running, self._error = self._moment.contents, False, str(error)
        with self._changed:
            self._fold(contents)
            last = contents.records[-1] if contents.records else None
            if (seen := (contents.head, running)) != self._seen:
                program = self._session.program
                self._stands = head_view(self.plan, self._history, last, running=running, program=program)
                self._seen = seen
            head = {
                **self._stands,
                "error": self._error,
                "asked": self.asked(),
                "probes": self.probed(),
            }
            if head != self._moment.head or contents.head != self._moment.contents.head:
                self._moment = Moment(self._moment.generation + 1, contents, head)
                self._changed.notify_all()

    def wait(self, generation: int, seconds: float) -> Moment:
        """The newest moment; waits for one that is newer than `generation`, but not longer."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._moment.generation > generation or self._ended.is_set(), seconds
            )
            return self._moment

    def message(self, moment: Moment, seen: int | None) -> tuple[str, bytes]:
        """The event's name and data for a page that saw `seen` records; None: for one that is new."""
        records = moment.contents.records
        whole = seen is None or seen > len(records) or len(records) - seen > _MOST
        start = max(0, len(records) - LINES) if whole or seen is None else seen
        touched = [record.data.get("step", "") for record in records[start:]]
        names = self._names if whole else [name for name in dict.fromkeys(touched) if name in self._owners]
        with self._changed:
            steps = steps_view(self._history, names)
        data = {
            **moment.head,
            "clock": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "steps": steps,
            "lines": lines_view(records[start:], self._owners),
        }
        return "everything" if whole else "change", _json(data)

    def metrics(self) -> str:
        """Where it stands, in Prometheus's text format."""
        with self._changed:
            return text(values(self.plan, self._history, self._moment.head))

    def _read(self) -> Contents:
        before, home = self._moment.contents, self._session.journal_home
        try:
            found = home.read(before)
        except CutoverError:
            if not before.records:
                raise
            found = home.read()  # another journal lies there now
        if before.records and not found.records:
            raise JournalError(f"the journal {home} is gone; what is shown is what it held last")
        return found

    def _fold(self, contents: Contents) -> None:
        before = self._moment.contents
        if contents.records[: len(before.records)] != before.records:
            self._history, self._folded = fold(contents.records), len(contents.records)
            return
        for record in contents.records[self._folded :]:
            add(self._history, record)
        self._folded = len(contents.records)

    def _run(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            self.look()


def _json(value: Any) -> bytes:
    return masked(json.dumps(value, separators=(",", ":"))).encode()
