"""The rehearsal: a whole migration on this machine, under live traffic, and what the clients saw of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import topology
from lab.clouds import DOMAIN, ZONE, Clouds
from lab.people import HuaweiOwner
from lab.project import Overlay, copy_project, describe
from lab.setup import find_tools
from lab.topology import AWS
from lab.world import LabError, enter, inside_world

REPOSITORY = Path(__file__).resolve().parents[1]
ENVIRONMENT = "prod"
STACKS = ("prod", "prod-edge", "prod-source", "prod-target")
DEFAULT_TTL_DIVISOR = 30
_WARM_UP_SECONDS = 10.0
_COOL_DOWN_SECONDS = 10.0


@dataclass(frozen=True)
class Options:
    """What the environment variables of `make rehearse` say."""

    plan: str
    until: str | None
    then: str | None
    engine: str
    rate: float
    """Requests a second."""
    seed: int
    ttl_divisor: int
    output: Path
    keep: bool

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Options:
        """Read the variables. Raises LabError naming every one that is wrong."""
        problems: list[str] = []

        def choice(name: str, allowed: tuple[str, ...]) -> str:
            value = environment.get(name, "")
            if value not in allowed:
                expected = ", ".join(option or "nothing" for option in allowed)
                problems.append(f"{name}={value}: expected {expected}")
            return value

        def number(name: str, default: float, least: float) -> float:
            text = environment.get(name, "") or str(default)
            try:
                value = float(text)
            except ValueError:
                value = float("nan")
            if not value >= least:
                problems.append(f"{name}={text}: expected a number of at least {least:g}")
                return default
            return value

        options = cls(
            plan=choice("PLAN", ("", "boss-corestone")) or "boss-corestone",
            until=environment.get("UNTIL") or None,
            then=choice("THEN", ("", "rollback")) or None,
            engine=choice("ENGINE", ("", "official", "lab")),
            rate=number("RATE", 120, 1),
            seed=int(number("SEED", 1, 0)),
            ttl_divisor=int(number("LAB_TTL_DIVISOR", DEFAULT_TTL_DIVISOR, 1)),
            output=Path(environment.get("OUT") or REPOSITORY / "out").resolve(),
            keep=bool(environment.get("KEEP")),
        )
        if problems:
            raise LabError("; ".join(problems))
        return options


class Progress:
    """Lines with the time since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, text: str) -> None:
        sys.stdout.write(f"[{time.monotonic() - self._started:6.1f} s] {text}\n")
        sys.stdout.flush()


def rehearse(options: Options) -> int:
    """Rehearse as `options` say; 0 if the outcome is the wanted one and no client saw a failure."""
    progress = Progress()
    with _folder(options) as folder:
        clouds = Clouds(folder, find_tools(), ttl_divisor=options.ttl_divisor, progress=progress)
        clouds.start()
        try:
            return _Rehearsal(options, folder, clouds, progress).run()
        finally:
            clouds.stop()


@contextmanager
def _folder(options: Options) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="landfall-lab-"))
    try:
        yield folder
    finally:
        if options.keep:
            sys.stdout.write(f"kept: {folder}\n")
        else:
            shutil.rmtree(folder, ignore_errors=True)


class _Rehearsal:
    def __init__(self, options: Options, folder: Path, clouds: Clouds, progress: Progress) -> None:
        self._options = options
        self._folder = folder
        self._clouds = clouds
        self._progress = progress
        self._project = folder / "project"
        self._output = options.output / options.plan
        self._traffic = folder / "traffic"

    def run(self) -> int:
        engine = self._clouds.use_engine(self._options.engine)
        self._progress(f"engine: the {engine} pulumi; DNS answers TTLs divided by {self._options.ttl_divisor}")
        overlay = self._overlay()
        for line in ("the lab's addresses over the settings of a copy:", *describe(overlay)):
            self._progress(line)
        copy_project(REPOSITORY, self._project, ENVIRONMENT, overlay)
        for stack in STACKS:
            self._up(stack)
            if stack == ENVIRONMENT:
                self._clouds.attach_aws()
        owner = HuaweiOwner(self._clouds.database, self._cutover_argv(), self._clouds, self._project)
        self._start_traffic()
        outcome = self._migrate(owner)
        time.sleep(_COOL_DOWN_SECONDS)
        self._clouds.supervisor.check()
        return self._judge(outcome)

    def _overlay(self) -> Overlay:
        return {
            ("cloudflare", "zones", ZONE): self._clouds.zone_id,
            ("domains", 0, "record_id"): self._clouds.record_id,
            ("domains", 0, "source"): topology.HUAWEI_INGRESS,
            ("database", "source", "eip"): topology.DATABASE_EIP,
            ("forwarder_ca_bundle",): str(self._clouds.web_ca),
        }

    def _up(self, stack: str) -> None:
        self._progress(f"pulumi up {stack}")
        self._pulumi("stack", "init", stack)
        self._pulumi("up", "--yes", "--skip-preview", "--stack", stack)

    def _pulumi(self, *arguments: str) -> str:
        result = self._clouds.operator(["pulumi", "--non-interactive", *arguments], cwd=self._project)
        if result.returncode != 0:
            raise LabError(f"`pulumi {' '.join(arguments)}`:\n{result.stdout[-3000:]}{result.stderr[-3000:]}")
        return result.stdout

    def _cutover_argv(self) -> list[str]:
        common = ["--project", str(self._project), "--environment", ENVIRONMENT, "--plan", self._options.plan]
        return [sys.executable, "-m", "cutover", *common]

    def _cutover(self, *arguments: str) -> int:
        self._progress(f"cutover {' '.join(arguments)}")
        extra = {"PYTHONPATH": str(REPOSITORY)}
        argv = [*self._cutover_argv(), *arguments]
        return self._clouds.operator(argv, cwd=self._project, capture=False, extra=extra).returncode

    def _migrate(self, owner: HuaweiOwner) -> str:
        with owner.at_work():
            code = self._cutover("run", *(["--to", self._options.until] if self._options.until else []))
        if code != 0:
            return "halted"
        if self._options.then == "rollback":
            return "rolled back" if self._cutover("rollback") == 0 else "halted"
        return "succeeded"

    def _start_traffic(self) -> None:
        self._traffic.mkdir()
        self._progress(f"traffic: {self._options.rate:g} requests a second")
        argv = [
            *(sys.executable, "-m", "lab.traffic", "generate", "--rate", str(self._options.rate)),
            *("--stop-file", str(self._traffic / "stop"), "--domain", DOMAIN, "--resolver", topology.PUBLIC_DNS),
            *("--ca", str(self._clouds.web_ca), "--out", str(self._traffic / "requests.jsonl")),
            *("--seed", str(self._options.seed)),
        ]
        self._clouds.supervisor.start("traffic", argv)
        time.sleep(_WARM_UP_SECONDS)
        self._clouds.supervisor.check()

    def _judge(self, outcome: str) -> int:
        (self._traffic / "stop").touch()
        raise NotImplementedError(outcome, json, subprocess, AWS, os, Any)


def main() -> int:
    """`python -m lab rehearse`."""
    try:
        options = Options.read(os.environ)
        if not inside_world():
            return enter([sys.executable, "-m", "lab", "rehearse"])
        return rehearse(options)
    except LabError as error:
        sys.stderr.write(f"rehearsal: {error}\n")
        return 1
