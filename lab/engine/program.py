"""Runs the program of an operation: in the process of the Automation API, or as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import grpc
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from lab.engine.backend import ORGANIZATION
from lab.engine.errors import EngineError, RefusedError
from lab.engine.events import Events
from lab.engine.project import Project
from lab.engine.providers import CHANNEL_OPTIONS

# Registrations at a time. Each may wait for a cloud, so this is about waiting and not about processors.
PARALLEL = 16
# Of program_host.py, which cannot be imported here: it imports the SDK.
_EXIT_REPORTED = 32
# Seconds. A program lasts as long as what it declares takes to be made.
_LONGEST = 24 * 3600.0


@dataclass(frozen=True)
class Run:
    """What a program needs to know."""

    project: Project
    stack: str
    monitor: str
    engine: str
    preview: bool
    config: dict[str, str]
    secret_keys: list[str]


class Program(Protocol):
    """A program that can be run once."""

    def run(self, run: Run) -> str | None:
        """Runs to its end; returns what went wrong, empty if that was reported already, or None."""
        ...

    def stop(self) -> None:
        """Gives up."""
        ...


class Inline:
    """A program in the process of the Automation API, which serves as its language host."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
        self._answer: Any = None

    def run(self, run: Run) -> str | None:
        """Asks the host to run the program."""
        stub: Any = language_pb2_grpc.LanguageRuntimeStub(self._channel)
        request = language_pb2.RunRequest(
            project=run.project.name,
            stack=run.stack,
            organization=ORGANIZATION,
            pwd=str(run.project.folder),
            program=str(run.project.folder),
            args=[run.engine],
            config=run.config,
            configSecretKeys=run.secret_keys,
            dryRun=run.preview,
            parallel=PARALLEL,
            monitor_address=run.monitor,
        )
        self._answer = stub.Run.future(request, timeout=_LONGEST)
        try:
            answer = self._answer.result()
        except grpc.FutureCancelledError:
            return ""
        except grpc.RpcError as error:
            return f"the program's process ended or does not answer: {error.details()}"
        # The host has logged the error before it returned it.
        return "" if answer.error else None

    def stop(self) -> None:
        """Gives up waiting."""
        if self._answer is not None:
            self._answer.cancel()


class Local:
    """A program of the project's folder, in a process of its own, which is started at once and told later."""

    def __init__(self, project: Project, events: Events) -> None:
        runtime, options = project.runtime
        if runtime != "python":
            raise RefusedError(f"the runtime {runtime!r}")
        main = project.content.get("main")
        folder = (project.folder / main) if main else project.folder
        program = folder / "__main__.py" if folder.is_dir() else folder
        if not program.is_file():
            raise EngineError(f"the project's program {program} does not exist")
        self._program = program
        self._events = events
        # The engine's own modules are none of the program's business.
        hidden = str(Path(__file__).resolve().parents[2])
        path = [
            item for item in os.environ.get("PYTHONPATH", "").split(os.pathsep) if item and item != hidden
        ]
        env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        if path:
            env["PYTHONPATH"] = os.pathsep.join(path)
        host = Path(__file__).with_name("program_host.py")
        self._process = subprocess.Popen(
            [_interpreter(project, options), "-P", "-u", str(host)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=project.folder,
            env=env,
            text=True,
            encoding="utf-8",
            # An interrupt at a terminal is for the engine, which lets the running steps end.
            start_new_session=True,
        )

    def _forward(self, stream: IO[str], severity: str) -> threading.Thread:
        def forward() -> None:
            for line in stream:
                self._events.diagnostic(severity, line.rstrip("\n"))

        thread = threading.Thread(target=forward, daemon=True)
        thread.start()
        return thread

    def run(self, run: Run) -> str | None:
        """Tells the process what to run and waits for it."""
        stdin, stdout, stderr = self._process.stdin, self._process.stdout, self._process.stderr
        if stdin is None or stdout is None or stderr is None:
            raise ValueError("the program's process has no pipes")
        readers = [self._forward(stdout, "info"), self._forward(stderr, "info#err")]
        work = {
            "project": run.project.name,
            "stack": run.stack,
            "organization": ORGANIZATION,
            "root": str(run.project.folder),
            "folder": str(self._program.parent),
            "program": str(self._program),
            "monitor": run.monitor,
            "engine": run.engine,
            "preview": run.preview,
            "parallel": PARALLEL,
            "config": run.config,
            "secret_keys": run.secret_keys,
        }
        try:
            stdin.write(json.dumps(work) + "\n")
            stdin.close()
        except BrokenPipeError:
            pass  # It ended before it was told; its exit code and what it said follow.
        code = self._process.wait(timeout=_LONGEST)
        for reader in readers:
            reader.join(timeout=5.0)
        if code == 0:
            return None
        return "" if code == _EXIT_REPORTED else f"the program ended with exit code {code}"

    def stop(self) -> None:
        """Ends the process."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(timeout=10.0)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()


def _interpreter(project: Project, options: dict[str, Any]) -> str:
    """The Python of the configured virtual environment, else the engine's own."""
    toolchain = options.get("toolchain", "pip")
    if toolchain != "pip":
        raise RefusedError(f"the Python toolchain {toolchain!r}")
    configured = options.get("virtualenv")
    if not configured:
        return sys.executable
    python = project.folder / str(configured) / "bin" / "python"
    if not python.is_file():
        raise EngineError(f"{project.file} names the virtualenv {configured!r}, but {python} does not exist")
    return str(python)
