"""The rows of the table that the simulation runs. Each check says what is wrong; empty where it holds."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import count as count_from
from itertools import islice

from cutover.history import BACK, FORWARD
from tests.faults.simulation.chance import chance
from tests.faults.simulation.controls import WITHOUT
from tests.faults.simulation.outside import CRASHES, DISK, PARTITIONS, REFUSALS, TIMEOUTS, Call, Fault
from tests.faults.simulation.plans import NAMES, case
from tests.faults.simulation.run import THERE, Outcome, Schedule, run
from tests.faults.simulation.schedules import schedule, shrink
from tests.faults.simulation.simulated import Goal
from tests.faults.simulation.world import SimulatedWorld, writes_beside
from tests.faults.table import Part, results, run_cases

Say = Callable[[str], None]
SEEDS = 3000
API_KINDS = (*REFUSALS, *TIMEOUTS, "stale")
BACK_AGAIN = Goal(FORWARD, "validate"), Goal(BACK, None)


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


def random_schedules(say: Say, seeds: int = SEEDS, first: int = 0, names: tuple[str, ...] = NAMES) -> Part:
    """Each seed once, the plans by turns."""
    cases = [(names[seed % len(names)], seed) for seed in range(first, first + seeds)]
    return run_cases("simulation", check_seed, cases, say=say)


@cache
def calls_of(name: str, goals: tuple[Goal, ...] = THERE, seed: int = 0) -> tuple[tuple[int, str, Call], ...]:
    """Every call of an uninterrupted run: its number, the step that made it, and what it is."""
    return tuple((number, step, call) for number, step, call, _ in _watched(name, Schedule(seed, goals, ())))


def _watched(name: str, schedule: Schedule) -> list[tuple[int, str, Call, int]]:
    """The calls of a schedule: number, step, what it is, and the number of the runner that made it."""
    found: list[tuple[int, str, Call, int]] = []

    def watch(world: SimulatedWorld) -> None:
        before, disk = world.before, world.disk.fault

        def note(call: Call, life: object) -> None:
            if call.dependency != "time":
                found.append((world.outside.calls, world.step, call, len(world.lives)))
            before(call, life)  # type: ignore[arg-type]

        def write(operation: str) -> str | None:
            call = Call("disk", operation, writes=True)
            found.append((world.outside.calls + 1, world.step, call, len(world.lives)))
            return disk(operation)

        world.before = note  # type: ignore[method-assign]
        world.disk.fault = write

    run(case(name), schedule, watch)
    return found


def api_faults(say: Say, names: tuple[str, ...] = NAMES) -> Part:
    """Each kind of call that a step makes, with each answer that it may get instead of its own."""
    return run_cases("simulation", check_schedule, api_cases(names), say=say)


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


def disk_faults(say: Say, names: tuple[str, ...] = NAMES) -> Part:
    """Each write to the journal and to the record of the switch, with each failure of the disk."""
    cases = [
        (name, Schedule(number, THERE, (Fault(kind, number),)))
        for name in names
        for number, _, call in calls_of(name)
        for kind in DISK
        if call.dependency == "disk" and (kind == "fsync fails") == (call.name == "fsync")
    ]
    return run_cases("simulation", check_schedule, cases, say=say)


def kills_in_recovery(say: Say, names: tuple[str, ...] = NAMES) -> Part:
    """Every pair of points of the first stage: killed at one, and the next runner at another."""
    return run_cases("simulation, every pair", check_schedule, recovery_cases(names), say=say)


def recovery_cases(names: tuple[str, ...] = NAMES) -> Iterator[tuple[str, Schedule]]:
    """Each point of the stage; then each of the run that goes on, or goes back, behind it."""
    for name in names:
        stage = case(name).plan.stages[0]
        ends = Goal(FORWARD, stage.id), Goal(BACK, None)
        steps = {step.id for step in stage.steps}
        points = [(number, call) for number, step, call in calls_of(name) if step in steps]
        for back in (False, True):
            for number, kind in kill_points(points):
                first = Schedule(number, ends, (Fault(kind, number),), back_after_kill=back)
                for other, again in kill_points(_calls_of_life(name, first, 2)):
                    yield name, replace(first, faults=(*first.faults, Fault(again, other)))


def kill_points(calls: Iterable[tuple[int, Call]]) -> Iterator[tuple[int, str]]:
    """Before and after each effect, before each record is written, and before it is durable."""
    for number, call in calls:
        if call.writes:
            kinds = CRASHES[:1] if call.dependency == "disk" else CRASHES[:2]
            yield from ((number, kind) for kind in kinds)


def _calls_of_life(name: str, found: Schedule, life: int) -> list[tuple[int, Call]]:
    """The calls that a schedule's runner of that number makes."""
    made = _watched(name, found)
    return [(number, call) for number, _, call, of_life in made if of_life == life]


