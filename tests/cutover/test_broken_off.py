"""What was broken off is cleared up before anything else, and until that has succeeded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cutover.errors import PlanError, StepError, UnfinishedError
from cutover.history import FORWARD, OPERATOR, Heading, fold
from cutover.journal import read_journal
from cutover.plan import Plan
from tests.cutover.conftest import filled_settings
from tests.cutover.driver import BACKWARDS, KilledError, drive
from tests.cutover.world import World

CONFIG = {"boss-config": "billing-guance-intl", "corestone-config": "guance-basis"}


@pytest.fixture
def settings() -> dict[str, Any]:
    found = filled_settings(replication=True)
    found["cutover"] |= {"soak_seconds": 5, "source_quiet_seconds": 5}
    return found


@pytest.fixture
def world(world: World) -> World:
    for name, namespace in CONFIG.items():
        found = {"apiVersion": "v1", "kind": "ConfigMap", "data": {}}
        world.source.store.put({**found, "metadata": {"namespace": namespace, "name": name}})
    return world


def repairs(path: Path) -> list[str]:
    return [str(record.data["step"]) for record in read_journal(path).records if record.kind == "repair"]


def test_a_repair_that_failed_is_tried_again_by_the_next_runner(
    world: World, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed() -> None:
        raise KilledError

    world.move.during_switch = killed
    with pytest.raises(KilledError):
        drive(world, plan, tmp_path / "journal")
    world.move.during_switch = lambda: None
    recover = world.move.recover

    def unreachable(rights: Any) -> str:
        raise StepError("the gate does not answer")

    monkeypatch.setattr(world.move, "recover", unreachable)
    assert "does not answer" in drive(world, plan, tmp_path / "journal").reason
    monkeypatch.setattr(world.move, "recover", recover)

    assert drive(world, plan, tmp_path / "journal").outcome == "succeeded"
    assert repairs(tmp_path / "journal") == ["switch-database", "switch-database"]


def test_a_switch_that_could_not_be_given_up_is_ended_by_the_next_runner(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    world.move.fails["switch"] = UnfinishedError("the switch failed, and so did the way back")

    halted = drive(world, plan, tmp_path / "journal")
    assert (halted.outcome, halted.step) == ("halted", "switch-database")
    assert fold(read_journal(tmp_path / "journal").records).step("switch-database").cut_off

    assert drive(world, plan, tmp_path / "journal", BACKWARDS).outcome == "rolled back"
    assert repairs(tmp_path / "journal") == ["switch-database"]


def test_a_gate_that_does_not_hold_keeps_what_was_broken_off_on_record(
    world: World, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.move.fails["switch"] = UnfinishedError("the switch failed, and so did the way back")
    drive(world, plan, tmp_path / "journal")

    def unreachable(*_: object) -> None:
        raise StepError("the database does not answer")

    monkeypatch.setattr(world.move, "recover", unreachable)
    drive(world, plan, tmp_path / "journal")
    drive(world, plan, tmp_path / "journal")

    assert fold(read_journal(tmp_path / "journal").records).step("switch-database").cut_off


def test_a_rollback_that_was_refused_leaves_the_way_ahead(
    world: World, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = tmp_path / "journal"

    def killed(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(world.move, "end_reverse", killed)
        drive(world, plan, journal)
    assert "no return" in drive(world, plan, journal, BACKWARDS).reason

    assert drive(world, plan, journal).outcome == "succeeded"


def test_a_rollback_that_would_lose_writes_leaves_the_way_ahead(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    drive(world, plan, journal, Heading(FORWARD, "validate", OPERATOR))
    world.move.reverse = "failed"
    assert "would be lost" in drive(world, plan, journal, BACKWARDS).reason

    assert drive(world, plan, journal).outcome == "succeeded"


def test_a_rollback_whose_runner_was_killed_is_finished_first(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    drive(world, plan, journal, Heading(FORWARD, "validate", OPERATOR))
    with pytest.raises(KilledError):
        drive(world, plan, journal, BACKWARDS, kill_after=6)

    with pytest.raises(PlanError, match="finish it first with `cutover rollback`"):
        drive(world, plan, journal)
    assert drive(world, plan, journal, BACKWARDS).outcome == "rolled back"
