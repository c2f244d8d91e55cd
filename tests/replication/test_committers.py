"""Committers of buffers that are told to pause, with a Redis in memory."""

from __future__ import annotations

from typing import Any, cast

import pytest

from cutover.database_move.workers import BufferCommitters
from cutover.errors import StepTimeoutError
from cutover.keys.store import RedisPod
from stacks.settings import RedisListBuffer


class Redis:
    """Flags, and how many items each look finds in the lists of what was taken."""

    def __init__(self, taken: list[int]) -> None:
        self.taken = taken
        self.flags: set[str] = set()
        self.asked: list[list[str]] = []

    def set_flag(self, key: str) -> None:
        self.flags.add(key)

    def clear_flag(self, key: str) -> None:
        self.flags.discard(key)

    def items(self, patterns: Any) -> int:
        assert self.flags, "what was taken counts once nobody takes any more"
        self.asked.append(list(patterns))
        return self.taken.pop(0) if len(self.taken) > 1 else self.taken[0]


def committers(redis: Redis, *, pause_key: str | None = "b:paused") -> BufferCommitters:
    buffer = RedisListBuffer(
        name="usage", kind="redis-list", host="redis.a", keys=("b", "b:processing:*"), pause_key=pause_key
    )
    return BufferCommitters([(buffer, cast(RedisPod, redis))])


def test_they_pause_until_all_that_was_taken_is_committed() -> None:
    redis = Redis([3, 1, 0])
    found = committers(redis)

    found.pause(5.0)

    assert redis.flags == {"b:paused"}
    assert redis.asked == [["b:processing:*"]] * 3, "what waits in the list itself may stay"
    found.resume()
    found.resume()
    assert not redis.flags


def test_what_is_never_committed_is_told_in_time() -> None:
    redis = Redis([2])

    with pytest.raises(StepTimeoutError, match="2 items of usage were taken and are not committed"):
        committers(redis).pause(0.01)


def test_a_buffer_that_cannot_be_told_is_left_alone() -> None:
    redis = Redis([2])

    committers(redis, pause_key=None).pause(0.01)

    assert not redis.flags
