"""A share of the kill matrix, with real processes: `make faults` runs all of it."""

from __future__ import annotations

import pytest

from tests.faults.kills import check_kill, kill_cases

SHORT = ("lower-ttl", "remember-replicas", "start-services", "switch-database", "replicate-back", "agree")


SHORT_OF_RHOAM = ("create-default-tenant",)


def cases() -> list[tuple[str, ...]]:
    return [
        *kill_cases(("boss-corestone",), lambda step: step.id in SHORT),
        *kill_cases(("rhoam",), lambda step: step.id in SHORT_OF_RHOAM),
    ]


@pytest.mark.parametrize("case", cases(), ids="; ".join)
def test_killed_at_a_step_it_comes_to_the_same_end(case: tuple[str, str, str, str]) -> None:
    assert check_kill(*case) == ""