def clock(say: Say, names: tuple[str, ...] = NAMES) -> Part:
    """The time of day an hour ahead, an hour back, and frozen, from different moments on; also in a race."""
    hours = (("clock forward", 0.0), ("clock back", 0.0), ("clock frozen", 3600.0))
    cases = [
        (name, Schedule(number, THERE, (Fault(kind, number, seconds),)))
        for name in names
        for number, _, _ in calls_of(name)[:: len(calls_of(name)) // 40]
        for kind, seconds in hours
    ]
    for name, race in race_cases(20):
        cases += [
            (name, replace(race, faults=tuple(sorted((*race.faults, Fault(kind, at, seconds)), key=_at))))
            for kind, seconds in hours
            for at in (race.faults[0].at, race.faults[0].at + 30)
        ]
    return run_cases("simulation", check_schedule, cases, say=say)


def _at(fault: Fault) -> int:
    return fault.at


LAGS = {
    "a spike at the gate": ("hold-schedules", (2.0, 15.0, 60.0)),
    "a spike inside the fence": ("switch-database", (2.0, 8.0, 15.0)),
    "never drains": ("switch-database", (100_000.0,)),
}


def lag(say: Say) -> Part:
    """Replication that falls behind before the switch, in it, and for good, there and on the way back."""
    cases = []
    for step, lengths in LAGS.values():
        for goals in (THERE, BACK_AGAIN):
            points = [number for number, at, _ in calls_of("boss-corestone", goals) if at == step]
            kinds = ("lag", "replication broken")
            cases += [
                ("boss-corestone", Schedule(number, goals, (Fault(kind, number, seconds),)))
                for number in points[:: max(1, len(points) // 12)]
                for seconds in lengths
                for kind in kinds
            ]
    return run_cases("simulation", check_schedule, cases, say=say)


def partitions(say: Say, names: tuple[str, ...] = NAMES) -> Part:
    """Each dependency cut off at each step that uses it: silent, refused, or with its answers lost."""
    cases = []
    for name in names:
        seen: set[tuple[str, str]] = set()
        for number, step, call in calls_of(name):
            if call.dependency != "disk" and (step, call.dependency) not in seen:
                seen.add((step, call.dependency))
                cases += [
                    (name, Schedule(number, THERE, (Fault(kind, number, seconds),)))
                    for kind in PARTITIONS
                    for seconds in (5.0, 120.0)
                ]
    return run_cases("simulation", check_schedule, cases, say=say)


def rollbacks(say: Say, names: tuple[str, ...] = NAMES) -> Part:
    """From every step: killed behind its last call, and rolled back, with all that was written meanwhile."""
    cases = []
    for name in names:
        last = {step: number for number, step, call in calls_of(name) if step and call.dependency != "disk"}
        cases += [(name, number) for number in last.values()]
    return run_cases("simulation", check_rollback, cases, say=say)


def check_rollback(name: str, number: int) -> str:
    """Killed at a call on the way there, then back; where that is refused, the way ahead has to be open."""
    found = Schedule(number, (Goal(FORWARD, None),), (Fault("killed after", number),), back_after_kill=True)
    outcome = run(case(name), found)
    wrong = verdict(name, found, outcome)
    if wrong or outcome.end in ("rolled back", "succeeded"):
        return wrong
    return f"{name}, {found}: it ends with {outcome.end}"


def stale_clients(say: Say, count: int = 60) -> Part:
    """A client that asks DNS once and never again, through the whole way there and back."""
    cases = [
        ("boss-corestone", Schedule(seed, goals, ()))
        for seed in range(count // 2)
        for goals in (THERE, BACK_AGAIN)
    ]
    return run_cases("simulation", check_stale_clients, cases, say=say)


def check_stale_clients(name: str, found: Schedule) -> str:
    """Its requests succeed, and some of them came to the source's address when DNS said otherwise."""
    stale: list[int] = []

    def watch(world: SimulatedWorld) -> None:
        stale.append(0)
        resolve = world.clients.resolve

        def counted(domain: str) -> str:
            address = resolve(domain)
            stale[0] += address != world.records[domain]
            return address

        world.clients.resolve = counted  # type: ignore[method-assign]

    outcome = run(case(name), found, watch)
    if not outcome.broken and not stale[0]:
        return f"{name}, {found}: no client was stale"
    return verdict(name, found, outcome)


def two_operators(say: Say, count: int = 1000) -> Part:
    """Two runners at once; one is stopped at some call, for less and for more than its lease."""
    return run_cases("simulation", check_schedule, race_cases(count), say=say)


def race_cases(count: int) -> list[tuple[str, Schedule]]:
    """One for each seed."""
    cases = []
    for seed in range(count):
        source = chance(seed, "race")
        stops = [
            Fault("stopped", source.randint(5, 1500), source.choice((3.0, 15.0, 22.0, 27.0, 45.0, 120.0)))
            for _ in range(source.randint(1, 2))
        ]
        rival_after = source.choice((0.5, 5.0, 20.0))
        faults = tuple(sorted(stops, key=lambda fault: fault.at))
        cases.append(("boss-corestone", Schedule(seed, THERE, faults, rival_after=rival_after)))
    return cases


def control_schedules(without: str, count: int) -> list[Schedule]:
    """There and back without one protection: the harness has to notice each time."""
    if without == "epoch":  # a runner that is stopped past its lease, and goes on beside the next
        switch = [number for number, step, _ in calls_of("boss-corestone") if step == "switch-database"]
        return [
            Schedule(seed, THERE, (Fault("stopped", at, 60.0),), without, rival_after=5.0)
            for seed, at in enumerate(switch[len(switch) // 2 :][:count])
        ]
    # where somebody writes beside the gate, the comparison gives a switch up that has no fence
    alone = (seed for seed in count_from(0) if not writes_beside(seed))
    return [Schedule(seed, BACK_AGAIN, (), without) for seed in islice(alone, count)]


def check_control(name: str, found: Schedule) -> str:
    """What is wrong: nothing was noticed."""
    return "" if noticed(name, found) else f"{name}, {found}: nothing was noticed"


def noticed(name: str, found: Schedule) -> str:
    """The invariant that was seen to be broken; empty where none was."""
    broken = run(case(name), found).broken
    return broken[0] if broken else ""


def negative_controls(say: Say, count: int = 25) -> Iterator[tuple[str, Part]]:
    """Each protection that is taken away; `held` counts how often that was noticed."""
    for without in WITHOUT:
        begun = time.monotonic()
        cases = [("boss-corestone", found) for found in control_schedules(without, count)]
        broken = list(results(noticed, cases))
        by = ", ".join(f"{name} {number}" for name, number in Counter(filter(None, broken)).most_common())
        part = Part(f"simulation; broken: {by or 'nothing'}")
        for found, what in zip(cases, broken, strict=True):
            part.count("" if what else f"{found[1]}: nothing was noticed")
        part.seconds = time.monotonic() - begun
        say(without)
        yield without, part
