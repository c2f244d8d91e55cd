"""Pairs of connections, over which both servers are asked the same at the same time."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from cutover.mysql import LostConnectionError, Server, Session

STATEMENT_SECONDS = 600.0
"""A statement reads a part of a table, or the whole of one that has no key."""
Rows = list[tuple[Any, ...]]


class Lane:
    """One connection to each server. A connection that was lost is made anew once: a lane only reads."""

    def __init__(self, source: Server, target: Server, executor: ThreadPoolExecutor) -> None:
        self._servers = (source, target)
        self._sessions: list[Session | None] = [None, None]
        self._executor = executor
        self._seconds = STATEMENT_SECONDS

    def allow(self, seconds: float) -> None:
        """How long a statement may take from now on."""
        self._seconds = seconds
        for session in self._sessions:
            if session is not None:
                session.allow(seconds)

    def both(self, statement: str) -> tuple[Rows, Rows]:
        """Both servers' rows, values as exact text. Raises DatabaseError."""
        there: Future[Rows] = self._executor.submit(self._rows, 1, statement)
        try:
            here = self._rows(0, statement)
        finally:
            # Whatever happened here, the other connection must be free before the lane is used again.
            found = there.exception()
        if found is not None:
            raise found
        return here, there.result()

    def source(self) -> Session:
        """The connection to the source, for questions about it alone. Raises DatabaseError."""
        return self._session(0)

    def close(self) -> None:
        """Ends both connections."""
        for session in self._sessions:
            if session is not None:
                session.close()

    def _rows(self, which: int, statement: str) -> Rows:
        try:
            return self._session(which).rows(statement)
        except LostConnectionError:
            session = self._sessions[which]
            if session is not None:
                session.close()
            self._sessions[which] = None
            return self._session(which).rows(statement)

    def _session(self, which: int) -> Session:
        session = self._sessions[which]
        if session is None:
            session = self._servers[which].connect(seconds=self._seconds, raw=True)
            session.execute("SET SESSION group_concat_max_len = 67108864")
            self._sessions[which] = session
        return session


class Lanes:
    """Several lanes, taken and given back; connections are made when they are first needed."""

    def __init__(self, source: Server, target: Server, count: int) -> None:
        self._executor = ThreadPoolExecutor(count, thread_name_prefix="target")
        self._lanes = [Lane(source, target, self._executor) for _ in range(count)]
        self._free: queue.SimpleQueue[Lane] = queue.SimpleQueue()
        for lane in self._lanes:
            self._free.put(lane)
        self.count = count

    def allow(self, seconds: float) -> None:
        """How long a statement may take from now on, on all of them; nobody may have taken one."""
        for lane in self._lanes:
            lane.allow(seconds)

    @contextmanager
    def take(self) -> Iterator[Lane]:
        """A lane that nobody else uses; waits for one."""
        lane = self._free.get()
        try:
            yield lane
        finally:
            self._free.put(lane)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown()
        for lane in self._lanes:
            lane.close()
