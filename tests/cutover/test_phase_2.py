"""Phase 2 of the plan boss-corestone, there and back, in a world in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cutover.errors import StepError
from cutover.history import FORWARD, OPERATOR, Heading, fold
from cutover.journal import read_journal
from cutover.plan import NoReturn, Plan, check_plan
from cutover.plans import build_plan
from cutover.plans.migration_document import LINES
from cutover.ports import Approval, Connection
from cutover.report import ReportInput, make_report
from cutover.runbook import markdown
from lab.parked import parked, refused
from stacks.settings import Environment
from tests.cutover.conftest import filled_settings
from tests.cutover.driver import BACKWARDS, KilledError, drive
from tests.cutover.world import BOSS, CORESTONE, World

VALIDATED = Heading(FORWARD, "validate", OPERATOR)
ARMED = f"{BOSS}-landfall-armed"
CONFIG = {"boss-config": "billing-guance-intl", "corestone-config": "guance-basis"}


@pytest.fixture
def settings() -> dict[str, Any]:
    found = filled_settings(replication=True)
    found["cutover"]["source_quiet_seconds"] = 5
    return found


@pytest.fixture
def world(world: World) -> World:
    for name, namespace in CONFIG.items():
        if world.source.store.get("configmaps", namespace, name) is None:
            found = {"apiVersion": "v1", "kind": "ConfigMap", "data": {}}
            world.source.store.put({**found, "metadata": {"namespace": namespace, "name": name}})
    return world


def test_the_plan_is_sound_and_carries_out_the_whole_document(plan: Plan) -> None:
    assert check_plan(plan) == ()
    assert plan.document.left_out == {}
    fulfilled = {line for step in plan.steps for line in step.fulfils}
    assert set(LINES) <= fulfilled


def test_without_a_replication_the_database_stays_where_it_is() -> None:
    plan = build_plan("boss-corestone", Environment.model_validate(filled_settings()))

    assert {line for line in LINES if line.startswith("2.")} == set(plan.document.left_out)
    assert check_plan(plan) == ()


def test_forward_leaves_the_workloads_alone_on_the_target_database(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    result = drive(world, plan, tmp_path / "journal")

    assert result.outcome == "succeeded", result
    assert world.move.serves == "target"
    assert world.target.replicas[BOSS] == world.target.replicas[CORESTONE] == 2
    assert ARMED not in world.target.replicas
    flips = world.stacks.files["prod-target"].model_dump()
    assert (flips["database"], flips["gate"], flips["gate_side"]) == ("target", "absent", "target")
    assert world.events[-1] == "reverse replication ended"


def test_everything_slow_is_done_before_the_switch(world: World, plan: Plan, tmp_path: Path) -> None:
    seen: dict[str, Any] = {}

    def during() -> None:
        seen["armed"] = world.target.replicas.get(ARMED)
        seen["flips"] = world.stacks.files["prod-target"].model_dump()
        seen["suspended"] = [
            item["spec"].get("suspend") for item in world.target.store.of_kind(*_cron_jobs())
        ]
        copied = world.target.store.get("configmaps", "billing-guance-intl", "boss-config-landfall-armed")
        seen["host"] = (copied or {}).get("data", {}).get("DATABASE_HOST")

    world.move.during_switch = during
    drive(world, plan, tmp_path / "journal")

    assert seen["armed"] == 2
    assert (seen["flips"]["gate"], seen["flips"]["database"]) == ("serve", "eip")
    assert seen["suspended"] == [True, True]
    assert seen["host"] == world.environment.name + "-database.rds.example"


def test_a_rollback_keeps_every_write_and_ends_where_it_began(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    before = world.state
    drive(world, plan, tmp_path / "journal", VALIDATED)
    world.events.clear()

    result = drive(world, plan, tmp_path / "journal", BACKWARDS)

    assert result.outcome == "rolled back", result
    assert world.move.serves == "source"
    after = world.state
    assert (after["records"], after["source"]) == (before["records"], before["source"])
    step = fold(read_journal(tmp_path / "journal").records).step("switch-database")
    assert step.evidence["rollback"] == {"writes_on_target": 1200, "kept": 1200}
    order = [event for event in world.events if not event.startswith("target buffers")]
    interesting = [
        "up prod-target gate=standby",
        "up prod-target gate=serve",
        "up prod-target database=eip, gate_side=source",
        "database source",
        "up prod-target gate=standby",
        "up prod-target gate=absent",
        "forward replication retired",
    ]
    assert [event for event in order if event in interesting] == interesting
    restarted = [event for event in order if "landfall.dev/database" in event]
    assert all('"landfall.dev/database": null' in event for event in restarted)
    assert order.index(interesting[2]) < order.index(restarted[0]) < order.index("database source")


def test_a_rollback_that_would_lose_writes_is_refused(world: World, plan: Plan, tmp_path: Path) -> None:
    drive(world, plan, tmp_path / "journal", VALIDATED)
    world.move.reverse = "failed"

    result = drive(world, plan, tmp_path / "journal", BACKWARDS)

    assert (result.outcome, result.step) == ("halted", "switch-database")
    assert "1200 transactions would be lost" in result.reason
    assert world.move.serves == "target"


def test_a_switch_that_was_given_up_can_be_run_again(world: World, plan: Plan, tmp_path: Path) -> None:
    world.move.fails["switch"] = StepError("given up after 300 ms: the drain took too long")

    result = drive(world, plan, tmp_path / "journal")

    assert (result.outcome, result.step) == ("halted", "switch-database")
    assert world.move.serves == "source"
    assert drive(world, plan, tmp_path / "journal").outcome == "succeeded"


def test_what_stands_in_the_way_of_the_pair_halts_before_anything(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    world.move.fails["inspect"] = StepError("error: binlog of the source: it writes none")

    result = drive(world, plan, tmp_path / "journal")

    assert (result.outcome, result.step) == ("halted", "inspect-databases")
    assert "database copied" not in world.events


def test_pods_that_stay_on_the_source_keep_the_services_from_being_sent_back(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    world.move.left_on_source = [Connection("boss", "192.0.2.5", "boss")]

    result = drive(world, plan, tmp_path / "journal")

    assert (result.outcome, result.step) == ("halted", "restart-services")
    assert "still on the source's: boss" in result.reason


def test_who_still_uses_the_source_is_named_before_it_is_given_up(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    drive(world, plan, tmp_path / "journal", VALIDATED)
    world.move.left_on_source = [Connection("report", "198.51.100.9", "boss")]

    result = drive(world, plan, tmp_path / "journal")

    assert (result.outcome, result.step) == ("halted", "source-quiet")
    assert "report@198.51.100.9" in result.reason


def test_one_person_alone_cannot_agree_twice(
    world: World, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def same(step: str, asked: str, plan_hash: str, round_: int) -> Approval | None:
        given = take(step, asked, plan_hash, round_)
        return given and Approval(step, "Ada", given.note, given.at, given.asked)

    take = world.take
    monkeypatch.setattr(world, "take", same)

    result = drive(world, plan, tmp_path / "journal")

    assert (result.outcome, result.step) == ("halted", "agree-again")
    waiting = [
        record.data for record in read_journal(tmp_path / "journal").records if record.kind == "waiting"
    ]
    assert "Ada has agreed already: somebody else has to" in waiting[-1]["instructions"]
    assert world.move.reverse == "running"


def test_behind_the_point_of_no_return_a_rollback_is_refused(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    drive(world, plan, tmp_path / "journal")

    result = drive(world, plan, tmp_path / "journal", BACKWARDS)

    assert result.outcome == "halted"
    assert world.move.serves == "target"


def test_a_breach_while_soaking_switches_back_by_itself(world: World, plan: Plan, tmp_path: Path) -> None:
    world.move.during_switch = lambda: setattr(world, "broken_after", world.clock.monotonic() + 5)

    result = drive(world, plan, tmp_path / "journal")

    assert (result.outcome, result.breached) == ("halted", True), result
    assert "stage switch-database is undone" in result.reason
    assert world.move.serves == "source"


def test_the_runbook_says_from_where_there_is_no_return(plan: Plan) -> None:
    (last,) = [step for step in plan.steps if isinstance(step.way_back, NoReturn)]

    assert last.id == "end-way-back"
    assert "no way back" in markdown(plan)


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_runner_killed_at_any_write_of_phase_2_is_resumed(
    world: World, plan: Plan, tmp_path: Path, side: str
) -> None:
    path = tmp_path / "whole"
    drive(world, plan, path)
    records = read_journal(path).records[1:]
    first = next(n for n, record in enumerate(records) if record.data.get("step") == "inspect-databases")
    for number in range(first, len(records), 3):
        killed = World(world.environment)
        for name, namespace in CONFIG.items():
            killed.source.store.put(world.source.store.objects["configmaps", namespace, name])
        journal = tmp_path / f"{number}.journal"
        with pytest.raises(KilledError):
            drive(killed, plan, journal, **{f"kill_{side}": number})  # type: ignore[arg-type]
        result = drive(killed, plan, journal)
        assert result.outcome == "succeeded", (number, result)
        assert killed.state == world.state, number
        assert killed.events.count("database target") == 1, number


def _cron_jobs() -> tuple[Any, None]:
    from tests.cutover.world import CRON_JOBS  # noqa: PLC0415 - beside its only use

    return CRON_JOBS, None


def test_the_report_holds_the_switch_its_verification_and_what_came_back(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    path = tmp_path / "journal"
    drive(world, plan, path, VALIDATED)
    there = make_report(plan, read_journal(path).records, ReportInput("lab"), world.environment.cutover)
    drive(world, plan, path, BACKWARDS)
    back = make_report(plan, read_journal(path).records, ReportInput("lab"), world.environment.cutover)

    assert there.replication is not None
    assert (there.replication.kind, there.replication.fence_ms) == ("native", 1.5)
    assert there.replication.lag_ms_at_fence == 3.5
    assert there.verification is not None
    assert (there.verification.rows, there.verification.rechecked_under_fence) == (1000, 3)
    assert there.rollback is None
    verified = next(item for item in there.criteria if item.id == "database-verified")
    assert verified.holds
    assert "connections to the target's" in verified.evidence
    assert back.rollback is not None
    assert (back.rollback.writes_on_target, back.rollback.kept) == (1200, 1200)


def test_rows_that_differ_break_the_criterion(world: World, plan: Plan, tmp_path: Path) -> None:
    world.move.verified = {**world.move.verified, "mismatches": 1}
    drive(world, plan, tmp_path / "journal", VALIDATED)

    made = make_report(
        plan, read_journal(tmp_path / "journal").records, ReportInput("lab"), world.environment.cutover
    )

    verified = next(item for item in made.criteria if item.id == "database-verified")
    assert verified.holds is False
    assert "1 differ" in verified.evidence


def test_the_journal_says_when_requests_were_held(world: World, plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    drive(world, plan, path, VALIDATED)
    drive(world, plan, path, BACKWARDS)

    assert list(parked(path)) == [(1000.0, 1000.5), (2000.0, 2001.0)]


def test_by_restart_nothing_is_built_ahead_and_nothing_is_held(
    settings: dict[str, Any], world: World, tmp_path: Path
) -> None:
    settings["cutover"]["database_switch"] = "restart"
    plan = build_plan("boss-corestone", Environment.model_validate(settings))
    before = world.state

    assert check_plan(plan) == ()
    assert set(LINES) <= {line for step in plan.steps for line in step.fulfils}
    assert not {"arm", "settle"} & {stage.id for stage in plan.stages}
    result = drive(world, plan, tmp_path / "journal", VALIDATED)

    assert result.outcome == "reached validate", result
    assert world.state["database"] == "target"
    assert world.stacks.files["prod-target"].model_dump()["gate"] in (None, "absent")
    evidence = fold(read_journal(tmp_path / "journal").records).step("switch-database").evidence
    assert "refused" in evidence
    assert "parked" not in evidence
    switched = world.events.index("database target")
    configured = world.events.index("up prod-target database=target")
    restarted = next(at for at, event in enumerate(world.events) if "landfall.dev/database" in event)
    assert switched < configured < restarted

    world.events.clear()
    result = drive(world, plan, tmp_path / "journal", BACKWARDS)

    assert result.outcome == "rolled back", result
    assert world.move.serves == "source"
    after = world.state
    assert (after["records"], after["source"]) == (before["records"], before["source"])
    restarted = next(at for at, event in enumerate(world.events) if "landfall.dev/database" in event)
    order = (world.events.index("up prod-target database=eip"), restarted)
    assert order[0] < order[1] < world.events.index("database source")
    spans = list(refused(tmp_path / "journal"))
    assert len(spans) == 2
    assert not list(parked(tmp_path / "journal"))
