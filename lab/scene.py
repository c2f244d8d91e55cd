"""Where every rehearsal begins: both clouds up, the services on the source, every stack of the project up."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from lab.clouds import Clouds
from lab.options import REPOSITORY
from lab.project import copy_project, describe
from lab.world import LabError
from stacks.review import stacks_of

ENVIRONMENT = "prod"
SOURCE, TARGET = f"{ENVIRONMENT}-source", f"{ENVIRONMENT}-target"
_NEWLINE = "\n"

Progress = Callable[[str], None]


class Clock:
    """Prints lines with the time since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, text: str) -> None:
        sys.stdout.write(f"[{time.monotonic() - self._started:6.1f} s] {text}\n")
        sys.stdout.flush()


@contextmanager
def lab_folder(*, keep: bool) -> Iterator[Path]:
    """A lab's own folder; removed at the end unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="landfall-lab-"))
    try:
        yield folder
    finally:
        if keep:
            sys.stdout.write(f"kept: {folder}\n")
        else:
            shutil.rmtree(folder, ignore_errors=True)


class Reached(Protocol):
    """A lab's clouds, as far as an operator's place in them goes."""

    @property
    def folder(self) -> Path:
        """The lab's own."""

    def operator(
        self, argv: Sequence[str], *, cwd: Path, timeout: float = ...
    ) -> subprocess.CompletedProcess[str]:
        """Run a command at the workspace instance. `timeout` in seconds."""

    def operator_process(
        self, argv: Sequence[str], *, cwd: Path, extra: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """Start a command at the workspace instance; it writes to this terminal."""


class Desk:
    """The operator's copy of the project, in which pulumi and the cutover work on a lab's clouds."""

    def __init__(self, reached: Reached, environment: str, *, plan: str, progress: Progress) -> None:
        self._reached = reached
        self._environment = environment
        self.project = reached.folder / "project"
        self.plan = plan
        self.stacks = stacks_of(REPOSITORY, environment)
        self.engine = ""
        self._progress = progress

    def pulumi(self, *arguments: str) -> str:
        """What pulumi prints. Raises LabError with its errors."""
        result = self._reached.operator(["pulumi", "--non-interactive", *arguments], cwd=self.project)
        if result.returncode != 0:
            found = [line for line in (result.stdout + result.stderr).splitlines() if "error" in line.lower()]
            raise LabError(f"`pulumi {' '.join(arguments)}` failed:\n{_NEWLINE.join(found[-20:])}")
        return result.stdout

    def cutover_argv(self) -> list[str]:
        """The cutover on this project, without a command."""
        common = ["--project", str(self.project), "--environment", self._environment, "--plan", self.plan]
        return [sys.executable, "-m", "cutover", *common]

    def cutover(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the cutover; it writes to this terminal."""
        self._progress(f"cutover {' '.join(arguments)}")
        argv = [*self.cutover_argv(), *arguments]
        return self._reached.operator_process(argv, cwd=self.project, extra={"PYTHONPATH": str(REPOSITORY)})


class Scene(Desk):
    """The clouds of BOSS and Corestone, and the operator's desk in them."""

    def __init__(self, clouds: Clouds, *, plan: str, progress: Progress) -> None:
        super().__init__(clouds, ENVIRONMENT, plan=plan, progress=progress)
        self.clouds = clouds

    def set_up(self, engine: str, *, switch: str = "") -> None:
        """Copy the project with the lab's addresses and bring every stack up on `engine`. Raises LabError.

        `switch`: how the database is switched; nothing: as the settings say.
        """
        self.engine = self.clouds.use_engine(engine)
        self._progress(f"engine: the {self.engine} pulumi")
        overlay = self.clouds.overlay(REPOSITORY / f"Pulumi.{ENVIRONMENT}.yaml")
        if switch:
            overlay = {**overlay, ("cutover", "database_switch"): switch}
        for line in ("the lab's addresses over the settings of a copy:", *describe(overlay)):
            self._progress(line)
        copy_project(REPOSITORY, self.project, ENVIRONMENT, overlay)
        self.clouds.write_authority(self.project)
        for stack in self.stacks:
            self._progress(f"pulumi up {stack}")
            self.pulumi("stack", "init", stack)
            self.pulumi("up", "--yes", "--skip-preview", "--stack", stack)
            if stack == ENVIRONMENT:
                outputs = self.pulumi("stack", "output", "--json", "--stack", stack)
                self.clouds.attach(json.loads(outputs))
        self.clouds.attached()
