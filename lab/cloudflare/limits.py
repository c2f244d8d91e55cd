"""The limit on API calls: 1200 in 5 minutes, then none for 5 minutes (Cloudflare's page "Rate limits")."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from lab.cloudflare.errors import rate_limited


@dataclass(frozen=True)
class Allowance:
    """How many calls are left, and in how many seconds the count starts to recover."""

    remaining: int
    recovers_in: int


class RateLimit:
    """Counts the calls of one user in a sliding window. All times in seconds."""

    def __init__(
        self, calls: int = 1200, window: float = 300.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.calls = calls
        self.window = window
        self._clock = clock
        self._made: deque[float] = deque()
        self._blocked_until = -math.inf

    def count(self) -> Allowance:
        """Counts one call. Raises ApiError 429 where it is one too many, and for the window after that."""
        now = self._clock()
        if now < self._blocked_until:
            raise rate_limited(math.ceil(self._blocked_until - now))
        while self._made and self._made[0] <= now - self.window:
            self._made.popleft()
        if len(self._made) >= self.calls:
            self._blocked_until = now + self.window
            raise rate_limited(math.ceil(self.window))
        self._made.append(now)
        return Allowance(self.calls - len(self._made), math.ceil(self._made[0] + self.window - now))
