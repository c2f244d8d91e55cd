"""The machine that a simulated runner runs on: its time, its threads, its disk.

While a machine is installed, the modules of the cutover that ask `time`, `threading` or the file system are
answered by it. Everything else of them is as it is.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Self

import cutover.children
import cutover.journal
import cutover.switching.record
from tests.faults.simulation.kernel import Kernel, Life, Task

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = 3600.0


class SimulatedClock:
    """Implements cutover.clock.Clock. The time of day may be set off; `monotonic` may not."""

    def __init__(self, kernel: Kernel, after_sleep: Callable[[], None] = lambda: None) -> None:
        self._kernel = kernel
        self._after_sleep = after_sleep
        self.offset = 0.0
        self.frozen: float | None = None

    def now(self) -> datetime:
        seconds = self._kernel.now if self.frozen is None else self.frozen
        return BEGAN + timedelta(seconds=seconds + self.offset)

    def monotonic(self) -> float:
        return self._kernel.now

    def sleep(self, seconds: float) -> None:
        self._kernel.sleep(seconds)
        self._after_sleep()

    def set_off(self, how: str, seconds: float) -> None:
        """By an hour (`clock forward`, `clock back`), or it stands still for some seconds."""
        match how:
            case "clock forward":
                self.offset += HOUR
            case "clock back":
                self.offset -= HOUR
            case _:
                self.frozen = self._kernel.now
                self._kernel.at(self._kernel.now + seconds, self.thaw)

    def thaw(self) -> None:
        """It goes on."""
        self.frozen = None


class _Time:
    """Stands for the module `time`."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self.monotonic = self.perf_counter = clock.monotonic
        self.sleep = clock.sleep

    def time(self) -> float:
        return self._clock.now().timestamp()

    def strftime(self, text: str) -> str:
        return self._clock.now().strftime(text)


class _Threading:
    """Stands for the module `threading`: a thread is a task of the process that starts it."""

    def __init__(self, kernel: Kernel, clock: SimulatedClock) -> None:
        def thread(target: Callable[..., None], args: tuple[Any, ...] = (), **_: Any) -> _Thread:
            return _Thread(kernel, clock, lambda: target(*args))

        self.Thread = thread
        self.Event = lambda: _Event(clock)
        self.Lock = lambda: _Lock(clock)


class _Thread:
    def __init__(self, kernel: Kernel, clock: SimulatedClock, what: Callable[[], None]) -> None:
        self._kernel, self._clock, self._what = kernel, clock, what
        self._task: Task | None = None

    def start(self) -> None:
        self._task = self._kernel.spawn(self._kernel.life or Life("nobody's"), self._what)

    def join(self, timeout: float | None = None) -> None:
        until = self._clock.monotonic() + (float("inf") if timeout is None else timeout)
        while self._task and not self._task.done and self._clock.monotonic() < until:
            self._clock.sleep(0.05)


class _Lock:
    """Whoever finds it taken waits in virtual time."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock, self._taken = clock, False

    def __enter__(self) -> None:
        while self._taken:
            self._clock.sleep(0.05)
        self._taken = True

    def __exit__(self, *_: object) -> None:
        self._taken = False


class _Event:
    def __init__(self, clock: SimulatedClock) -> None:
        self._clock, self._set = clock, False

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True

    def wait(self, timeout: float | None = None) -> bool:
        until = self._clock.monotonic() + (float("inf") if timeout is None else timeout)
        while not self._set and self._clock.monotonic() < until:
            self._clock.sleep(min(0.1, until - self._clock.monotonic()))
        return self._set


class _OneAfterTheOther:
    """Stands for a ThreadPoolExecutor whose jobs nobody can tell apart in time."""

    def __init__(self, max_workers: int, thread_name_prefix: str = "") -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def map(self, what: Callable[..., Any], *arguments: Iterable[Any]) -> Iterator[Any]:
        return iter([what(*given) for given in zip(*arguments, strict=False)])

    def submit(self, what: Callable[..., Any], *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(what(*args))
        except Exception as error:  # noqa: BLE001 - as an executor does
            future.set_exception(error)
        return future

    def shutdown(self) -> None:
        pass


class Disk:
    """Knows what of a file would survive the machine; may be full or broken.

    A process that is killed loses nothing that it wrote; a machine that loses its power keeps what was
    fsynced, and of the rest any part.
    """

    def __init__(self) -> None:
        self.fault: Callable[[str], str | None] = lambda _operation: None
        """Asked at every write: `full`, `broken`, or None."""
        self.fsyncs = True
        """Taken away by a negative control: fsync returns and does nothing."""
        self._durable: dict[int, int] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, file: int, data: bytes) -> int:
        match self.fault("write"):
            case "full":
                os.write(file, data[: len(data) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            case "broken":
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        return os.write(file, data)

    def fsync(self, file: int) -> None:
        if self.fault("fsync"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if self.fsyncs:
            found = os.fstat(file)
            self._durable[found.st_ino] = found.st_size

    fdatasync = fsync

    def durable(self, path: Path) -> int:
        """How many bytes of a file would survive."""
        return self._durable.get(path.stat().st_ino, 0) if path.exists() else 0

    def lose_power(self, folder: Path, chance: Random) -> None:
        """What was not durable is lost, or a part of it."""
        for path in folder.glob("**/*.jsonl"):
            size, kept = path.stat().st_size, self.durable(path)
            if kept < size:
                os.truncate(path, chance.randint(kept, size))


@contextmanager
def installed(kernel: Kernel, clock: SimulatedClock, disk: Disk) -> Iterator[None]:
    """Inside, the cutover runs on this machine."""
    stands_for: dict[int, Any] = {
        id(time): _Time(clock),
        id(threading): _Threading(kernel, clock),
        id(ThreadPoolExecutor): _OneAfterTheOther,
    }
    before: list[tuple[Any, str, Any]] = []

    def replace(module: Any, name: str, value: Any) -> None:
        before.append((module, name, getattr(module, name)))
        setattr(module, name, value)

    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("cutover.") and module_name != "cutover.clock":
            for name in ("time", "threading", "ThreadPoolExecutor"):
                found = module.__dict__.get(name)
                if id(found) in stands_for:
                    replace(module, name, stands_for[id(found)])
    for module in (cutover.journal, cutover.switching.record):
        replace(module, "os", disk)
    replace(cutover.children, "_children", lambda _holder: ())  # a simulated process has none on this machine
    try:
        yield
    finally:
        for module, name, value in reversed(before):
            setattr(module, name, value)
