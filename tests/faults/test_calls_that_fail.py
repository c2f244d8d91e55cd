"""A share of what `make faults` runs by programs of its own: calls and writes of real parts that fail."""

from __future__ import annotations

import pytest

from tests.faults.elsewhere import long_soak, measured
from tests.faults.table import Part


def silent(_text: str) -> None:
    """Nobody waits."""


def holds(part: Part, at_least: int) -> None:
    assert not part.not_run, part.not_run
    assert part.failures == []
    assert part.held == part.cases >= at_least


def test_calls_of_a_table() -> None:
    holds(measured("", "tests.faults.table_calls", 79)(silent), 4)


def test_writes_to_a_disk() -> None:
    holds(measured("", "tests.faults.disk_writes", 97)(silent), 6)


@pytest.mark.lab
def test_calls_of_a_kubernetes_api() -> None:
    holds(measured("", "tests.faults.kubernetes_calls", 37, in_lab=True)(silent), 4)


def test_the_long_soak_is_told_with_its_date() -> None:
    told = long_soak()
    assert "the long one of 2" in told
    assert "0 lost, 0 duplicated" in told
