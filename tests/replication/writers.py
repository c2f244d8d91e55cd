"""Clients that write all the time and remember what was acknowledged."""

from __future__ import annotations

import random
import threading
import time
import uuid
from types import TracebackType
from typing import Self

from cutover.mysql import DatabaseError, Session
from lab.replication.mariadb import SCHEMA, MariaDb

WAIT_SECONDS = 30.0


class Writers:
    """Threads that insert rows as the application; `also_change`: they change and delete old ones too."""

    def __init__(self, database: MariaDb, count: int, *, also_change: bool = False) -> None:
        self._database = database
        self._also_change = also_change
        self._lock = threading.Lock()
        self._acknowledged: list[str] = []
        self.refused = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(n,), daemon=True) for n in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(WAIT_SECONDS)

    def acknowledged(self) -> list[str]:
        """The writes that the server said it has taken."""
        with self._lock:
            return list(self._acknowledged)

    def wait_for(self, count: int) -> None:
        """Waits until so many writes were acknowledged in all."""
        deadline = time.monotonic() + WAIT_SECONDS
        while len(self.acknowledged()) < count:
            assert time.monotonic() < deadline, f"only {len(self.acknowledged())} writes of {count}"
            time.sleep(0.005)

    def _write(self, number: int) -> None:
        choice = random.Random(number)  # noqa: S311 - which rows change
        session: Session | None = None
        while not self._stop.is_set():
            try:
                if session is None:
                    session = self._database.server("app").connect(SCHEMA)
                client = str(uuid.uuid4())
                session.execute("INSERT INTO records (client, amount) VALUES (%s, 1.5)", (client,))
                with self._lock:
                    self._acknowledged.append(client)
                if self._also_change:
                    session.execute(
                        "UPDATE records SET amount = amount + 1 WHERE id = %s", (choice.randint(1, 20000),)
                    )
                    session.execute("DELETE FROM records WHERE id = %s", (choice.randint(1, 20000),))
            except DatabaseError:
                self.refused += 1
                if session is not None:
                    session.close()
                session = None
            time.sleep(0.002)
        if session is not None:
            session.close()
