"""What a runner started: known by a mark in its environment, and ended by whoever comes after the runner."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from cutover.clock import Clock
from cutover.errors import LeaseError

CHILD_MARK = "LANDFALL_LEASE"
"""The environment variable by which a holder's children are known."""
GRACE_SECONDS = 10.0


def mark(holder: str | None) -> None:
    """What this process starts from now on carries a holder's mark; None: no mark any more."""
    if holder is None:
        os.environ.pop(CHILD_MARK, None)
    else:
        os.environ[CHILD_MARK] = holder


def end_children(holder: str, clock: Clock, grace: float = GRACE_SECONDS) -> tuple[int, ...]:
    """Ends the processes that carry a holder's mark, first kindly; returns their ids.

    Raises:
        LeaseError: one of them would not end.
    """
    found = _children(holder)
    for number in (signal.SIGINT, signal.SIGKILL):
        for pid in _children(holder):
            # a stopped one takes no signal but SIGKILL until it is continued
            for each in (number, signal.SIGCONT):
                _signal(pid, each)
        deadline = clock.monotonic() + grace
        while _children(holder) and clock.monotonic() < deadline:
            clock.sleep(0.05)
    if left := _children(holder):
        raise LeaseError(
            f"processes of the runner before this one would not end: {', '.join(map(str, left))}"
        )
    return found


def machine() -> str:
    """Names this machine from its start to its end, and the processes that can be seen on it."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"


def began(pid: int) -> int:
    """When a process began, in the kernel's ticks: with its number, it tells it from all others; 0: gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def stopped(pid: int) -> bool:
    """Whether a process was stopped, as by SIGSTOP."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in (b"T", b"t")
    except OSError:
        return False


def open_files(pid: int) -> frozenset[Path]:
    """The files that a process has open; none where it has ended, or is another user's."""
    found = set()
    try:
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # it has been closed meanwhile
                found.add(file.readlink())
    except OSError:
        return frozenset()
    return frozenset(found)


def kill(pid: int, since: int, clock: Clock, seconds: float = GRACE_SECONDS) -> None:
    """Ends a process at once, where it is still the one that began then.

    Raises:
        LeaseError: it would not end, or may not be ended.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if began(pid) != since:
            return
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise LeaseError(f"process {pid} is another user's and may not be ended: {error}") from error
    finally:
        os.close(handle)
    deadline = clock.monotonic() + seconds
    while began(pid) == since:
        if clock.monotonic() > deadline:
            raise LeaseError(f"process {pid} would not end")
        clock.sleep(0.02)


def _children(holder: str) -> tuple[int, ...]:
    marked = f"{CHILD_MARK}={holder}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                environment = (folder / "environ").read_bytes()
            except OSError:  # it has ended, or is another user's
                continue
            if marked in environment.split(b"\0"):
                found.append(int(folder.name))
    return tuple(sorted(found))


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
