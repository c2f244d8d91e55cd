"""The judge of the soak: what is lost or duplicated is found, and nothing else is called so."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.soak.judge import inserts, swaps
from lab.soak.log import Kind, Outcome, Write, entries, put
from lab.soak.run import holds


def insert(value: int, outcome: Outcome = "acknowledged") -> Write:
    return Write("insert", outcome, 1, value, 0, 0.0)


def swap(before: int, value: int, outcome: Outcome = "acknowledged", register: int = 0) -> Write:
    return Write("swap", outcome, register, value, before, 0.0)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    kinds: tuple[Kind, ...] = ("insert", "swap")
    outcomes: tuple[Outcome, ...] = ("acknowledged", "unknown")
    written = [
        Write(kind, outcome, 3, 2**60 + number, 2**40, 1.5 + number)
        for number, kind in enumerate(kinds)
        for outcome in outcomes
    ]
    with (tmp_path / "log").open("wb") as file:
        for write in written:
            put(file, write)
    assert list(entries(tmp_path / "log")) == written
    (tmp_path / "log").write_bytes((tmp_path / "log").read_bytes()[:-1])
    with pytest.raises(ValueError, match="middle of an entry"):
        list(entries(tmp_path / "log"))


def test_every_insert_is_to_be_there_once() -> None:
    fate = inserts([insert(1), insert(2), insert(3, "unknown"), insert(4, "unknown")], [2, 1, 4])
    assert (fate.acknowledged, fate.lost, fate.duplicated, fate.unknown, fate.unknown_done) == (2, 0, 0, 2, 1)


@pytest.mark.parametrize(
    ("held", "lost", "duplicated"),
    [([1], 1, 0), ([1, 2, 2], 0, 1), ([1, 2, 9], 0, 1), ([2, 2, 2], 1, 2), ([], 2, 0)],
)
def test_lost_and_duplicated_inserts_are_counted(held: list[int], lost: int, duplicated: int) -> None:
    fate = inserts([insert(1), insert(2)], held)
    assert (fate.lost, fate.duplicated) == (lost, duplicated)
    assert fate.examples


def test_the_swaps_of_a_register_are_a_chain() -> None:
    writes = [swap(0, 5), swap(5, 7, "unknown"), swap(7, 8), swap(7, 9, "unknown"), swap(0, 3, register=1)]
    fate = swaps(writes, {0: 8, 1: 3, 2: 0})
    assert (fate.acknowledged, fate.lost, fate.duplicated, fate.unknown, fate.unknown_done) == (3, 0, 0, 2, 1)
    assert not fate.examples


@pytest.mark.parametrize(
    ("held", "lost", "duplicated"),
    [
        (7, 1, 0),  # the last one is gone
        (6, 2, 0),  # two sides swapped the same value: one branch is lost
        (99, 3, 1),  # nobody wrote that
        (0, 3, 0),
    ],
)
def test_lost_swaps_and_two_sides_are_found(held: int, lost: int, duplicated: int) -> None:
    writes = [swap(0, 5), swap(5, 7), swap(7, 8)] if held != 6 else [swap(0, 6), swap(0, 5), swap(5, 7)]
    fate = swaps(writes, {0: held})
    assert (fate.lost, fate.duplicated) == (lost, duplicated)
    assert fate.examples


@pytest.mark.parametrize("wrong", ["lost", "duplicated", "failed", "differs", "none"])
def test_a_soak_that_shows_nothing_does_not_hold(wrong: str) -> None:
    report = {
        "totals": {"writes_lost": int(wrong == "lost"), "writes_duplicated": int(wrong == "duplicated")},
        "services": {"failed": int(wrong == "failed")},
        "databases": {"other_differs": ["soak_rows"] if wrong == "differs" else []},
        "switches": {"done": 0 if wrong == "none" else 10},
    }
    assert not holds(report)
    right = {
        "totals": {"writes_lost": 0, "writes_duplicated": 0},
        "services": {"failed": 0},
        "databases": {"other_differs": []},
        "switches": {"done": 10},
    }
    assert holds(right)
