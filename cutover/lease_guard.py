"""The guard of a lease's holder: a process of its own that ends the holder once its lease has lapsed.

A runner that was stopped (SIGSTOP, Ctrl-Z, a debugger) cannot end what it started, nor know, once it goes on,
that another runner is at work; on another machine nobody else can end it. Run as `python -m`, it takes the
holder's process and lease from its arguments, and from its standard input a deadline a line, in seconds of
CLOCK_BOOTTIME; `end` ends it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from cutover.children import began, end_children
from cutover.clock import BootClock
from cutover.errors import LeaseError
from cutover.lease import Holder

_END = b"end"
_KEPT = ("PATH", "HOME", "LANG", "PYTHONPATH", "VIRTUAL_ENV")
"""What of the environment it gets: no secret, and no mark of a holder's children."""
_FIRST_SECONDS = 60.0
"""How long it waits for the first deadline."""


class Guard:
    """A guard over this process, seen from the holder."""

    def __init__(self, holder: Holder, grace: float) -> None:
        """`grace`: how long what the holder started may take to end when asked. Raises LeaseError."""
        self._argv = [
            *(sys.executable, "-m", "cutover.lease_guard"),
            *(str(holder.pid), str(holder.began), holder.id, str(grace)),
        ]
        self._process = self._start()

    def until(self, deadline: float) -> None:
        """The holder is to be ended then, unless it says so again. Raises LeaseError."""
        try:
            self._say(f"{deadline:.6f}".encode())
        except BrokenPipeError:
            self._reap()
            self._process = self._start()
            self._say(f"{deadline:.6f}".encode())

    def close(self) -> None:
        """The holder has ended well."""
        with contextlib.suppress(BrokenPipeError):  # it has ended already
            self._say(_END)
        self._reap()

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        try:
            return subprocess.Popen(
                self._argv, cwd=Path(__file__).parents[1], env=environment, start_new_session=True,
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, bufsize=0,
            )  # fmt: skip
        except OSError as error:
            raise LeaseError(f"the guard of the lease cannot be started: {error}") from error

    def _say(self, line: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        self._process.stdin.write(line + b"\n")

    def _reap(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def main() -> int:
    """Watches until told that all is well, or until the deadline has passed."""
    pid, since, holder, grace = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
    clock = BootClock()
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        handle = -1
    if handle >= 0 and began(pid) != since:
        os.close(handle)
        handle = -1
    if not _lapsed(clock):
        return 0
    if handle >= 0:
        with contextlib.suppress(ProcessLookupError):  # it has ended, but perhaps not what it started
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    end_children(holder, clock, grace)
    return 0


def _lapsed(clock: BootClock) -> bool:
    """Whether the deadline passed before the holder said that it had ended."""
    deadline = clock.monotonic() + _FIRST_SECONDS
    heard, open_ = b"", True
    while (left := deadline - clock.monotonic()) > 0:
        if not open_:
            clock.sleep(left)
            continue
        if not select.select([0], [], [], left)[0]:
            continue
        said = os.read(0, 4096)
        open_ = bool(said)
        *lines, heard = (heard + said).split(b"\n")
        if _END in lines:
            return False
        if lines:
            deadline = float(lines[-1])
    return True


if __name__ == "__main__":
    sys.exit(main())
