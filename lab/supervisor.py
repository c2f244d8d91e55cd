"""Starts, watches and ends the processes of a lab, each by its own id."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab.world import LabError, World

_POLL_SECONDS = 0.05
_TAIL_LINES = 15


@dataclass(frozen=True)
class _Supervised:
    process: subprocess.Popen[bytes]
    log: Path


class Supervisor:
    """The processes of one lab. Output of each goes to `<folder>/logs/<name>.log`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._running: dict[str, _Supervised] = {}
        self._logs = world.folder / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        host: str = "world",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        ready: Callable[[], bool] | None = None,
        timeout: float = 60.0,
    ) -> subprocess.Popen[bytes]:
        """Start `argv` in `host` and wait, at most `timeout` seconds, until `ready()` is true.

        `env` is added to this process's environment. Raises LabError, with the end of the log,
        if the process ends or is not ready in time; it is then not running any more.
        """
        if name in self._running:
            raise LabError(f"a process named {name} is already running")
        log = self._logs / f"{name}.log"
        with log.open("ab") as output:
            process = self._spawn(argv, host, {**os.environ, **(env or {})}, cwd, output)
        self._running[name] = _Supervised(process, log)
        deadline = time.monotonic() + timeout
        while ready is not None and not ready():
            if process.poll() is not None:
                del self._running[name]
                raise LabError(f"{name} ended with code {process.returncode} while starting:\n{_tail(log)}")
            if time.monotonic() > deadline:
                self.stop(name, grace=1.0)
                raise LabError(f"{name} was not ready within {timeout:.0f} s:\n{_tail(log)}")
            time.sleep(_POLL_SECONDS)
        return process

    def _spawn(
        self, argv: Sequence[str], host: str, env: Mapping[str, str], cwd: Path | None, output: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._world.command(host, argv),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def stop(self, name: str, *, grace: float = 5.0) -> None:
        """End a process and its group by SIGTERM, after `grace` seconds by SIGKILL.

        Raises LabError for an unknown name.
        """
        supervised = self._running.pop(name, None)
        if supervised is None:
            raise LabError(f"no process named {name} is running")
        process = supervised.process
        if process.poll() is None:
            _signal_group(process, signal.SIGTERM)
            try:
                process.wait(grace)
            except subprocess.TimeoutExpired:
                _signal_group(process, signal.SIGKILL)
                process.wait()

    def wait(self, name: str, *, timeout: float) -> None:
        """Wait until a process ends by itself; LabError if it does not in time, or ends with an error."""
        supervised = self._running.pop(name)
        try:
            code = supervised.process.wait(timeout)
        except subprocess.TimeoutExpired:
            _signal_group(supervised.process, signal.SIGKILL)
            raise LabError(f"{name} did not end within {timeout:.0f} s:\n{_tail(supervised.log)}") from None
        if code != 0:
            raise LabError(f"{name} ended with code {code}:\n{_tail(supervised.log)}")

    def stop_all(self, *, grace: float = 5.0) -> None:
        """End everything at once, last started first; by SIGKILL what is left after `grace` seconds."""
        stopping = [found.process for found in reversed(self._running.values())]
        self._running.clear()
        for process in stopping:
            if process.poll() is None:
                _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + grace
        for process in stopping:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal_group(process, signal.SIGKILL)
                process.wait()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to the process group of `name`."""
        _signal_group(self._running[name].process, number)

    def log(self, name: str) -> Path:
        """Where the output of `name` goes."""
        return self._logs / f"{name}.log"

    def check(self) -> None:
        """Raise LabError naming each process that ended by itself."""
        ended = [
            f"{name} ended with code {supervised.process.returncode}:\n{_tail(supervised.log)}"
            for name, supervised in self._running.items()
            if supervised.process.poll() is not None
        ]
        if ended:
            raise LabError("\n".join(ended))


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return  # it ended between the look and the signal: nothing is left to tell


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
    return "\n".join(f"    {line}" for line in lines)
