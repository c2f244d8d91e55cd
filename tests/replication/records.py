"""A record of a switch in whose middle something happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cutover.switching import SwitchRecord
from cutover.switching.record import Stage


class ActsAt(SwitchRecord):
    """Does something right after a stage was noted, or in place of noting it."""

    def __init__(
        self, path: Path, stage: Stage | None, act: Callable[[], None], *, before: bool = False
    ) -> None:
        """`stage`: None for never."""
        super().__init__(path)
        self._stage, self._act, self._before = stage, act, before

    def note(self, stage: Stage, **facts: object) -> None:
        """See SwitchRecord."""
        if stage == self._stage and self._before:
            self._act()
        super().note(stage, **facts)
        if stage == self._stage and not self._before:
            self._act()
