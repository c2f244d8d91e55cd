"""A small instance of the model of the switch; `make faults` checks it whole."""

from __future__ import annotations

import pytest

from tests.faults.model import SMALL, WITHOUT, check


def test_every_state_of_the_model_holds() -> None:
    found = check(SMALL)
    assert found.errors == 0, found.trail
    assert found.states > 10_000


@pytest.mark.parametrize("without", WITHOUT)
def test_without_a_protection_the_model_fails(without: str) -> None:
    # CRASHES and LAPSES stay as they are: it takes a lapse to miss the epoch
    assert check(("CRASHES=1", "REQUESTS=1", without)).errors
