"""How far it is, and how long it will take."""

from __future__ import annotations

import time
from collections.abc import Callable

SAID_EVERY_SECONDS = 2.0


class Progress:
    """Counts rows and says, every two seconds, how many there are, how quickly, and for how long still."""

    def __init__(self, total: int, already: int, say: Callable[[str], None]) -> None:
        """`total`: an estimate of all rows; `already`: those that were compared before."""
        self._total = total
        self._already = already
        self._rows = 0
        self._say = say
        self._begun = self._said = time.monotonic()

    def add(self, table: str, rows: int) -> None:
        """So many rows of a table are done."""
        self._rows += rows
        now = time.monotonic()
        if now - self._said >= SAID_EVERY_SECONDS:
            self._said = now
            rate = self._rows / (now - self._begun)
            done = self._already + self._rows
            left = max(0, self._total - done)
            share = f"{min(1.0, done / self._total):.0%}" if self._total else "100%"
            remaining = f"{left / rate:.0f} s left" if rate else "unknown time left"
            self._say(f"verified {done:,} rows ({share}), {rate:,.0f} a second, {remaining}; at {table}")
