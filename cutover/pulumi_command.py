"""The Pulumi command with a time limit, apart from the terminal's Ctrl-C.

The Automation API starts the command in the terminal's process group, where a Ctrl-C meant for the cutover
would interrupt an `up` in the middle, and it waits for it without end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from typing import IO

from pulumi.automation import CommandResult, OnOutput, PulumiCommand
from pulumi.automation.errors import create_command_error

from cutover.errors import CutOffError

INTERRUPT_SECONDS = 15.0
"""How long an interrupted command may take to finish its current operation and write its state."""


class TimedCommand(PulumiCommand):
    """Runs each command in a session of its own; after `seconds` it is interrupted, then killed."""

    seconds: float = 600.0

    def run(
        self,
        args: list[str],
        cwd: str,
        additional_env: Mapping[str, str],
        on_output: OnOutput | None = None,
        on_error: OnOutput | None = None,
    ) -> CommandResult:
        """See PulumiCommand. Raises CommandError, and CutOffError for a command that took too long."""
        end = args.index("--") if "--" in args else len(args)
        if "--non-interactive" not in args[:end]:
            args = ["--non-interactive", *args]
        with subprocess.Popen(
            [self.command, *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"},
            encoding="utf-8",
            start_new_session=True,
        ) as process:
            readers = [_Reader(process.stdout, on_output), _Reader(process.stderr, on_error)]
            late = not self._ended(process)
            for reader in readers:
                reader.join(INTERRUPT_SECONDS)
            if any(reader.is_alive() for reader in readers):
                # what the command left behind, such as a provider's process, holds its output open
                with contextlib.suppress(ProcessLookupError):  # in a group of its own: not ours to end
                    os.killpg(process.pid, signal.SIGKILL)
                for reader in readers:
                    reader.join(INTERRUPT_SECONDS)
        out, err = ("\n".join(reader.lines) for reader in readers)
        result = CommandResult(stdout=out, stderr=err, code=process.returncode)
        if late:
            command = next((word for word in args if not word.startswith("-")), "")
            raise CutOffError(f"`pulumi {command}` took longer than {self.seconds:g} s and was ended")
        if result.code != 0:
            raise create_command_error(result)
        return result

    def _ended(self, process: subprocess.Popen[str]) -> bool:
        """Whether it ended by itself in time; it has ended in any case."""
        try:
            process.wait(self.seconds)
        except subprocess.TimeoutExpired:
            for number in (signal.SIGINT, signal.SIGKILL):
                os.killpg(process.pid, number)
                try:
                    process.wait(INTERRUPT_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    continue
            return False
        except BaseException:
            os.killpg(process.pid, signal.SIGINT)
            raise
        return True


class _Reader(threading.Thread):
    """Collects a stream's lines and passes each on."""

    def __init__(self, stream: IO[str] | None, callback: OnOutput | None) -> None:
        super().__init__(daemon=True)
        self.lines: list[str] = []
        self._stream = stream
        self._callback = callback
        self.start()

    def run(self) -> None:
        for line in self._stream or ():
            self.lines.append(line.rstrip())
            if self._callback is not None:
                self._callback(line.rstrip())
