"""A share of the kill matrix, with real processes: `make faults` runs all of it."""

from __future__ import annotations

import pytest

from cutover.plan import Step
from tests.faults.kills import check_kill, kill_cases

SHORT = ("lower-ttl", "remember-replicas", "start-services", "switch-database", "replicate-back", "agree")


def short(step: Step) -> bool:
    return step.id in SHORT


@pytest.mark.parametrize("case", list(kill_cases(("boss-corestone",), short)), ids="; ".join)
def test_killed_at_a_step_it_comes_to_the_same_end(case: tuple[str, str, str, str]) -> None:
    assert check_kill(*case) == ""
