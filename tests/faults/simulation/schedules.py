"""Schedules from seeds, and the shortest schedule that still fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.faults.simulation.chance import chance
from tests.faults.simulation.outside import CRASHES, KINDS, PARTITIONS, Fault
from tests.faults.simulation.plans import Case
from tests.faults.simulation.run import Outcome, Schedule, goals_of, run

MOST_FAULTS = 6
_SECONDS = {
    "lag": (0.5, 5.0, 15.0, 60.0),
    "replication broken": (2.0, 15.0, 120.0),
    **dict.fromkeys(PARTITIONS, (2.0, 15.0, 120.0, 600.0)),
    "clock frozen": (60.0, 3600.0),
    "killed, lands later": (0.01, 0.2, 0.9),
}
_OFTEN = (*CRASHES, "timed out, executed", "partition")


def schedule(seed: int, case: Case, *, kinds: tuple[str, ...] = KINDS) -> Schedule:
    """The schedule of a seed: where to go, and what goes wrong on the way."""
    source = chance(seed)
    goals = goals_of(source, case)
    last = case.calls * len(goals)
    often = [kind for kind in _OFTEN if kind in kinds]
    faults = []
    for _ in range(source.randint(1, MOST_FAULTS)):
        kind = source.choice(often) if often and source.random() < 0.4 else source.choice(kinds)
        seconds = source.choice(_SECONDS.get(kind, (0.0,)))
        faults.append(Fault(kind, source.randint(1, last), seconds))
    return Schedule(seed, goals, tuple(sorted(faults, key=lambda fault: fault.at)))


def shrink(
    case: Case, failing: Schedule, found: Outcome, run_: Callable[[Case, Schedule], Outcome] = run
) -> Schedule:
    """A schedule that breaks the same invariant with as few faults and goals as can be."""
    invariant = found.broken[0] if found.broken else ""
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(failing):
            broken = run_(case, candidate).broken
            if broken is not None and broken[0] == invariant:
                failing, smaller = candidate, True
                break
    return failing


def _smaller(found: Schedule) -> Iterator[Schedule]:
    for number in range(1, len(found.goals)):
        yield replace(found, goals=found.goals[:number])
    for number in range(len(found.faults)):
        yield replace(found, faults=found.faults[:number] + found.faults[number + 1 :])
