"""Keys of rows that have to be compared again."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping

from cutover.verification.keys import Key


class PendingKeys:
    """Keys by table, each with the number of the change that put it in; used by several threads.

    A key is taken out only if it was not put in again since it was looked at: the row may have changed while
    it was read.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[str, dict[Key, int]] = {}
        self._whole: dict[str, int] = {}
        self._number = 0

    def add(self, table: str, keys: Iterable[Key]) -> None:
        """These rows changed, or were found to differ."""
        with self._lock:
            self._number += 1
            self._keys.setdefault(table, {}).update(dict.fromkeys(keys, self._number))

    def add_whole(self, table: str) -> None:
        """Something in a table changed that no key tells."""
        with self._lock:
            self._number += 1
            self._whole[table] = self._number

    def snapshot(self) -> dict[str, dict[Key, int]]:
        """All keys by table, with their numbers."""
        with self._lock:
            return {table: dict(keys) for table, keys in self._keys.items() if keys}

    def whole(self) -> dict[str, int]:
        """The tables that have to be compared as a whole, with their numbers."""
        with self._lock:
            return dict(self._whole)

    def settle(self, table: str, seen: Mapping[Key, int], same: Collection[Key]) -> None:
        """Takes out the keys whose rows are the same, unless they were put in again since `seen`."""
        with self._lock:
            keys = self._keys.get(table, {})
            for key in same:
                if keys.get(key) == seen[key]:
                    del keys[key]

    def settle_whole(self, table: str, number: int) -> None:
        """Takes out a table that was compared as a whole, unless it was put in again since."""
        with self._lock:
            if self._whole.get(table) == number:
                del self._whole[table]

    def count(self) -> int:
        """How many rows wait, tables without a key counted as one."""
        with self._lock:
            return sum(map(len, self._keys.values())) + len(self._whole)
