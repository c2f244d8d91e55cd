"""The lease: one runner at a time for an environment, each with a higher epoch than the one before it.

What a holder starts carries the lease's id in its environment, so that the next holder can end what a killed
one left running. The local lease is a lock on a file, which the kernel gives back when its holder ends; for
runners on several machines there is one in a table (table_lease.py).
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from cutover.children import began, end_children, kill, machine, mark, open_files, stopped
from cutover.clock import Clock
from cutover.errors import LeaseError

_FLOCK = "hhqqi0q"


@dataclass(frozen=True)
class Holder:
    """Who holds or held the lease."""

    epoch: int
    id: str
    pid: int
    host: str
    since: str
    machine: str = ""
    """See children.machine."""
    began: int = 0
    """When its process began, see children.began."""

    @property
    def here(self) -> bool:
        """Whether it ran on this machine, where its process can be seen."""
        return self.machine == machine()

    @property
    def gone(self) -> bool:
        """Whether its process is known to have ended. One of another machine is never known to."""
        return self.here and began(self.pid) != self.began

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since}"


def new_holder(epoch: int, holder_id: str, clock: Clock) -> Holder:
    """This process as a holder."""
    return Holder(
        epoch=epoch,
        id=holder_id,
        pid=os.getpid(),
        host=socket.gethostname(),
        since=clock.now().isoformat(timespec="seconds"),
        machine=machine(),
        began=began(os.getpid()),
    )


class Lease(Protocol):
    """One runner at a time. A context manager: whoever is inside holds it."""

    holder: Holder | None
    """Whoever is inside."""

    @property
    def epoch(self) -> int:
        """Grows with each holder. Raises LeaseError outside the lease."""

    def __enter__(self) -> Self:
        """Takes the lease, after what the holder before left running has ended. Raises LeaseError."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Gives it back."""

    def ensure(self) -> None:
        """Asked before each effect. Raises LeaseError where the lease is not, or no longer, held."""

    def held(self) -> bool:
        """Whether some runner holds it now; asks without taking it. Raises LeaseError."""

    def holder_here(self) -> int | None:
        """The process that holds it, where it runs on this machine. Raises LeaseError."""

    def last(self) -> Holder | None:
        """Whoever took it last, and may have given it back. Raises LeaseError."""

    def unlock(self, holder_id: str) -> Holder:
        """Takes it from a holder that is lost; refuses where that one is seen at work.

        Raises:
            LeaseError: nobody holds it, another than this one does, or the holder is alive.
        """


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

    def ensure(self) -> None:
        """See Lease. The kernel takes it from nobody who lives."""
        if self.holder is None:
            raise LeaseError("the lease is not held")

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
            raise busy(before, str(self.path)) from None
        except OSError as error:
            self._close()
            raise LeaseError(f"the lease {self.path} cannot be taken: {error}") from error
        try:
            self.holder = self._succeed()
        except BaseException:
            self._close()
            raise
        mark(self.holder.id)
        return self

    def _succeed(self) -> Holder:
        """Ends what the holder before left, and writes down the new one."""
        before = _read(self.path)
        if before is not None:
            end_children(before.id, self._clock)
            self._last_epoch = max(self._last_epoch, before.epoch)
        holder = new_holder(self._last_epoch + 1, uuid.uuid4().hex, self._clock)
        try:
            _write(self._file, holder)
        except OSError as error:
            raise LeaseError(f"the lease {self.path} cannot be written: {error}") from error
        return holder

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.holder = None
        mark(None)
        self._close()

    def held(self) -> bool:
        """See Lease."""
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise LeaseError(f"the lease {self.path} cannot be read: {error}") from error
        try:
            answer = fcntl.fcntl(file, fcntl.F_OFD_GETLK, _lock(fcntl.F_WRLCK))
        finally:
            os.close(file)
        kind: int = struct.unpack(_FLOCK, answer)[0]
        return kind != fcntl.F_UNLCK

    def holder_here(self) -> int | None:
        """See Lease: the process has the lease's file open."""
        found = self.last() if self.held() else None
        if found is None or found.host != socket.gethostname():
            return None
        return found.pid if self.path.resolve() in open_files(found.pid) else None

    def last(self) -> Holder | None:
        """See Lease."""
        try:
            return _read(self.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LeaseError(f"the lease {self.path} cannot be read: {error}") from error

    def unlock(self, holder_id: str) -> Holder:
        """See Lease: a holder that was stopped is ended, and what it started; the kernel does the rest."""
        found = self.last()
        if found is None or not self.held():
            raise LeaseError(f"nobody holds the lease {self.path}: there is nothing to unlock")
        same(found, holder_id)
        pid = self.holder_here()
        if pid is None:
            raise LeaseError(f"{found} is not one of this machine, or another user's: unlock it there")
        if not stopped(pid):
            raise LeaseError(f"{found} is alive. Stop it with Ctrl-C, or end process {pid}")
        kill(pid, began(pid), self._clock)
        end_children(found.id, self._clock)
        return found

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def busy(holder: Holder | None, place: str) -> LeaseError:
    """The error of whoever finds the lease held."""
    who = f"{holder} holds {place} (lease {holder.id})" if holder else f"another process holds {place}"
    return LeaseError(f"a cutover of this environment is already running: {who}. Wait for it, or end it")


def same(holder: Holder, holder_id: str) -> None:
    """Raises LeaseError unless the holder is the one that was named."""
    if holder.id != holder_id:
        raise LeaseError(f"the lease is held by {holder.id} ({holder}), not by {holder_id}")


def _lock(kind: int) -> bytes:
    """The kernel's `struct flock` over a whole file; of the open file, not of the process (fcntl(2))."""
    return struct.pack(_FLOCK, kind, os.SEEK_SET, 0, 0, 0)


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
