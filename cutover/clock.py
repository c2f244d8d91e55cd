"""Time, in one place, so that it can be set by tests and simulations."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where the cutover takes time from."""

    def now(self) -> datetime:
        """The time of day in UTC; for people and records, never for a deadline."""

    def monotonic(self) -> float:
        """Seconds that only grow; for deadlines and durations."""

    def sleep(self, seconds: float) -> None:
        """Waits."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """See Clock."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """See Clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """See Clock."""
        time.sleep(seconds)


class BootClock(SystemClock):
    """The machine's clock, whose seconds go on while the machine sleeps: others count a lease too."""

    def monotonic(self) -> float:
        """See Clock."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)
