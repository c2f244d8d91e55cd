"""Copying keys from one Redis to another, and following changes while clients move from one to the other."""

from __future__ import annotations

import fnmatch
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cutover.clock import Clock
from cutover.errors import StepError
from cutover.ports import KeyStore, KeyValue

_WATCH_SECONDS = 30.0
_LOOK_SECONDS = 0.2
_AGAIN_SECONDS = 1.0
_DUE_SECONDS = 2.0
"""A key that is deleted this close to its end has expired: the other side sees to that by itself."""


@dataclass(frozen=True)
class Copied:
    """What a copy did."""

    keys: int
    """How many there are to be copied."""
    written: int


class KeyCopy:
    """From one Redis to another, some keys left out. Methods raise StepError."""

    def __init__(self, source: KeyStore, target: KeyStore, left_out: Iterable[str], clock: Clock) -> None:
        """`left_out`: patterns of names with `*`."""
        self._source = source
        self._target = target
        self._left_out = tuple(left_out)
        self._clock = clock
        self._ends: dict[bytes, float] = {}
        """When each key that has an end expires, on our clock."""

    def copy(self) -> Copied:
        """Copies all keys; what is on the other side and expires no earlier stays as it is there."""
        names = self._moving(self._source.names())
        values = self._read(names)
        return Copied(len(values), self._target.write(values, later_wins=True))

    def follow(self, seconds: float) -> int:
        """Carries over what has changed since; waits so long for a change. Returns how many keys."""
        changes = self._source.changes(seconds)
        now = self._clock.monotonic()
        gone = [
            key
            for key in self._moving(changes.deleted)
            if self._ends.pop(key, float("inf")) - now > _DUE_SECONDS
        ]
        values = self._read(self._moving(changes.changed))
        if values:
            self._target.write(values, later_wins=False)
        if gone:
            self._target.delete(gone)
        return len(values) + len(gone)

    def missing(self) -> Sequence[bytes]:
        """The keys that are on the one side and not on the other."""
        there = set(self._target.names())
        lacking = [key for key in self._moving(self._source.names()) if key not in there]
        # What has expired meanwhile is not missing.
        return [value.key for value in self._source.read(lacking)] if lacking else []

    def _read(self, keys: Sequence[bytes]) -> Sequence[KeyValue]:
        values = self._source.read(keys) if keys else []
        now = self._clock.monotonic()
        self._ends.update((value.key, now + value.ttl_ms / 1000) for value in values if value.ttl_ms >= 0)
        return values

    def _moving(self, keys: Iterable[bytes]) -> list[bytes]:
        return [
            key
            for key in keys
            if not any(
                fnmatch.fnmatchcase(key.decode("utf-8", "surrogateescape"), pattern)
                for pattern in self._left_out
            )
        ]


class Follower:
    """A thread that keeps one Redis up to date with another, and begins anew where a connection ends."""

    def __init__(self, open_copy: Callable[[], tuple[KeyCopy, KeyStore, KeyStore]], clock: Clock) -> None:
        """`open_copy` gives a copy with its source and target, not connected yet."""
        self._open = open_copy
        self._clock = clock
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: StepError | None = None
        self.carried = 0
        """How many keys were carried over."""

    def start(self) -> Copied:
        """Watches, copies all, then follows. Raises StepError where the first copy does not succeed."""
        copy, source, target = self._open()
        try:
            source.watch(_WATCH_SECONDS)
            copied = copy.copy()
        except BaseException:
            _close(source, target)
            raise
        self._thread = threading.Thread(
            target=self._run, args=(copy, source, target), name="keys", daemon=True
        )
        self._thread.start()
        return copied

    def stop(self) -> None:
        """Ends, after everything that has changed until now was carried over. Raises StepError."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(timeout=2 * _WATCH_SECONDS)
        copy, source, target = self._open()
        try:
            self.carried += copy.copy().written
        finally:
            _close(source, target)

    @property
    def trouble(self) -> str:
        """Why nothing is carried over at the moment; empty where it is."""
        return str(self._error) if self._error else ""

    def _run(self, copy: KeyCopy, source: KeyStore, target: KeyStore) -> None:
        while not self._ending.is_set():
            try:
                self.carried += copy.follow(_LOOK_SECONDS)
                self._error = None
            except StepError as error:
                self._error = error
                _close(source, target)
                self._ending.wait(_AGAIN_SECONDS)
                copy, source, target = self._reopened(copy, source, target)
        _close(source, target)

    def _reopened(
        self, copy: KeyCopy, source: KeyStore, target: KeyStore
    ) -> tuple[KeyCopy, KeyStore, KeyStore]:
        try:
            copy, source, target = self._open()
            source.watch(_WATCH_SECONDS)
            self.carried += copy.copy().written
        except StepError as error:
            self._error = error
        return copy, source, target


def _close(*stores: KeyStore) -> None:
    for store in stores:
        store.close()
