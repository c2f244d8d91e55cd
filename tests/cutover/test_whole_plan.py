"""The plan boss-corestone, there and back, in a world in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from cutover.history import FORWARD, OPERATOR, Heading, fold
from cutover.journal import read_journal
from cutover.plan import Plan
from tests.cutover.driver import BACKWARDS, FORWARDS, KilledError, drive
from tests.cutover.world import (
    BASIS_FORWARDER,
    BOSS,
    CORESTONE,
    FORWARDER,
    REDIS,
    SOURCE_ADDRESS,
    TARGET_ADDRESS,
    World,
)

_CALLS_AS_BEFORE = '{"spec": {"template": {"metadata": {"annotations": {"landfall.dev/calls": null}}}}}'


def test_forward_moves_everything(world: World, plan: Plan, tmp_path: Path) -> None:
    result = drive(world, plan, tmp_path / "journal")

    assert result.outcome == "succeeded", result
    assert world.record == TARGET_ADDRESS
    assert world.source.replicas == {BOSS: 0, CORESTONE: 0, REDIS: 1, FORWARDER: 2, BASIS_FORWARDER: 2}
    assert world.target.replicas == {BOSS: 2, CORESTONE: 2, REDIS: 1}
    assert world.forwarding


def test_rollback_restores_the_source_in_the_order_that_refuses_nobody(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    before = dict(world.source.replicas)
    drive(world, plan, tmp_path / "journal")
    world.events.clear()
    world.target.buffered = [3, 1]

    result = drive(world, plan, tmp_path / "journal", BACKWARDS)

    assert result.outcome == "rolled back", result
    assert world.record == SOURCE_ADDRESS
    assert world.ttl == 300
    assert world.source.replicas == before
    assert world.target.replicas == {BOSS: 0, CORESTONE: 0, REDIS: 0}
    assert world.events == [
        "up prod-source replicas[billing-guance-intl/boss]=2, replicas[guance-basis/corestone]=2",
        'target boss-archive {"spec": {"suspend": true}}',
        'target boss-settlement {"spec": {"suspend": true}}',
        'source boss-archive {"spec": {"suspend": false}}',
        'source boss-settlement {"spec": {"suspend": false}}',
        "up prod-source stragglers=standby",
        "up prod-automata callers[automata/automata]=source",
        f"automata automata {_CALLS_AS_BEFORE}",
        "up prod-edge records[corestone.truewatch.com]=source",
        "up prod-edge records[bill.truewatch.com]=source",
        "target buffers 3",
        "target buffers 1",
        "target buffers 0",
        "up prod-target replicas[billing-guance-intl/boss]=0, replicas[guance-basis/corestone]=0",
        "target buffers 0",
        "up prod-target replicas[middleware/redis-basis]=0",
        "up prod-target database=internal",
        "up prod-source stragglers=absent",
        "up prod-edge ttl=original",
    ]


def test_it_can_be_run_again_after_a_rollback(world: World, plan: Plan, tmp_path: Path) -> None:
    drive(world, plan, tmp_path / "journal")
    end = world.state
    drive(world, plan, tmp_path / "journal", BACKWARDS)

    assert drive(world, plan, tmp_path / "journal").outcome == "succeeded"
    assert world.state == end


def test_run_to_a_stage_stops_there(world: World, plan: Plan, tmp_path: Path) -> None:
    result = drive(world, plan, tmp_path / "journal", Heading(FORWARD, "connect", OPERATOR))

    assert result.outcome == "reached connect"
    assert world.target.replicas[BOSS] == 2
    assert world.record == SOURCE_ADDRESS


def test_rollback_to_a_stage_stops_there(world: World, plan: Plan, tmp_path: Path) -> None:
    drive(world, plan, tmp_path / "journal")

    result = drive(world, plan, tmp_path / "journal", Heading("back", "connect", OPERATOR))

    assert result.outcome == "rolled back to connect"
    assert world.record == SOURCE_ADDRESS
    assert world.source.replicas[BOSS] == world.target.replicas[BOSS] == 2


def test_a_breach_while_soaking_undoes_the_stage_and_no_other(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    world.broken_target = True

    result = drive(world, plan, tmp_path / "journal")

    assert (result.outcome, result.breached) == ("halted", True)
    assert "health checks failed" in result.reason
    assert "stage switch is undone" in result.reason
    assert world.record == SOURCE_ADDRESS
    assert world.target.replicas[BOSS] == 2, "the stage before it stays as it was"
    world.broken_target = False
    assert drive(world, plan, tmp_path / "journal").outcome == "succeeded"


def test_an_automatic_undo_that_was_killed_is_finished_first(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    world.broken_target = True
    path = tmp_path / "journal"
    with pytest.raises(KilledError):
        drive(world, plan, path, kill_after=_write_of(plan, world, "started", which=1))
    assert world.record == TARGET_ADDRESS

    result = drive(world, plan, path)

    assert (result.outcome, result.breached) == ("halted", True)
    assert world.record == SOURCE_ADDRESS


def _write_of(plan: Plan, world: World, kind: str, which: int) -> int:
    """The number of a write in a run of the same plan in a world of its own."""
    import tempfile  # noqa: PLC0415 - only this helper needs it

    twin = World(world.environment, broken_target=world.broken_target)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal"
        drive(twin, plan, path)
        numbers = [number for number, record in enumerate(read_journal(path).records) if record.kind == kind]
    return numbers[which] - 1  # the record `opened` is not counted


def test_a_step_of_a_person_waits_and_says_for_what(world: World, plan: Plan, tmp_path: Path) -> None:
    world.approvals = False
    path = tmp_path / "journal"

    result = drive(world, plan, path)

    assert result.outcome == "halted"
    assert result.step == "open-database"
    waiting = [record.data for record in read_journal(path).records if record.kind == "waiting"]
    assert len(waiting) == 1
    assert "203.0.113.30" in waiting[0]["instructions"]
    assert "203.0.113.65" in waiting[0]["instructions"]


def test_a_database_that_lets_in_others_halts(world: World, plan: Plan, tmp_path: Path) -> None:
    world.admitted = {"source", "target"}

    result = drive(world, plan, tmp_path / "journal")

    assert (result.outcome, result.step) == ("halted", "open-database")
    assert "does not reach" in result.reason


def test_an_address_that_was_not_let_in_halts(world: World, plan: Plan, tmp_path: Path) -> None:
    world.admitted = set()

    result = drive(world, plan, tmp_path / "journal")

    assert (result.outcome, result.step) == ("halted", "open-database")
    assert "a pod on the target reaches the database's public address" in result.reason


def test_data_that_is_never_committed_halts_before_the_source_is_left(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    world.source.buffered = [5] * 100_000

    result = drive(world, plan, tmp_path / "journal")

    assert (result.outcome, result.step) == ("halted", "drain-source")
    assert "BOSS usage: 5 left" in result.reason
    assert world.source.replicas[BOSS] == 2


def test_what_a_run_writes_holds_no_secret(world: World, plan: Plan, tmp_path: Path) -> None:
    drive(world, plan, tmp_path / "journal")

    assert b"canary-password" not in (tmp_path / "journal").read_bytes()


def _writes(world: World, plan: Plan, folder: Path, heading: Heading) -> int:
    before = len(read_journal(folder / "journal").records)
    drive(world, plan, folder / "journal", heading)
    return len(read_journal(folder / "journal").records) - before


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_runner_killed_at_any_write_is_resumed(world: World, plan: Plan, tmp_path: Path, side: str) -> None:
    folder = tmp_path / "whole"
    folder.mkdir()
    writes = _writes(world, plan, folder, FORWARDS) - 1  # without `opened`
    for number in range(writes):
        killed = World(world.environment)
        path = tmp_path / f"{number}.journal"
        with pytest.raises(KilledError):
            drive(killed, plan, path, **{f"kill_{side}": number})  # type: ignore[arg-type]
        result = drive(killed, plan, path)
        assert result.outcome == "succeeded", (number, result)
        assert killed.state == world.state, number
        effects = [event for event in killed.events if event.startswith("up")]
        assert effects == [event for event in world.events if event.startswith("up")], number


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_runner_killed_at_any_write_is_rolled_back(
    world: World, plan: Plan, tmp_path: Path, side: str
) -> None:
    folder = tmp_path / "whole"
    folder.mkdir()
    writes = _writes(world, plan, folder, FORWARDS) - 1
    for number in range(writes):
        killed = World(world.environment)
        path = tmp_path / f"{number}.journal"
        with pytest.raises(KilledError):
            drive(killed, plan, path, **{f"kill_{side}": number})  # type: ignore[arg-type]
        result = drive(killed, plan, path, BACKWARDS)
        assert result.outcome == "rolled back", (number, result)
        assert _as_before(killed), number


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_rollback_killed_at_any_write_is_finished(
    world: World, plan: Plan, tmp_path: Path, side: str
) -> None:
    folder = tmp_path / "whole"
    folder.mkdir()
    drive(world, plan, folder / "journal")
    writes = _writes(world, plan, folder, BACKWARDS)
    for number in range(writes):
        killed = World(world.environment)
        path = tmp_path / f"{number}.journal"
        drive(killed, plan, path)
        with pytest.raises(KilledError):
            drive(killed, plan, path, BACKWARDS, **{f"kill_{side}": number})
        assert drive(killed, plan, path, BACKWARDS).outcome == "rolled back", number
        assert _as_before(killed), number
        assert fold(read_journal(path).records).heading is None


def _as_before(world: World) -> bool:
    return (
        world.record == SOURCE_ADDRESS
        and world.ttl == 300
        and not world.forwarding
        and world.source.replicas == {BOSS: 2, CORESTONE: 2, REDIS: 1}
        and not any(world.target.replicas.values())
    )
