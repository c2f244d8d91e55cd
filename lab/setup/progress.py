"""Says on stderr, in plain lines, what setup is doing and how long it has been at it; runs its commands."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.setup.errors import SetupError

_BEAT_SECONDS = 15.0
_POLL_SECONDS = 0.1
_TAIL_LINES = 12
_LAST_LINE_CHARACTERS = 80


def say(text: str) -> None:
    """One line of progress."""
    sys.stderr.write(f"setup: {text}\n")
    sys.stderr.flush()


def spell(seconds: float) -> str:
    """A duration as people write it."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class Step:
    """One thing that setup does: its name, how long it usually takes, and the log of its commands."""

    def __init__(self, what: str, usually: str, log: Path, way_on: str) -> None:
        self.what = what
        self._usually = usually
        self._log = log
        self._way_on = way_on
        self._started = time.monotonic()

    def __enter__(self) -> Step:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._log.write_bytes(b"")
        say(f"{self.what} (usually {self._usually}; log: {self._log})")
        return self

    def __exit__(self, failure: type | None, *_: object) -> None:
        if failure is None:
            say(f"{self.what}: done in {spell(self._elapsed())}")

    def run(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, timeout: float) -> None:
        """Run a command with its output in the log, telling now and then how far it is.

        Raises SetupError with the command, the end of its output, the log and the way on.
        """
        with self._log.open("ab") as output:
            output.write(f"$ {shlex.join(argv)}\n".encode())
            output.flush()
            try:
                process = subprocess.Popen(
                    argv, env={**os.environ, **(env or {})}, stdout=output, stderr=subprocess.STDOUT
                )
            except OSError as error:
                raise SetupError(
                    f"{self.what}: cannot run `{shlex.join(argv)}`: {error}. {self._way_on}"
                ) from error
            try:
                ended = self._watch(process, timeout)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        if process.returncode != 0:
            how = f"failed with code {process.returncode}" if ended else f"took more than {spell(timeout)}"
            raise SetupError(
                f"{self.what}: `{shlex.join(argv)}` {how}. It last said:\n{self._tail()}\n"
                f"Its whole output: {self._log}\n{self._way_on}"
            )

    def _watch(self, process: subprocess.Popen[bytes], timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        beat = time.monotonic() + _BEAT_SECONDS
        while process.poll() is None:
            now = time.monotonic()
            if now > deadline:
                return False
            if now > beat:
                beat = now + _BEAT_SECONDS
                say(f"{self.what}: {spell(self._elapsed())} of usually {self._usually}: {self._last_line()}")
            time.sleep(_POLL_SECONDS)
        return True

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _lines(self) -> list[str]:
        return self._log.read_text(errors="replace").splitlines()

    def _last_line(self) -> str:
        lines = self._lines()
        return lines[-1].strip()[:_LAST_LINE_CHARACTERS] if lines else ""

    def _tail(self) -> str:
        return "\n".join(f"    {line}" for line in self._lines()[-_TAIL_LINES:])
