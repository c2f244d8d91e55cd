"""Time: how long what is being stopped may still take, how long what failed pauses."""

from __future__ import annotations

import asyncio
import time

_LONGEST_PAUSE_SECONDS = 300.0


class Grace:
    """A deadline that may be brought forward while others wait for it."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._changed = asyncio.Event()

    @property
    def left(self) -> float:
        """Seconds until the deadline, never below 0."""
        return max(0.0, self._deadline - time.monotonic())

    def shorten(self, seconds: float) -> None:
        """No more than so many seconds from now."""
        deadline = time.monotonic() + seconds
        if deadline < self._deadline:
            self._deadline = deadline
            self._changed.set()

    async def over(self, at_least: float = 0.0) -> None:
        """Return at the deadline, but not before `at_least` seconds from now."""
        floor = time.monotonic() + at_least
        while (left := max(self.left, floor - time.monotonic())) > 0:
            self._changed.clear()
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                return


class Backoff:
    """Pauses in seconds that double from a base up to five minutes."""

    def __init__(self, base: float, *, first: float) -> None:
        self._base = base
        self._first = first
        self._next = first

    def next(self) -> float:
        """The pause that is due now."""
        pause = self._next
        self._next = min(max(_LONGEST_PAUSE_SECONDS, self._base), max(self._base, pause * 2))
        return pause

    def reset(self) -> None:
        """Start over with the first pause."""
        self._next = self._first
