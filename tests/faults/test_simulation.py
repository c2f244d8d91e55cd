"""A share of `make faults`: random schedules, and that the simulation notices what it is there to notice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.simulated_rows import check_control, check_seed, control_schedules
from tests.faults.simulation.controls import WITHOUT
from tests.faults.simulation.outside import Fault
from tests.faults.simulation.plans import NAMES, case
from tests.faults.simulation.run import THERE, Outcome, Schedule, run
from tests.faults.simulation.schedules import schedule, shrink

PLAN = "boss-corestone"
SEEDS, AT_ONCE = 400, 20


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_no_schedule_breaks_an_invariant(first: int) -> None:
    seeds = range(first, first + AT_ONCE)
    found = [check_seed(NAMES[seed % len(NAMES)], seed) for seed in seeds]
    assert [failure for failure in found if failure] == []


@pytest.mark.parametrize("without", WITHOUT)
def test_a_protection_that_is_taken_away_is_missed(without: str) -> None:
    failures = [check_control(PLAN, found) for found in control_schedules(without, 3)]
    assert failures == ["", "", ""]


def test_a_schedule_runs_the_same_each_time() -> None:
    found = schedule(10, case(PLAN))
    first, second = run(case(PLAN), found), run(case(PLAN), found)
    assert (first.lives, first.happened, first.calls) == (second.lives, second.happened, second.calls)
    assert first.happened


def test_an_uninterrupted_run_writes_reads_and_holds_requests() -> None:
    outcome = run(case(PLAN), Schedule(1, THERE, ()))
    assert (outcome.broken, outcome.end) == (None, "succeeded")
    assert outcome.writes > 100
    assert outcome.calls > 1000


def test_what_fails_is_made_small() -> None:
    """Of five faults one matters, and one goal of two."""
    big = schedule(7, case(PLAN))
    wanted = Fault("forbidden", 77)
    faults = tuple(sorted((*big.faults, wanted), key=lambda fault: fault.at))
    big = replace(big, faults=faults)

    def broken_by_one(_case: object, found: Schedule) -> Outcome:
        return Outcome(("service", "refused") if wanted in found.faults else None, "halted")

    smallest = shrink(case(PLAN), big, Outcome(("service", "refused"), "halted"), broken_by_one)
    assert smallest.faults == (wanted,)
    assert len(smallest.goals) == 1
