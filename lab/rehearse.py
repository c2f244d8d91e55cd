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

import dns.resolver

from lab import topology
from lab.clouds import DOMAIN, SERVICES_NAMESPACE, ZONE, Clouds
from lab.people import People
from lab.project import Overlay, copy_project, describe
from lab.setup import find_tools
from lab.topology import HUAWEI
from lab.world import LabError, enter, inside_world

REPOSITORY = Path(__file__).resolve().parents[1]
ENVIRONMENT = "prod"
STACKS = ("prod", "prod-edge", "prod-source", "prod-target")
DEFAULT_TTL_DIVISOR = 30
_NEWLINE = "\n"
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


@dataclass(frozen=True)
class _Before:
    """The source as it was before anything was begun."""

    ingress: tuple[str, ...]
    replicas: int
    config: str


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
        self._engine = self._clouds.use_engine(self._options.engine)
        self._before = self._look()
        self._progress(
            f"engine: the {self._engine} pulumi; DNS answers TTLs divided by {self._options.ttl_divisor}"
        )
        overlay = self._overlay()
        for line in ("the lab's addresses over the settings of a copy:", *describe(overlay)):
            self._progress(line)
        copy_project(REPOSITORY, self._project, ENVIRONMENT, overlay)
        for stack in STACKS:
            self._up(stack)
            if stack == ENVIRONMENT:
                self._clouds.attach_aws()
        people = People(
            self._clouds, self._cutover_argv(), self._project, {"open-database": self._clouds.open_database}
        )
        self._start_traffic()
        outcome = self._migrate(people)
        time.sleep(_COOL_DOWN_SECONDS)
        self._clouds.supervisor.check()
        return self._judge(outcome)

    def _overlay(self) -> Overlay:
        return {
            ("cloudflare", "zones", ZONE): self._clouds.zone_id,
            ("domains", 0, "record_id"): self._clouds.record_id,
            ("domains", 0, "source"): topology.HUAWEI_INGRESS,
            ("database", "source", "eip"): topology.DATABASE_EIP,
        }

    def _up(self, stack: str) -> None:
        self._progress(f"pulumi up {stack}")
        self._pulumi("stack", "init", stack)
        self._pulumi("up", "--yes", "--skip-preview", "--stack", stack)

    def _pulumi(self, *arguments: str) -> str:
        result = self._clouds.operator(["pulumi", "--non-interactive", *arguments], cwd=self._project)
        if result.returncode != 0:
            log = self._folder / f"pulumi-{arguments[0]}.log"
            log.write_text(result.stdout + result.stderr)
            found = [line for line in log.read_text().splitlines() if "error" in line.lower()]
            raise LabError(f"`pulumi {' '.join(arguments)}` failed:\n{_NEWLINE.join(found[-20:])}")
        return result.stdout

    def _cutover_argv(self) -> list[str]:
        common = ["--project", str(self._project), "--environment", ENVIRONMENT, "--plan", self._options.plan]
        return [sys.executable, "-m", "cutover", *common]

    def _cutover(self, *arguments: str) -> int:
        self._progress(f"cutover {' '.join(arguments)}")
        extra = {"PYTHONPATH": str(REPOSITORY)}
        argv = [*self._cutover_argv(), *arguments]
        return self._clouds.operator(argv, cwd=self._project, capture=False, extra=extra).returncode

    def _migrate(self, people: People) -> str:
        with people.at_work():
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
            *(
                "--stop-file",
                str(self._traffic / "stop"),
                "--domain",
                DOMAIN,
                "--resolver",
                topology.PUBLIC_DNS,
            ),
            *("--ca", str(self._clouds.web_ca), "--out", str(self._traffic / "requests.jsonl")),
            *("--seed", str(self._options.seed)),
        ]
        self._clouds.supervisor.start("traffic", argv)
        time.sleep(_WARM_UP_SECONDS)
        self._clouds.supervisor.check()

    def _judge(self, outcome: str) -> int:
        (self._traffic / "stop").touch()
        self._clouds.supervisor.wait("traffic", timeout=60.0)
        self._progress("the judge: every acknowledged write looked up in the database")
        login = self._clouds.database.operator.write(self._folder / "judge-login.json")
        traffic_file, series = self._traffic / "traffic.json", self._traffic / "series.json"
        self._python(
            *("lab.traffic", "judge", "--requests", str(self._traffic / "requests.jsonl")),
            *("--database", str(login), "--source", topology.HUAWEI_INGRESS),
            *("--out", str(traffic_file), "--series", str(series)),
        )
        self._output.mkdir(parents=True, exist_ok=True)
        report = ("--traffic", str(traffic_file), "--series", str(series), "--engine", self._engine)
        self._cutover("report", *report, "--output", str(self._output))
        traffic = json.loads(traffic_file.read_text())
        problems = list(self._wrong(outcome, traffic))
        for line in (
            f"outcome: {outcome}",
            *_summary(traffic),
            *(f"NOT AS IT SHOULD BE: {p}" for p in problems),
        ):
            self._progress(line)
        return 1 if problems else 0

    def _wrong(self, outcome: str, traffic: Mapping[str, Any]) -> Iterator[str]:
        """What keeps this rehearsal from being a success, each as a line."""
        wanted = "rolled back" if self._options.then == "rollback" else "succeeded"
        if outcome != wanted:
            yield f"the outcome is {outcome!r}, expected {wanted!r}; the journal is in {self._output}"
        for name in ("failed", "reads_failed", "unknown_outcome", "writes_lost", "writes_duplicated"):
            if traffic[name]:
                yield f"{traffic[name]} {name.replace('_', ' ')}"
        if traffic["stale_clients"]["failed"]:
            yield f"{traffic['stale_clients']['failed']} failed requests of clients that never resolve again"
        if outcome != wanted:
            return
        side = "source" if wanted == "rolled back" else "target"
        yield from self._wrong_world(side)
        for stack in STACKS:
            changes = self._pulumi("preview", "--stack", stack, "--json")
            counts = {
                kind: count
                for kind, count in json.loads(changes)["changeSummary"].items()
                if kind not in ("same", "read")
            }
            self._progress(f"pulumi preview {stack}: {counts or 'no change'}")
            if counts:
                yield f"`pulumi preview` of {stack} shows {counts}"

    def _wrong_world(self, side: str) -> Iterator[str]:
        expected = self._before.ingress if side == "source" else self._clouds.ingress_addresses
        answered = _resolve(DOMAIN)
        self._progress(f"DNS answers {DOMAIN} with {answered}")
        if answered not in expected:
            yield f"DNS answers {answered}, expected the {side}'s {' or '.join(expected)}"
        replicas = self._source_replicas()
        self._progress(f"the source runs {replicas} of BOSS")
        if replicas != (self._before.replicas if side == "source" else 0):
            yield f"the source's BOSS has {replicas} replicas"
        if side == "source" and (config := self._source_config()) != self._before.config:
            yield f"the source's ConfigMap is {config}, it was {self._before.config}"

    def _look(self) -> _Before:
        return _Before((topology.HUAWEI_INGRESS,), self._source_replicas(), self._source_config())

    def _source_replicas(self) -> int:
        return int(self._get("deployment/boss", "{.spec.replicas}"))

    def _source_config(self) -> str:
        return self._get("configmap/boss-config", "{.data}")

    def _get(self, what: str, path: str) -> str:
        return self._clouds.kubectl(HUAWEI, "get", "-n", SERVICES_NAMESPACE, what, "-o", f"jsonpath={path}")

    def _python(self, *arguments: str) -> None:
        argv = [sys.executable, "-m", *arguments]
        result = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120.0)
        if result.returncode != 0:
            raise LabError(f"`{' '.join(arguments[:2])}`: {result.stdout[-2000:]}{result.stderr[-2000:]}")


def _resolve(name: str) -> str:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [topology.PUBLIC_DNS]
    return str(resolver.resolve(name, "A", lifetime=10.0)[0])


def _summary(traffic: Mapping[str, Any]) -> Iterator[str]:
    """What the clients saw, in a few lines."""
    latency, gap, stale = traffic["latency_ms"], traffic["write_gap_ms"], traffic["stale_clients"]
    requests, failed, reads_failed = traffic["requests"], traffic["failed"], traffic["reads_failed"]
    yield f"requests {requests}, failed {failed}, of these reads {reads_failed}"
    yield (
        f"writes acknowledged {traffic['writes_acknowledged']}, lost {traffic['writes_lost']}, "
        f"duplicated {traffic['writes_duplicated']}, outcome unknown {traffic['unknown_outcome']}"
    )
    yield f"between two acknowledged writes: p50 {gap['p50']} ms, p99 {gap['p99']} ms, max {gap['max']} ms"
    yield (
        f"latency: source p50 {latency['source_p50']} ms, p99 {latency['source_p99']} ms; "
        f"target p50 {latency['target_p50']} ms, p99 {latency['target_p99']} ms"
    )
    yield f"clients that never resolve again: {stale['requests']} requests, {stale['failed']} failed"


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
