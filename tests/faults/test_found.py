"""What the simulation has found: each was a fault of the product, and stays mended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cutover.history import BACK, FORWARD
from tests.faults.found import at
from tests.faults.simulated_rows import BACK_AGAIN, check_schedule
from tests.faults.simulation.plans import case
from tests.faults.simulation.run import THERE, run
from tests.faults.simulation.simulated import Goal

THERE_AGAIN = Goal(FORWARD, "switch-database"), Goal(BACK, "arm"), Goal(FORWARD, None)


@pytest.mark.parametrize(
    ("goals", "kind", "call", "nth"),
    [
        pytest.param(
            THERE, "5xx", "switch-database: target database: connect", 0,
            id="a switch that could not be armed",
        ),
        pytest.param(
            THERE, "fsync fails", "switch-database: disk: fsync", 1, id="a record whose first line is lost"
        ),
        pytest.param(
            THERE, "disk full", "switch-database: disk: write", 2,
            id="half a line in the record of the switch",
        ),
        pytest.param(
            THERE, "timed out, executed", "switch-database: gate: set map gate closed", 0,
            id="a gate whose answer is lost while it is closed",
        ),
        pytest.param(
            THERE, "timed out, executed", "switch-database: gate: set map side target", 0,
            id="a gate whose answer is lost behind the promotion",
        ),
        pytest.param(
            BACK_AGAIN, "partition", "switch-database: gate: set map side source", 0,
            id="gates that cannot be reached on the way back",
        ),
        pytest.param(
            BACK_AGAIN, "killed, lands later", "switch-database: source database: GRANT", 0,
            id="a right that is given back when its runner has ended",
        ),
        pytest.param(
            THERE_AGAIN, "killed before", "switch-database: target database: START SLAVE", 0,
            id="a way back whose last part is left out, so that the target follows nobody",
        ),
        pytest.param(
            THERE_AGAIN, "5xx", "switch-database: target database: SET GLOBAL gtid_slave_pos", 0,
            id="a way back whose last part fails",
        ),
        pytest.param(
            BACK_AGAIN, "stale", "services-back: target cluster: get", 0,
            id="a restart that is left out because of an old answer",
        ),
    ],
)  # fmt: skip
def test_what_was_found_stays_mended(goals: tuple[Goal, ...], kind: str, call: str, nth: int) -> None:
    seconds = {"partition": 120.0, "killed, lands later": 0.9}.get(kind, 0.0)
    schedule = at(goals, kind, call, seconds=seconds, nth=nth)
    assert run(case("boss-corestone"), schedule).happened
    assert check_schedule("boss-corestone", schedule) == ""


def test_what_a_killed_runner_had_sent_does_not_overtake_the_rollback() -> None:
    """It lands when an undo that looked at once would have found nothing to take back."""
    call = "scale-down-source: source cluster: merge_patch"
    killed = at(THERE, "killed, lands later", call, seconds=0.9, plan="rhoam")
    schedule = replace(killed, back_after_kill=True)
    assert run(case("rhoam"), schedule).happened
    assert check_schedule("rhoam", schedule) == ""
