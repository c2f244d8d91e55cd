"""A Redis in memory, as far as keys are copied."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from cutover.errors import StepError
from cutover.ports import KeyChanges, KeyValue


class MemoryKeys:
    """Implements ports.KeyStore."""

    def __init__(self) -> None:
        self.values: dict[bytes, KeyValue] = {}
        self.happened: list[KeyChanges] = []
        """What `changes` returns, one after another."""
        self.trouble = ""
        """Why every call fails; empty: none does."""
        self.watched = 0

    def put(self, key: bytes, value: bytes, ttl_ms: int = -1) -> None:
        self.values[key] = KeyValue(key, ttl_ms, value)

    def value(self, key: bytes) -> bytes:
        return self.values[key].dump

    def names(self) -> Sequence[bytes]:
        self._check()
        return list(self.values)

    def read(self, keys: Iterable[bytes]) -> Sequence[KeyValue]:
        self._check()
        return [self.values[key] for key in keys if key in self.values]

    def write(self, values: Iterable[KeyValue], *, later_wins: bool) -> int:
        self._check()
        written = 0
        for value in values:
            there = self.values.get(value.key)
            keep = there is not None and (there.ttl_ms == -1 or there.ttl_ms >= value.ttl_ms > 0)
            if not (later_wins and keep):
                self.values[value.key] = value
                written += 1
        return written

    def delete(self, keys: Iterable[bytes]) -> None:
        self._check()
        for key in keys:
            self.values.pop(key, None)

    def watch(self, seconds: float) -> None:
        self._check()
        self.watched += 1

    def changes(self, seconds: float) -> KeyChanges:
        self._check()
        if not self.happened:
            time.sleep(min(seconds, 0.002))
            return KeyChanges()
        return self.happened.pop(0)

    def close(self) -> None:
        pass

    def _check(self) -> None:
        if self.trouble:
            raise StepError(self.trouble)
