"""The lease: one runner at a time for an environment, each with a higher epoch than the one before it.

The local lease is a lock on a file, which the kernel gives back when its holder ends. What a holder starts
carries the lease's id in its environment, so that the next holder can end what a killed one left running.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import struct
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cutover.clock import Clock
from cutover.errors import LeaseError

CHILD_MARK = "LANDFALL_LEASE"
"""The environment variable by which a holder's children are known."""
GRACE_SECONDS = 10.0
_FLOCK = "hhqqi0q"


@dataclass(frozen=True)
class Holder:
    """Who holds or held the lease."""

    epoch: int
    id: str
    pid: int
    host: str
    since: str


class LocalLease:
    """A lease for runners on one machine. Use it as a context manager; `epoch` is known inside."""

    def __init__(self, path: Path, clock: Clock, last_epoch: int = 0) -> None:
        """`last_epoch`: the highest that the journal knows, should the lease's file have been lost."""
        self.path = path
        self._clock = clock
        self._last_epoch = last_epoch
        self._file = -1
        self.holder: Holder | None = None

    @property
    def epoch(self) -> int:
        """Grows with each holder. Raises LeaseError outside the lease."""
        if self.holder is None:
            raise LeaseError("the lease is not held")
        return self.holder.epoch

    def __enter__(self) -> Self:
        """Takes the lease, then ends what a killed holder left running.

        Raises:
            LeaseError: another runner holds it, or its file cannot be used.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.fcntl(self._file, fcntl.F_OFD_SETLK, _lock(fcntl.F_WRLCK))
        except (BlockingIOError, PermissionError) as error:
            self._close()
            if isinstance(error, PermissionError) and error.filename:
                raise LeaseError(f"the lease {self.path} cannot be taken: {error}") from error
            before = _read(self.path)
            who = (
                f"process {before.pid} on {before.host} since {before.since}" if before else "another process"
            )
            raise LeaseError(
                f"a cutover of this environment is already running: {who} holds {self.path}. Wait "
                "for it, or end it"
            ) from None
        except OSError as error:
            self._close()
            raise LeaseError(f"the lease {self.path} cannot be taken: {error}") from error
        try:
            self.holder = self._succeed()
        except BaseException:
            self._close()
            raise
        os.environ[CHILD_MARK] = self.holder.id
        return self

    def _succeed(self) -> Holder:
        """Ends what the holder before left, and writes down the new one."""
        before = _read(self.path)
        if before is not None:
            end_children(before.id, self._clock)
            self._last_epoch = max(self._last_epoch, before.epoch)
        holder = Holder(
            epoch=self._last_epoch + 1,
            id=uuid.uuid4().hex,
            pid=os.getpid(),
            host=socket.gethostname(),
            since=self._clock.now().isoformat(timespec="seconds"),
        )
        try:
            _write(self._file, holder)
        except OSError as error:
            raise LeaseError(f"the lease {self.path} cannot be written: {error}") from error
        return holder

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.holder = None
        os.environ.pop(CHILD_MARK, None)
        self._close()

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def is_held(path: Path) -> bool:
    """Whether some runner holds the lease now; asks without taking it. Raises LeaseError."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise LeaseError(f"the lease {path} cannot be read: {error}") from error
    try:
        answer = fcntl.fcntl(file, fcntl.F_OFD_GETLK, _lock(fcntl.F_WRLCK))
    finally:
        os.close(file)
    kind: int = struct.unpack(_FLOCK, answer)[0]
    return kind != fcntl.F_UNLCK


def holder_here(path: Path) -> int | None:
    """The process that holds the lease, where it runs on this machine and has the lease's file open."""
    found = _read(path) if is_held(path) else None
    if found is None or found.host != socket.gethostname():
        return None
    try:
        open_files = [os.readlink(file) for file in Path(f"/proc/{found.pid}/fd").iterdir()]  # noqa: PTH115
    except OSError:  # it has ended, or is another user's
        return None
    return found.pid if str(path.resolve()) in open_files else None


def _lock(kind: int) -> bytes:
    """The kernel's `struct flock` over a whole file; of the open file, not of the process (fcntl(2))."""
    return struct.pack(_FLOCK, kind, os.SEEK_SET, 0, 0, 0)


def end_children(holder: str, clock: Clock) -> tuple[int, ...]:
    """Ends the processes that carry a holder's mark, first kindly; returns their ids.

    Raises:
        LeaseError: one of them would not end.
    """
    found = _children(holder)
    for number, grace in ((signal.SIGINT, GRACE_SECONDS), (signal.SIGKILL, GRACE_SECONDS)):
        for pid in _children(holder):
            _signal(pid, number)
        deadline = clock.monotonic() + grace
        while _children(holder) and clock.monotonic() < deadline:
            clock.sleep(0.05)
    if left := _children(holder):
        raise LeaseError(
            f"processes of the runner before this one would not end: {', '.join(map(str, left))}"
        )
    return found


def _children(holder: str) -> tuple[int, ...]:
    mark = f"{CHILD_MARK}={holder}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                environment = (folder / "environ").read_bytes()
            except OSError:  # it has ended, or is another user's
                continue
            if mark in environment.split(b"\0"):
                found.append(int(folder.name))
    return tuple(sorted(found))


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _read(path: Path) -> Holder | None:
    """The last holder; None where there was none."""
    text = path.read_text(encoding="utf-8")
    if not text.strip():
        return None
    try:
        fields: dict[str, Any] = json.loads(text)
        return Holder(**fields)
    except (ValueError, TypeError) as error:
        raise LeaseError(
            f"the lease {path} is damaged ({error}). Make sure that no cutover runs, then remove the file"
        ) from error


def _write(file: int, holder: Holder) -> None:
    content = json.dumps(holder.__dict__, sort_keys=True).encode() + b"\n"
    os.pwrite(file, content, 0)
    os.ftruncate(file, len(content))
    os.fsync(file)
