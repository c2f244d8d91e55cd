"""A fault at a call that is told by its step: the numbers of calls change with the plan."""

from __future__ import annotations

from tests.faults.simulated_rows import calls_of
from tests.faults.simulation.outside import Fault
from tests.faults.simulation.run import Schedule
from tests.faults.simulation.simulated import Goal

SEED = 4
"""A world in which somebody writes beside the gate."""


def at(
    goals: tuple[Goal, ...],
    kind: str,
    call: str,
    *,
    seconds: float = 0.0,
    nth: int = 0,
    plan: str = "boss-corestone",
) -> Schedule:
    """A schedule with one fault, at a call as `step: dependency: name`; `nth`: which of several.

    Raises:
        LookupError: no call of the plan is like that.
    """
    step, dependency, name = call.split(": ")
    found = [
        number
        for number, at_step, made in calls_of(plan, goals, SEED)
        if (at_step, made.dependency, made.name) == (step, dependency, name)
    ]
    if len(found) <= nth:
        there = sorted(
            {
                f"{made.dependency}: {made.name}"
                for _, at_step, made in calls_of(plan, goals, SEED)
                if at_step == step
            }
        )
        raise LookupError(f"no call {call}, number {nth}; {step} calls {', '.join(there)}")
    return Schedule(SEED, goals, (Fault(kind, found[nth], seconds),))
