"""The rows of the table that the simulation runs. Each check says what is wrong; empty where it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

from cutover.history import BACK, FORWARD
from tests.faults.simulation.controls import WITHOUT
from tests.faults.simulation.outside import CRASHES, DISK, REFUSALS, TIMEOUTS, Call, Fault
from tests.faults.simulation.plans import NAMES, case
from tests.faults.simulation.run import THERE, Goal, Outcome, Schedule, run
from tests.faults.simulation.schedules import schedule, shrink
from tests.faults.simulation.world import SimulatedWorld
from tests.faults.table import Row, run_cases

Say = Callable[[str], None]
SEEDS = 3000
API_KINDS = (*REFUSALS, *TIMEOUTS, "stale")


def check_seed(name: str, seed: int) -> str:
    """A schedule by its seed; one that fails is made as small as can be."""
    found = schedule(seed, case(name))
    outcome = run(case(name), found)
    if outcome.broken is None:
        return ""
    smallest = shrink(case(name), found, outcome)
    return f"{name}, {smallest}: {': '.join(run(case(name), smallest).broken or outcome.broken)}"


def check_schedule(name: str, found: Schedule) -> str:
    """A schedule that was made by hand."""
    return verdict(name, found, run(case(name), found))


def verdict(name: str, found: Schedule, outcome: Outcome) -> str:
    """What is wrong with it; empty where nothing is."""
    return f"{name}, {found}: {': '.join(outcome.broken)}" if outcome.broken else ""


def random_schedules(say: Say, seeds: int = SEEDS, first: int = 0, names: tuple[str, ...] = NAMES) -> Row:
    """Each seed once, the plans by turns."""
    cases = [(names[seed % len(names)], seed) for seed in range(first, first + seeds)]
    return run_cases("random fault schedules", "simulation", check_seed, cases, say=say)


@cache
def calls_of(name: str, goals: tuple[Goal, ...] = THERE, seed: int = 0) -> tuple[tuple[int, str, Call], ...]:
    """Every call of an uninterrupted run: its number, the step that made it, and what it is."""
    found: list[tuple[int, str, Call]] = []

    def watch(world: SimulatedWorld) -> None:
        before, disk = world.before, world.disk.fault

        def seen(call: Call) -> None:
            step = world.step
            found.append((world.outside.calls, step, call))

        def note(call: Call, life: object) -> None:
            if call.dependency != "time":
                seen(call)
            before(call, life)  # type: ignore[arg-type]

        def write(operation: str) -> str | None:
            found.append((world.outside.calls + 1, world.step, Call("disk", operation, writes=True)))
            return disk(operation)

        world.before = note  # type: ignore[method-assign]
        world.disk.fault = write

    run(case(name), Schedule(seed, goals, ()), watch)
    return tuple(found)


def api_faults(say: Say, names: tuple[str, ...] = NAMES) -> Row:
    """Each kind of call that a step makes, with each answer that it may get instead of its own."""
    return run_cases("API faults", "simulation", check_schedule, api_cases(names), say=say)


def api_cases(names: tuple[str, ...]) -> Iterator[tuple[str, Schedule]]:
    """One for each step, call and fault."""
    for name in names:
        seen: set[tuple[str, str, str]] = set()
        for number, step, call in calls_of(name):
            key = (step, call.dependency, call.name)
            if call.dependency == "disk" or key in seen:
                continue
            seen.add(key)
            for kind in API_KINDS:
                if not (kind == "timed out, executed" and not call.writes):
                    yield name, Schedule(number, THERE, (Fault(kind, number),))


def disk_faults(say: Say, names: tuple[str, ...] = NAMES) -> Row:
    """Each write to the journal and to the record of the switch, with each failure of the disk."""
    cases = [
        (name, Schedule(number, THERE, (Fault(kind, number),)))
        for name in names
        for number, _, call in calls_of(name)
        for kind in DISK
        if call.dependency == "disk" and (kind == "fsync fails") == (call.name == "fsync")
    ]
    return run_cases("disk", "simulation", check_schedule, cases, say=say)


def kills_in_recovery(say: Say, names: tuple[str, ...] = NAMES) -> Row:
    """Every pair of writes of the first stage: killed at one, and the next runner at another."""
    cases = []
    for name in names:
        first = case(name).plan.stages[0].id
        ends = Goal(FORWARD, first), Goal(BACK, None)
        steps = {step.id for step in case(name).plan.stages[0].steps}
        points = [number for number, step, call in calls_of(name) if step in steps and call.writes]
        cases += [
            (name, Schedule(one, ends, (Fault(kind, one), Fault(again, one + 1 + other))))
            for one in points
            for other in range(0, 60, 3)
            for kind in CRASHES[:2]
            for again in CRASHES[:2]
        ]
    return run_cases("kill during recovery", "simulation", check_schedule, cases, say=say)


def control_schedules(without: str, count: int) -> list[Schedule]:
    """There and back without one protection: the harness has to notice each time."""
    ends = Goal(FORWARD, "validate"), Goal(BACK, None)
    return [Schedule(seed, ends, (), without) for seed in range(count)]


def check_control(name: str, found: Schedule) -> str:
    """What is wrong: nothing was noticed."""
    outcome = run(case(name), found)
    return "" if outcome.broken else f"{name}, {found}: nothing was noticed"


def negative_controls(say: Say, count: int = 25) -> list[Row]:
    """A row for each protection that is taken away; `held` counts how often that was noticed."""
    return [
        run_cases(f"without the {without}", "simulation", check_control,
                  [("boss-corestone", found) for found in control_schedules(without, count)], say=say)
        for without in WITHOUT
    ]  # fmt: skip
