"""Tells people beside the run: a thread a channel, so that one that hangs delays nobody.

Up to which record a channel was told is kept in a file: what a runner that was killed left untold is told by
the next one.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from cutover.errors import CutoverError
from cutover.journal import Contents, FileHome, Home
from cutover.notices.happenings import Happening, Teller
from cutover.notices.send import SendError, name, send
from cutover.plan import Plan
from stacks.settings.notices import Notice

LAST_SECONDS = 10.0
"""How long the end of a run waits for what is still to be told; the rest is told with the next run."""
GIVE_UP_SECONDS = 300.0
OLDEST = timedelta(hours=1)
"""What is older is not told any more."""
_LOOK_SECONDS = 0.5
_LONGEST_PAUSE = 60.0


class Notifier:
    """A context manager around a run."""

    def __init__(
        self,
        plan: Plan,
        notices: Sequence[Notice],
        journal: Path,
        say: Callable[[str], None],
        *,
        program: str = "cutover",
        home: Home | None = None,
        send_one: Callable[[Notice, Happening], None] = lambda notice, item: send(notice, item, os.environ),
    ) -> None:
        """`journal`: its path, beside which is kept who was told; `home`: where it is, if not there."""
        self._closing = threading.Event()
        self._channels = [
            _Channel(
                notice=notice,
                teller=Teller(plan, program),
                journal=journal,
                home=home or FileHome(journal),
                say=say,
                send_one=send_one,
                closing=self._closing,
            )
            for notice in notices
        ]

    def __enter__(self) -> Self:
        for channel in self._channels:
            channel.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        until = time.monotonic() + LAST_SECONDS
        for channel in self._channels:
            channel.last_try = until
        self._closing.set()
        for channel in self._channels:
            channel.join(max(0.0, until - time.monotonic()))


class _Channel(threading.Thread):
    def __init__(
        self,
        *,
        notice: Notice,
        teller: Teller,
        journal: Path,
        home: Home,
        say: Callable[[str], None],
        send_one: Callable[[Notice, Happening], None],
        closing: threading.Event,
    ) -> None:
        super().__init__(name=f"notices {notice.kind}", daemon=True)
        self._notice = notice
        self._teller = teller
        self._home = home
        self._say = say
        self._send = send_one
        self._closing = closing
        key = hashlib.sha256(notice.model_dump_json().encode()).hexdigest()[:12]
        self._mark = journal.with_name(f"{journal.stem}.told-{key}.json")
        self._contents = Contents((), 0, 0)
        self._read = 0
        self._complained = False
        self.last_try = float("inf")
        """When the run that it tells of has ended, and waits no longer."""
        self._told = -1
        self._keep(self._begin())

    def _begin(self) -> int:
        """Up to which record this channel was told; all that there is, where it is new."""
        try:
            return int(json.loads(self._mark.read_text())["records"])
        except FileNotFoundError:
            return len(self._look().records)
        except (OSError, ValueError, KeyError, TypeError):
            return len(self._look().records)

    def _look(self) -> Contents:
        try:
            self._contents = self._home.read(self._contents)
        except CutoverError:
            return self._contents  # the runner says so itself
        return self._contents

    def run(self) -> None:
        """Follows the journal until the run ends."""
        while True:
            ending = self._closing.is_set()
            records = self._look().records
            for record in records[self._read :]:
                self._read += 1
                item = self._teller.read(record)
                wanted = item and record.number >= self._told and item.kind in self._notice.about
                if item and wanted and not self._tell(item):
                    return
                self._keep(record.number + 1)
            if ending:
                return
            self._closing.wait(_LOOK_SECONDS)

    def _tell(self, item: Happening) -> bool:
        """Tries again and again, for some minutes; false where the run has ended meanwhile."""
        if datetime.fromisoformat(item.at) < datetime.now(UTC) - OLDEST:
            return True
        until, pause = time.monotonic() + GIVE_UP_SECONDS, 1.0
        while True:
            try:
                self._send(self._notice, item)
            except SendError as error:
                if error.final or time.monotonic() + pause > until:
                    if not self._complained:
                        self._say(f"notices: {name(self._notice)} could not be told: {error}")
                    self._complained = True
                    return True
            else:
                self._complained = False
                return True
            if self._closing.wait(pause):
                time.sleep(min(pause, max(0.0, self.last_try - time.monotonic())))
                if time.monotonic() >= self.last_try:
                    return False
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _keep(self, records: int) -> None:
        if records <= self._told:
            return
        self._told = records
        temporary = self._mark.with_suffix(".new")
        try:
            temporary.write_text(json.dumps({"records": records}))
            temporary.replace(self._mark)
        except OSError as error:
            if not self._complained:
                self._say(f"notices: {self._mark} cannot be written: {error}")
            self._complained = True
