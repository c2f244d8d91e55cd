"""One schedule: a plan, its world, faults, and an operator who goes on until an end is reached."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, cast

from cutover.approvals import Approvals
from cutover.errors import CutoverError
from cutover.history import BACK, FORWARD, OPERATOR, Heading
from cutover.journal import Journal, read_journal
from cutover.lease import Lease, LocalLease
from cutover.runner import Result, Runner
from tests.faults.simulation.chance import chance
from tests.faults.simulation.controls import taken_away
from tests.faults.simulation.kernel import Kernel, KilledError, Life, Task
from tests.faults.simulation.machine import installed
from tests.faults.simulation.outside import Fault
from tests.faults.simulation.plans import Case
from tests.faults.simulation.simulated import Goal, Simulated
from tests.faults.simulation.team import team_lease

LIVES_WITH_FAULTS = 8
"""How often the operator starts a runner before no more faults happen."""
LIVES_AFTER = 4
"""How often after that, until the end must be reached."""
PAUSES = (1.0, 5.0, 20.0, 120.0)
"""How long an operator waits before he starts another runner."""
MIND_CHANGES = 0.15
"""How often an operator goes back after a runner that has not reached its goal."""
LANDED_SECONDS = 5.0
"""How long after the last runner's end the world is looked at: what was still on its way has landed."""
LIFE_SECONDS = 24 * 3600.0
"""A runner that takes longer than all of its limits hangs."""


THERE = (Goal(FORWARD, None),)


@dataclass(frozen=True)
class Schedule:
    """All that a run depends on."""

    seed: int
    goals: tuple[Goal, ...]
    faults: tuple[Fault, ...]
    without: str = ""
    """What a negative control takes away."""
    rival_after: float = 0.0
    """How soon after the first runner was stopped a second operator starts one, with a team's lease."""
    back_after_kill: bool = False
    """Whether the operator goes back once a runner was killed."""

    def __str__(self) -> str:
        faults = ", ".join(map(str, self.faults)) or "no fault"
        without = f", without {self.without}" if self.without else ""
        return f"seed {self.seed}: {'; '.join(map(str, self.goals))}; {faults}{without}"


@dataclass
class Outcome:
    """What came of it."""

    broken: tuple[str, str] | None
    """The invariant and what was seen; None: all held."""
    end: str
    """How the last runner ended."""
    lives: list[str] = field(default_factory=list)
    happened: list[str] = field(default_factory=list)
    """The faults that found their call."""
    calls: int = 0
    writes: int = 0
    excused: int = 0
    longest_held: float = 0.0
    state: Any = None


def run(case: Case, schedule: Schedule, watch: Callable[[Any], None] = lambda _world: None) -> Outcome:
    """Runs it, the same each time."""
    with _folder() as folder:
        kernel = Kernel()
        world = case.world()
        world.build(kernel, list(schedule.faults), schedule.seed, folder)
        watch(world)
        with (
            installed(kernel, world.simulated_clock, world.disk),
            world.inside(),
            taken_away(world, schedule.without),
        ):
            return _Operator(case, schedule, world, kernel, folder).go()


