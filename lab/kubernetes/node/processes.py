"""Child processes without a thread each: started in namespaces, awaited through process descriptors."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """unshare(2) for the calling thread. Raises OSError."""
    if _libc.unshare(flags) != 0:
        _raise("unshare")


def set_namespace(descriptor: int, kind: int) -> None:
    """setns(2) for the calling thread. Raises OSError."""
    if _libc.setns(descriptor, kind) != 0:
        _raise("setns")


def mount(source: str, target: Path, kind: str, options: str = "", flags: int = 0) -> None:
    """mount(2). Raises OSError."""
    if _libc.mount(source.encode(), str(target).encode(), kind.encode(), flags, options.encode()) != 0:
        _raise(f"mount of {target}")


def _raise(what: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{what}: {os.strerror(number)}")


def new_network_namespace() -> int:
    """A descriptor of a fresh network namespace, which lives as long as somebody has it open or is in it."""
    made: list[int] = []
    errors: list[OSError] = []

    def make() -> None:
        try:
            unshare(CLONE_NEWNET)
            made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            errors.append(error)

    # namespaces belong to threads: one that ends at once leaves ours alone
    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return made[0]


class Process:
    """A running child; `wait` may be awaited by several tasks."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self.pid = popen.pid
        self._popen = popen
        self._descriptor = os.pidfd_open(popen.pid)
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._loop.add_reader(self._descriptor, self._reap)

    def _reap(self) -> None:
        code = self._popen.poll()
        if code is None:
            return
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._ended.set_result(code)

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return not self._ended.done()

    async def wait(self) -> int:
        """The exit code, negative for the signal that ended it."""
        return await asyncio.shield(self._ended)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; one that has ended gets none."""
        if self.running:
            self._popen.send_signal(number)


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    output: IO[bytes] | int = subprocess.DEVNULL,
    keep: Sequence[int] = (),
    own_processes: bool = False,
) -> Process:
    """Start a child; with `own_processes` as the first process of a process namespace of its own.

    `keep` are descriptors it inherits. Raises OSError where it cannot be started.
    """
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC) if own_processes else -1
    try:
        if own_processes:
            unshare(CLONE_NEWPID)  # holds for the next child, not for this process
        popen = subprocess.Popen(
            argv,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=tuple(keep),
            start_new_session=True,
        )
    finally:
        if own_processes:
            set_namespace(own, CLONE_NEWPID)
            os.close(own)
    return Process(popen)


@dataclass(frozen=True)
class Result:
    """What a short command ended with."""

    code: int
    output: str


async def run(argv: Sequence[str], *, timeout: float, env: Mapping[str, str] | None = None) -> Result:
    """Run a short command to its end, at most `timeout` seconds. Raises TimeoutError, after killing it."""
    output = os.memfd_create("output")
    try:
        process = spawn(argv, env=env, output=output)
        try:
            async with asyncio.timeout(timeout):
                code = await process.wait()
        finally:
            process.signal(signal.SIGKILL)
        return Result(code, os.pread(output, 10_240, 0).decode(errors="replace"))
    finally:
        os.close(output)
