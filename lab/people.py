"""The people of a migration, as a rehearsal plays them: each does by hand what the plan asks of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.clouds import Clouds

_LOOK_SECONDS = 1.0


class People:
    """Watches `cutover status` for steps that wait for a person, does them, and approves them.

    `deeds` says what is done for each step's id before it is approved.
    """

    def __init__(
        self, clouds: Clouds, cutover: Sequence[str], project: Path, deeds: Mapping[str, Callable[[], None]]
    ) -> None:
        self._clouds = clouds
        self._cutover = list(cutover)
        self._project = project
        self._deeds = deeds
        self._ended = threading.Event()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Have them at work while the block runs."""
        self._ended.clear()
        thread = threading.Thread(target=self._watch, name="people", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join(timeout=60.0)

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            for step in self._waiting():
                if step in self._deeds:
                    self._deeds[step]()
                self._run("approve", step, "--as", "lab operator", "--note", "done in the rehearsal")

    def _waiting(self) -> list[str]:
        output = self._run("status", "--json")
        return [entry["step"] for entry in json.loads(output)["waiting"]] if output else []

    def _run(self, *arguments: str) -> str:
        result = self._clouds.operator([*self._cutover, *arguments], cwd=self._project, timeout=60.0)
        return result.stdout if result.returncode == 0 else ""
