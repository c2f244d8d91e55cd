"""`python -m lab.soak.writers FILE`: clients that write to whichever of two databases takes writes.

FILE is JSON: `databases` (their ports), `user`, `password`, `schema`, `rate` (writes a second in all),
`threads`, `first` (the number of the first writer), `seed`, `log` (a folder), `acknowledged` (a file that
says how many). They go on until SIGTERM.

Each write is one transaction. Most insert a row that nobody else inserts; some swap a register's value for a
new one, if it still is what they read. A write that is refused because the database is read-only was not
done: it is tried again on the other one. A write whose answer was lost is unknown: it is remembered and not
repeated.
"""

from __future__ import annotations

import contextlib
import json
import random
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import pymysql
from pymysql.constants import CR, ER

from lab.soak.log import Write, put

REGISTERS = 64
SWAP_SHARE = 0.1
LOOPBACK = "127.0.0.1"
TIMEOUT_SECONDS = 30.0
_READ_ONLY = (ER.OPTION_PREVENTS_STATEMENT, 1836)
_LOST = (CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, 1927, ER.QUERY_INTERRUPTED, 1158, 1159, 1160, 1161)
"""1927: the connection was killed."""
_NOT_DONE = (ER.LOCK_DEADLOCK, ER.LOCK_WAIT_TIMEOUT)
_PAUSE_SECONDS = 0.005


class Writer(threading.Thread):
    """One client with one connection."""

    def __init__(self, number: int, given: Mapping[str, Any], stop: threading.Event) -> None:
        super().__init__(name=f"writer {number}", daemon=True)
        self.number = number
        self.acknowledged = 0
        self.refused = 0
        self.error: BaseException | None = None
        self._given = given
        self._stop_writing = stop
        self._interval = given["threads"] / given["rate"]
        self._choice = random.Random(f"{given['seed']} {number}")
        self._ports: list[int] = given["databases"]
        self._side = 0
        self._connections: list[pymysql.Connection[Any] | None] = [None, None]
        self._values = 0

    def run(self) -> None:
        """Writes at its rate, and catches up after a pause."""
        try:
            with (Path(self._given["log"]) / f"writer-{self.number}").open("wb") as file:
                due = time.monotonic() + self._choice.random() * self._interval
                while not self._stop_writing.is_set():
                    if (ahead := due - time.monotonic()) > 0:
                        self._stop_writing.wait(ahead)
                        continue
                    # a client that was held for long does not send all that it missed at once
                    due = max(due + self._interval, time.monotonic() - 1.0)
                    self._write(file)
        except BaseException as error:  # noqa: BLE001 - told by the process
            self.error = error
        finally:
            for self._side in (0, 1):
                self._leave()

    def _write(self, file: BinaryIO) -> None:
        self._values += 1
        value = self.number << 32 | self._values
        if self._choice.random() >= SWAP_SHARE:
            statement = f"INSERT INTO soak_rows (writer, value) VALUES ({self.number}, {value})"  # noqa: S608
            self._until_told(file, statement, Write("insert", "unknown", self.number, value, 0, 0.0))
            return
        register = self._choice.randrange(REGISTERS)
        before = self._read(register)
        if before is not None:
            there = f"WHERE id = {register} AND value = {before}"
            statement = f"UPDATE soak_registers SET value = {value} {there}"  # noqa: S608
            self._until_told(file, statement, Write("swap", "unknown", register, value, before, 0.0))

    def _read(self, register: int) -> int | None:
        try:
            connection = self._open()
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT value FROM soak_registers WHERE id = {register:d}")  # noqa: S608
                (value,) = cursor.fetchone() or (None,)
                return None if value is None else int(value)
        except pymysql.Error as error:
            self._turn(error)
            return None

    def _until_told(self, file: BinaryIO, statement: str, write: Write) -> None:
        """Sends a write until it is done, found to be impossible, or unknown."""
        while True:
            try:
                connection = self._open()
            except pymysql.Error as error:  # nothing was sent
                self._turn(error)
                if self._stop_writing.is_set():
                    return
                continue
            try:
                changed = connection.query(statement)
            except pymysql.Error as error:
                if not self._turn(error):
                    put(file, Write(write.kind, "unknown", write.place, write.value, write.before,
                                    time.monotonic()))  # fmt: skip
                    return
                self.refused += 1
                if self._stop_writing.is_set():
                    return
                continue
            if changed:  # a swap may find another value by now: then nothing was done
                put(file, Write(write.kind, "acknowledged", write.place, write.value, write.before,
                                time.monotonic()))  # fmt: skip
                self.acknowledged += 1
            return

    def _turn(self, error: pymysql.Error) -> bool:
        """What an error means: whether the statement was not done. Then it is tried again, elsewhere."""
        code = error.args[0] if error.args else 0
        if code in _NOT_DONE:
            return True
        if code in _READ_ONLY:
            self._side = 1 - self._side
            time.sleep(_PAUSE_SECONDS)
            return True
        self._leave()
        if code in _LOST or isinstance(error, (pymysql.InterfaceError, pymysql.OperationalError)):
            time.sleep(_PAUSE_SECONDS)
            return False
        raise error

    def _open(self) -> pymysql.Connection[Any]:
        found = self._connections[self._side]
        if found is None:
            self._connections[self._side] = found = pymysql.connect(
                host=LOOPBACK, port=self._ports[self._side], user=self._given["user"],
                password=self._given["password"], database=self._given["schema"], autocommit=True,
                connect_timeout=TIMEOUT_SECONDS, read_timeout=TIMEOUT_SECONDS, write_timeout=TIMEOUT_SECONDS,
                ssl_disabled=True,
            )  # fmt: skip
        return found

    def _leave(self) -> None:
        """Ends the connection to the database that was written to last."""
        connection, self._connections[self._side] = self._connections[self._side], None
        if connection is not None:
            with contextlib.suppress(pymysql.Error):  # it was gone already
                connection.close()


def main() -> int:
    """Writes until SIGTERM; ends with 1 where a writer came upon what it did not expect."""
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    writers = [Writer(given["first"] + number, given, stop) for number in range(given["threads"])]
    for writer in writers:
        writer.start()
    told = Path(given["acknowledged"])
    while not stop.wait(0.5):
        fresh = told.with_suffix(".new")
        fresh.write_text(str(sum(writer.acknowledged for writer in writers)), encoding="ascii")
        fresh.replace(told)
        if any(writer.error for writer in writers):
            break
    stop.set()
    for writer in writers:
        writer.join(2 * TIMEOUT_SECONDS)
    for writer in writers:
        if writer.error is not None or writer.is_alive():
            sys.stderr.write(f"{writer.name}: {writer.error or 'does not end'}\n")
            return 1
    sys.stderr.write(f"refused and tried again: {sum(writer.refused for writer in writers)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