class _Operator:
    """Starts runners until each goal is reached."""

    def __init__(
        self, case: Case, schedule: Schedule, world: Simulated, kernel: Kernel, folder: Path
    ) -> None:
        self.case, self.schedule, self.world, self.kernel, self.folder = case, schedule, world, kernel, folder
        self.chance = chance(schedule.seed, "operator")
        self.lives: list[str] = []
        self.gone_back: set[str] = set()
        """What halts told to go back for: each is heeded once."""
        self.mind_changes = 0.0 if schedule.back_after_kill else MIND_CHANGES

    def go(self) -> Outcome:
        end = ""
        goals = list(self.schedule.goals)
        while goals:
            goal = goals.pop(0)
            end = self._pursue(goal, ahead=goals)
            if self.world.rules.broken:
                break
        self.kernel.sleep(LANDED_SECONDS)
        if not self.world.rules.broken:
            self.world.at_the_end(goal, end)
        figures = self.world.figures
        return Outcome(
            broken=self.world.rules.broken,
            end=end,
            lives=self.lives,
            happened=[
                f"{fault} at call {number}, {call.dependency}: {call.name}"
                for fault, call, number in self.world.outside.happened
            ],
            calls=self.world.outside.calls,
            writes=figures.writes,
            excused=figures.excused,
            longest_held=figures.longest_held,
            state=self.world.state,
        )

    def _pursue(self, goal: Goal, ahead: list[Goal]) -> str:
        """Goes to it; who changes his mind on the way there puts another goal ahead."""
        heading = Heading(goal.direction, goal.until, OPERATOR)
        for number in range(LIVES_WITH_FAULTS + LIVES_AFTER):
            if number == LIVES_WITH_FAULTS:
                self.world.outside.calm()
            end, reached = self._live(heading)
            self.lives.append(f"{goal}: {end}")
            if self.world.rules.broken:
                return end
            if reached:
                return end
            if goal.direction == BACK and ("no return" in end or "would be lost" in end):
                ahead.insert(0, Goal(FORWARD, None))
                return end
            self.world.heed(end)
            for told, stage in self.case.ways_back.items():
                if goal.direction == FORWARD and told in end and told not in self.gone_back:
                    self.gone_back.add(told)
                    ahead[:0] = [Goal(BACK, stage), goal]
                    return end
            text, seconds = self.case.waits
            if text and text in end:
                self.kernel.sleep(seconds)
                continue
            killed = self.schedule.back_after_kill and end == "killed"
            if goal.direction == FORWARD and (killed or self.chance.random() < self.mind_changes):
                ahead.insert(0, Goal(BACK, None))
                return end
            self.kernel.sleep(self.chance.choice(PAUSES))
            self.world.passed()
        self.world.rules.breaks("known end", f"{goal} is not reached, though nothing fails any more: {end}")
        return end

    def _live(self, heading: Heading) -> tuple[str, bool]:
        """One runner's life: how it ended, and whether that is where it was to go."""
        life = Life(f"runner {len(self.lives) + 1}")
        task = self._start(life, heading)
        until = self.kernel.now + LIFE_SECONDS
        rivals: list[Task] = []
        if self.schedule.rival_after and not self.lives:
            rival = Life("the rival")

            def come() -> None:
                if not rivals:
                    rivals.append(self._start(rival, heading))

            self.world.outside.when_stopped = lambda: self.kernel.at(
                self.kernel.now + self.schedule.rival_after, come
            )
            self.kernel.run(lambda: bool(rivals) or task.done or self.world.rules.broken is not None, until)
        every = [task, *rivals]
        self.kernel.run(
            lambda: all(item.done for item in every) or self.world.rules.broken is not None, until
        )
        for item in every:
            self._end(item.life)
        for item in rivals:
            self.lives.append(f"the rival: {self._ended(item, heading)[0]}")
        if self.world.rules.broken:
            return "broken", False
        if not task.done:
            self.world.rules.breaks("known end", f"a runner hangs: {self.world.outside.calls} calls")
            return "hangs", False
        return self._ended(task, heading)

    def _end(self, life: Life) -> None:
        """A thread that is left over ends with its process."""
        self.kernel.kill(life)
        self.kernel.run(lambda: all(item.done for item in life.tasks), self.kernel.now)

    def _start(self, life: Life, heading: Heading) -> Task:
        self.world.lives.append(life)
        return self.kernel.spawn(life, lambda: self._runner(heading, life))

    def _ended(self, task: Task, heading: Heading) -> tuple[str, bool]:
        """How a runner ended, and whether that is where it was to go."""
        match task.error:
            case None:
                result: Result = task.result
                self._judge(result)
                final = (
                    "succeeded",
                    "rolled back",
                    f"reached {heading.until}",
                    f"rolled back to {heading.until}",
                )
                return f"{result.outcome} {result.reason}".strip(), result.outcome in final
            case KilledError():
                return "killed", False
            case CutoverError() as error:
                if not str(error):
                    self.world.rules.breaks("known end", f"{type(error).__name__} without a word")
                return f"{type(error).__name__}: {error}", False
            case error:
                self.world.rules.breaks("known end", f"ended by {type(error).__name__}: {error}")
                return f"{type(error).__name__}: {error}", False

    def _runner(self, heading: Heading, life: Life) -> Result:
        path, plan, clock = self.folder / "journal.jsonl", self.case.plan, self.world.simulated_clock
        epoch = max((record.epoch for record in read_journal(path).records), default=0)
        held: Lease
        if self.schedule.rival_after:
            held = team_lease(self.world, life, epoch, guarded=self.schedule.without != "epoch")
        else:
            held = LocalLease(self.folder / "lease", clock, epoch)
        with held as lease:
            life.holds = True
            journal = Journal(path, lease.epoch, clock, lease.ensure)
            try:
                if not journal.records or journal.records[0].kind != "opened":
                    opened = {"plan": plan.id, "plan_hash": plan.hash, "environment": plan.environment}
                    journal.append("opened", opened)
                context = self.world.port_context(self.folder / "database")
                return Runner(plan, journal, context, cast(Approvals, self.world)).run(heading)
            finally:
                journal.close()

    def _judge(self, result: Result) -> None:
        if result.outcome == "halted" and not result.reason:
            self.world.rules.breaks("known end", "halted without a reason")


@contextmanager
def _folder() -> Any:
    """In memory where the machine has such a place: what is durable is known by the simulated disk."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    path = Path(tempfile.mkdtemp(prefix="landfall-simulation-", dir=place))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def goals_of(source: Random, case: Case) -> tuple[Goal, ...]:
    """Where an operator goes in a schedule: there, and often back, and there again."""
    stages = [stage.id for stage in case.plan.stages]
    # behind the last stage there may be no return
    stop = source.choice(stages[:-1])
    back_to = source.choice([None, *stages[: stages.index(stop)]])
    kinds: Sequence[tuple[Goal, ...]] = (
        THERE,
        (Goal(FORWARD, stop), Goal(BACK, None)),
        (Goal(FORWARD, stop), Goal(BACK, back_to), Goal(FORWARD, stages[-1])),
        (Goal(FORWARD, stages[-2]), Goal(BACK, None)),
    )
    return source.choice(kinds)
