"""Comparing one table range by range, several ranges at a time, in a way that can be taken up again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from cutover.mysql import Session
from cutover.verification.checkpoint import TableProgress
from cutover.verification.compare import Compared, Method, compare_batch
from cutover.verification.keys import Key, TableKey
from cutover.verification.lanes import Lanes
from cutover.verification.pair import TablePair
from cutover.verification.ranges import Batch, batches


class RangeRun:
    """One run over a table. Ranges end in any order; the frontier moves over those that ended in a row."""

    def __init__(
        self,
        pair: TablePair,
        key: TableKey,
        state: TableProgress,
        method: Method,
        lanes: Lanes,
        *,
        suspect: Callable[[frozenset[Key]], None],
        advanced: Callable[[int], None],
    ) -> None:
        """`suspect` is told keys that differ, and `advanced` how many rows the frontier has moved over."""
        self._pair = pair
        self._key = key
        self._state = state
        self._method = method
        self._lanes = lanes
        self._suspect = suspect
        self._advanced = advanced
        self._running: dict[Future[Compared], tuple[int, Batch]] = {}
        self._ended: dict[int, tuple[Batch, Compared]] = {}
        self._next = 0

    def run(self, session: Session, workers: ThreadPoolExecutor) -> None:
        """Compares what lies behind the frontier; `session` is asked for boundaries. Raises StepError."""
        start = self._state.frontier
        for number, batch in enumerate(batches(session, self._pair, self._key, start)):
            self._running[workers.submit(self._compare, batch)] = (number, batch)
            # One more than can run: no connection waits for the next boundary.
            while len(self._running) > self._lanes.count:
                self._collect()
        while self._running:
            self._collect()

    def _compare(self, batch: Batch) -> Compared:
        with self._lanes.take() as lane:
            return compare_batch(lane, self._pair, self._key, batch, self._method)

    def _collect(self) -> None:
        done, _ = wait(self._running, return_when=FIRST_COMPLETED)
        for future in done:
            number, batch = self._running.pop(future)
            found = future.result()
            if found.suspects:
                self._suspect(found.suspects)
            self._ended[number] = (batch, found)
        rows = 0
        while self._next in self._ended:
            batch, found = self._ended.pop(self._next)
            self._next += 1
            self._state.rows += found.rows
            self._state.frontier = batch[-1].upper or self._state.frontier
            rows += found.rows
        self._advanced(rows)
