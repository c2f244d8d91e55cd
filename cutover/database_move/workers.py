"""What writes without being asked: the committers of buffers in Redis, which heed a key while they pause."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from cutover.errors import StepError, StepTimeoutError
from cutover.keys.store import RedisPod
from stacks.settings import RedisListBuffer

POLL_SECONDS = 0.002


class BufferCommitters:
    """Committers of Redis lists. Implements switching.Workers.

    While a buffer's `pause_key` is there, nobody takes items out of it; what was taken before is in one of
    the lists that its patterns name, until it is committed.
    """

    def __init__(self, buffers: Sequence[tuple[RedisListBuffer, RedisPod]]) -> None:
        self._buffers = tuple(
            (buffer, str(buffer.pause_key), redis) for buffer, redis in buffers if buffer.pause_key
        )

    def prepare(self) -> None:
        """Opens the connections ahead. Raises StepError."""
        for buffer, _, redis in self._buffers:
            redis.items(buffer.keys)

    def pause(self, seconds: float) -> None:
        """See Workers."""
        until = time.monotonic() + seconds
        for _, key, redis in self._buffers:
            redis.set_flag(key)
        for buffer, _, redis in self._buffers:
            taken = [pattern for pattern in buffer.keys if "*" in pattern]
            while left := redis.items(taken):
                if time.monotonic() > until:
                    raise StepTimeoutError(
                        f"{left} items of {buffer.name} were taken and are not committed after {seconds:g} s"
                    )
                time.sleep(POLL_SECONDS)

    def resume(self) -> None:
        """See Workers."""
        for _, key, redis in self._buffers:
            redis.clear_flag(key)

    def close(self) -> None:
        """Ends the connections."""
        for _, _, redis in self._buffers:
            with suppress(StepError):
                redis.close()
