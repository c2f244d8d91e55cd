"""What the way back costs at each moment."""

import dataclasses

from cutover.actions.database import SwitchDatabase
from cutover.history import History, Status
from cutover.plan import Undo
from cutover.way_back import way_back
from tests.watch.stage import make_plan


def done(*steps: str) -> History:
    history = History()
    for name in steps:
        history.step(name).status = Status.DONE
        history.step(name).seconds = 2.0
    return history


def test_before_anything_was_begun_there_is_nothing_to_undo() -> None:
    assert way_back(make_plan(), History())["possible"] is False


def test_it_counts_what_would_be_undone_and_how_long_it_took() -> None:
    found = way_back(make_plan(), done("s1-1", "s1-2", "s1-3", "s2-1"))

    assert found["steps"] == ["s2-1", "s1-3", "s1-1"]  # s1-2 has nothing to undo
    assert "3 steps would be undone, which took 6.0 s to do and may take 3 min at most" in found["text"]
    assert "2 of them affect service" in found["text"]
    assert "No write is on the target's database alone" in found["text"]
    assert [end["id"] for end in found["to"]] == ["", "s1"]


def test_behind_the_point_of_no_return_there_is_none() -> None:
    found = way_back(make_plan(no_return="s1-2"), done("s1-1", "s1-2"))
    assert (found["possible"], "the old one is gone" in found["text"]) == (False, True)


def test_once_the_database_is_switched_the_writes_count() -> None:
    small = make_plan(1, 1)
    switch = dataclasses.replace(
        small.steps[0], action=SwitchDatabase(), way_back=Undo(timeout_seconds=60), id="switch"
    )
    stage = dataclasses.replace(small.stages[0], steps=(switch,))
    switched = dataclasses.replace(small, stages=(stage,))
    history = done("switch")
    history.step("switch").ended = "2026-01-01T21:03:04.000+00:00"
    assert "has taken writes since 21:03:04 UTC" in way_back(switched, history)["text"]
    history.step("switch").status = Status.FAILED
    assert "may have taken writes" in way_back(switched, history)["text"]
