"""Programs that work for long: with a time limit, a sign of life, and nothing secret in their arguments."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cutover.context import Context
from cutover.errors import StepError

_GRACE_SECONDS = 5.0
_DRAIN_SECONDS = 60.0
_LOOK_SECONDS = 0.1
_SAY_SECONDS = 5.0
_SAID_CHARACTERS = 1500


def program(*names: str, package: str) -> str:
    """The first of some programs that is installed. Raises StepError that names what brings it."""
    for name in names:
        if found := shutil.which(name):
            return found
    raise StepError(f"{names[0]} is not installed here: install {package}; then `cutover run` goes on")


def version(path: str) -> str:
    """What a program says of its version, in one line. Raises StepError."""
    try:
        found = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StepError(f"{path} --version failed: {error}") from error
    return (found.stdout or found.stderr).strip().splitlines()[0][:200]


def run(
    context: Context,
    argv: Sequence[str],
    what: str,
    *,
    environment: Mapping[str, str] | None = None,
    feed: Callable[[IO[bytes]], None] | None = None,
    take: Callable[[IO[bytes]], None] | None = None,
    progress: Callable[[], str] | None = None,
) -> str:
    """Runs a program to its end; returns what it wrote to standard error (and output, if nobody takes it).

    Args:
        what: said to people, such as `the dump of the system database`.
        environment: what the program's environment has beside ours; the place of its secrets.
        feed: writes the program's input.
        take: reads the program's output.
        progress: what is said every few seconds.

    Raises:
        StepError: it failed; the text ends with what it said. StepTimeoutError where the step's time is over.
    """
    with tempfile.TemporaryFile() as said:
        with (
            subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
                stdout=subprocess.PIPE if take else said,
                stderr=said,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            ) as process,
            _Pump(feed, process.stdin) as feeding,
            _Pump(take, process.stdout) as taking,
            _ended_with_us(process),
        ):
            _watch(context, process, what, progress, (feeding, taking))
        trouble = taking.failed or (feeding.failed if process.returncode == 0 else None)
        said.seek(0)
        text = said.read().decode("utf-8", "replace").strip()
    if process.returncode != 0:
        raise StepError(
            f"{what} failed ({Path(argv[0]).name} ended with {process.returncode}): "
            f"{text[-_SAID_CHARACTERS:]}"
        )
    if trouble is not None:
        raise trouble
    return text


def _watch(
    context: Context,
    process: subprocess.Popen[bytes],
    what: str,
    progress: Callable[[], str] | None,
    pumps: Sequence[_Pump],
) -> None:
    """Waits for its end, and says where it is."""
    said = time.monotonic()
    while process.poll() is None:
        context.pause(_LOOK_SECONDS)
        if any(pump.failed for pump in pumps):
            process.terminate()
        if time.monotonic() - said > _SAY_SECONDS:
            said = time.monotonic()
            context.say(f"{what}: {progress() if progress else 'still running'}")


class _Pump:
    """A thread that writes a program's input or reads its output."""

    def __init__(self, work: Callable[[IO[bytes]], None] | None, stream: IO[bytes] | None) -> None:
        self.failed: StepError | None = None
        self._work, self._stream = work, stream
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Pump:
        if self._work is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._work is not None:
            self._thread.join(_DRAIN_SECONDS)

    def _run(self) -> None:
        if self._work is None or self._stream is None:
            return
        try:
            self._work(self._stream)
        except StepError as error:
            self.failed = error
        except BrokenPipeError:
            self.failed = StepError("the program ended before it had read its input")
        except (OSError, ValueError, EOFError) as error:
            self.failed = StepError(f"moving data failed: {type(error).__name__}: {error}")
        finally:
            try:
                self._stream.close()
            except OSError:
                self.failed = self.failed or StepError("the program ended before it had read its input")


@contextmanager
def _ended_with_us(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Whatever ends the block early ends the program and its children."""
    try:
        yield
    except BaseException:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
                process.wait(_GRACE_SECONDS)
                break
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        raise
