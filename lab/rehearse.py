"""The rehearsal: a whole migration on this machine, under live traffic, and what the clients saw of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext

from cutover.database_move.switching import serving
from cutover.errors import CutoverError
from cutover.plan import NoReturn
from cutover.plans.parts import PHASE_1
from cutover.session import Session
from lab import topology
from lab.clouds import DOMAIN, Clouds
from lab.kills import Killer
from lab.moved import Moved
from lab.options import REPOSITORY, RHOAM, SHIPPED, Options
from lab.parked import parked, refused
from lab.people import People, deeds_of
from lab.relay import outside
from lab.rhoam.rehearsal import rehearse as rehearse_rhoam
from lab.scene import ENVIRONMENT, SOURCE, TARGET, Clock, Scene, lab_folder
from lab.setup import find_tools
from lab.verdict import (
    World,
    look,
    summary,
    summary_of_checks,
    wrong_calls,
    wrong_checks,
    wrong_traffic,
)
from lab.watching import watching
from lab.without import bad_luck
from lab.world import LabError, enter, inside_world

_WARM_UP_SECONDS = 10.0
_COOL_DOWN_SECONDS = 10.0


def rehearse(options: Options) -> int:
    """Rehearse as `options` say; 0 if the outcome is the wanted one and no client saw a failure."""
    progress = Clock()
    # what is wrong with either is said before anything is brought up
    plan = Session.at(REPOSITORY, ENVIRONMENT, options.plan).plan()
    if options.until:
        plan.stage(options.until)
    if options.before:
        Session.at(REPOSITORY, ENVIRONMENT, SHIPPED).plan().stage(options.before)
    with lab_folder(keep=options.keep) as folder:
        clouds = Clouds(folder, find_tools(), ttl_divisor=options.ttl_divisor, progress=progress)
        clouds.start()
        try:
            scene = Scene(clouds, plan=options.plan_name, progress=progress)
            return _Rehearsal(options, scene, progress).run()
        finally:
            clouds.stop()


class _Rehearsal:
    def __init__(self, options: Options, scene: Scene, progress: Callable[[str], None]) -> None:
        self._options = options
        self._scene = scene
        self._clouds = scene.clouds
        self._progress = progress
        self._output = options.output / options.plan
        self._traffic = scene.clouds.folder / "traffic"
        self._session = Session.at(scene.project, ENVIRONMENT, options.plan_name)

    def run(self) -> int:
        self._moved = Moved.read(REPOSITORY / f"Pulumi.{ENVIRONMENT}.yaml")
        self._before = look(self._clouds, self._moved)
        self._progress(f"DNS answers TTLs divided by {self._options.ttl_divisor}")
        self._scene.set_up(self._options.engine, switch=self._options.switch)
        if self._options.before:
            self._run_before(self._options.before)
        steps = len(self._session.plan().through(self._last_stage))
        kills, seed = self._options.kill, self._options.seed
        self._killer = Killer(self._session.journal_path, kills, seed, steps)
        cutover, deeds = self._scene.cutover_argv(), deeds_of(self._clouds)
        people = People(self._clouds, cutover, self._session, deeds)
        self._start_traffic()
        outcome = self._migrate(people)
        time.sleep(_COOL_DOWN_SECONDS)
        self._clouds.supervisor.check()
        return self._judge(outcome)

    def _migrate(self, people: People) -> str:
        until = ["--to", self._last_stage] if self._last_stage else []
        luck = bad_luck(self._options.without, self._clouds, self._session.journal_path)
        page = watching(self._clouds, self._scene.cutover_argv(), self._scene.project, self._options.watch)
        with people.at_work(), luck, page as link:
            if self._options.watch:
                self._progress(f"the page: {link}")
            code = self._killer.watch(lambda: self._scene.cutover("run", *until))
            if code == 0 and self._options.then == "rollback":
                code = self._scene.cutover("rollback").wait()
        return self._options.wanted if code == 0 else "halted"

    def _run_before(self, stage: str) -> None:
        """Brings the world to where a plan of one's own begins, by the plan that ships."""
        shipped = Scene(self._clouds, plan=SHIPPED, progress=self._progress)
        session = Session.at(shipped.project, ENVIRONMENT, SHIPPED)
        people = People(self._clouds, shipped.cutover_argv(), session, deeds_of(self._clouds))
        with people.at_work():
            if shipped.cutover("run", "--to", stage).wait() != 0:
                raise LabError(f"BEFORE={stage}: {SHIPPED} did not get there")
        self._before = look(self._clouds, self._moved)

    @property
    def _last_stage(self) -> str | None:
        """What a rollback takes back ends before the stage from which there is no return."""
        if self._options.until or self._options.then != "rollback":
            return self._options.until
        stages = self._session.plan().stages
        ends = [any(isinstance(step.way_back, NoReturn) for step in stage.steps) for stage in stages]
        return stages[ends.index(True) - 1].id if True in ends[1:] else None

    def _start_traffic(self) -> None:
        self._traffic.mkdir()
        self._progress(f"traffic: {self._options.rate:g} requests a second")
        argv = [
            *(sys.executable, "-m", "lab.traffic", "generate", "--rate", str(self._options.rate)),
            *("--stop-file", str(self._traffic / "stop"), "--domain", DOMAIN),
            *self._clouds.sessions(self._moved.domains),
            *("--resolver", topology.PUBLIC_DNS, "--ca", str(self._clouds.web_ca)),
            *("--out", str(self._traffic / "requests.jsonl"), "--seed", str(self._options.seed)),
        ]
        self._clouds.supervisor.start("traffic", argv)
        time.sleep(_WARM_UP_SECONDS)
        self._began = time.time()
        self._clouds.supervisor.check()

    def _judge(self, outcome: str) -> int:
        (self._traffic / "stop").touch()
        self._clouds.supervisor.wait("traffic", timeout=60.0)
        self._progress("the judge: every acknowledged write looked up in the database")
        target = serving(self._session.database_folder) == "target"
        survivor = self._clouds.target_database if target else self._clouds.database
        self._progress(f"the {'target' if target else 'source'}'s database serves")
        login = survivor.operator.write(self._clouds.folder / "judge-login.json")
        traffic_file, series = self._traffic / "traffic.json", self._traffic / "series.json"
        self._python(
            *("lab.traffic", "judge", "--requests", str(self._traffic / "requests.jsonl")),
            *("--database", str(login), "--source", topology.HUAWEI_INGRESS),
            *("--out", str(traffic_file), "--series", str(series)),
            *(f"--parked={begun:.6f}-{ended:.6f}" for begun, ended in parked(self._session.journal_path)),
            *(f"--refused={begun:.6f}-{ended:.6f}" for begun, ended in refused(self._session.journal_path)),
        )
        self._output.mkdir(parents=True, exist_ok=True)
        faults = self._killer.write(self._traffic / "faults.json")
        report = ("--traffic", str(traffic_file), "--series", str(series), "--faults", str(faults))
        written = self._scene.cutover(
            "report", *report, "--engine", self._scene.engine, "--output", str(self._output)
        )
        audited = self._scene.cutover("audit")
        traffic = json.loads(traffic_file.read_text())
        checks = json.loads((self._traffic / "checks.json").read_text())
        calls = self._clouds.calls(since=self._began)
        problems = [*wrong_traffic(traffic), *wrong_checks(checks)]
        if not traffic["refused"]:
            problems += wrong_calls(calls)
        if written.wait() != 0:
            problems.append("no report was written")
        if audited.wait() != 0:
            problems.append("the journal's chain does not verify")
        if not self._killer.done:
            problems.append(
                f"the runner was killed {len(self._killer.kills)} times, not {self._options.kill}"
            )
        problems += self._wrong_world(outcome)
        for line in (
            f"outcome: {outcome}",
            *summary(traffic),
            *summary_of_checks(checks),
            *(f"{caller}: {count} failed calls" for caller, count in calls.items()),
            *(f"NOT AS IT SHOULD BE: {p}" for p in problems),
        ):
            self._progress(line)
        return 1 if problems else 0

    def _wrong_world(self, outcome: str) -> Iterator[str]:
        if outcome != self._options.wanted:
            yield f"the outcome is {outcome!r}, expected {self._options.wanted!r}; see {self._output}"
            return
        world = World(self._clouds, self._moved, self._scene.pulumi, self._progress)
        if self._options.then == "rollback":
            yield from world.wrong_on_the_source(self._before)
        elif self._moved_whole():
            yield from world.wrong_on_the_target()
        yield from world.wrong_in_previews(self._scene.stacks)
        if self._options.then == "rollback" and not self._options.before:
            yield from world.wrong_after_destroy(SOURCE, TARGET)

    def _moved_whole(self) -> bool:
        """Whether the services were to be on the target at the end."""
        plan = self._session.plan()
        if all(stage.phase != PHASE_1 for stage in plan.stages):
            return False  # a plan of one's own says by its checks what it moves
        return len(plan.through(PHASE_1)) <= len(plan.through(self._options.until))

    def _python(self, *arguments: str) -> None:
        argv = [sys.executable, "-m", *arguments]
        result = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120.0)
        if result.returncode != 0:
            raise LabError(f"`{' '.join(arguments[:2])}`: {result.stdout[-2000:]}{result.stderr[-2000:]}")


def main() -> int:
    """`python -m lab rehearse`."""
    # asked to end, it ends what it has started and removes its folder first
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        options = Options.read(os.environ)
        if not inside_world():
            with outside(options.watch) if options.watch else nullcontext():
                return enter([sys.executable, "-m", "lab", "rehearse"])
        return rehearse_rhoam(options) if options.plan == RHOAM else rehearse(options)
    except (LabError, CutoverError) as error:
        sys.stderr.write(f"rehearsal: {error}\n")
        return 1
