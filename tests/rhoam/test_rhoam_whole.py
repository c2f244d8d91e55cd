"""The whole plan in a world in memory: there, back from each stage, and again."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import pytest

from cutover.approvals import Approvals
from cutover.history import BACK, FORWARD, OPERATOR, Heading, fold
from cutover.journal import Journal, read_journal
from cutover.plan import Plan
from cutover.runner import Result, Runner
from stacks.settings.threescale import COMPONENTS
from tests.rhoam.rhoam_names import CANARY, MASTER_TOKEN, RHOAM, TOKENS
from tests.rhoam.rhoam_world import FakeStacks, RhoamWorld

STAGES = (
    "red-hat-ready", "customer-ready", "stop", "dump", "convert", "connect", "update", "leave", "restore",
    "serve", "finish",
)  # fmt: skip


def drive(
    world: RhoamWorld, plan: Plan, path: Path, direction: str = FORWARD, until: str | None = None
) -> Result:
    """One run of the command line."""
    epoch = max((record.epoch for record in read_journal(path).records), default=0) + 1
    journal = Journal(path, epoch, world.clock)
    try:
        if not journal.records:
            journal.append(
                "opened", {"plan": plan.id, "plan_hash": plan.hash, "environment": plan.environment}
            )
        runner = Runner(plan, journal, world.context(), cast(Approvals, world))
        return runner.run(Heading(direction, until, OPERATOR))
    finally:
        journal.close()


def source_as_it_is(world: RhoamWorld) -> dict[str, Any]:
    """What of the source must be as before after a rollback."""
    cluster = world.clusters["source"]
    return copy.deepcopy(
        {
            "objects": {
                key: item for key, item in cluster.objects.items() if key[0] in ("deployments", "secrets")
            },
            "database": world.databases["source"],
            "redis": world.redis["source"],
        }
    )


def go(world: RhoamWorld, plan: Plan, path: Path, until: str | None = None) -> Result:
    """Ahead, a day of waiting, and on."""
    drive(world, plan, path, until="customer-ready")
    if until in ("red-hat-ready", "customer-ready"):
        return drive(world, plan, path, until=until)
    world.clock.sleep(86_400)
    return drive(world, plan, path, until=until)


def test_it_goes_to_its_end(world: RhoamWorld, plan: Plan, tmp_path: Path) -> None:
    result = go(world, plan, tmp_path / "journal.jsonl")

    assert result == Result("succeeded", "")
    destination = world.databases["destination-database"]
    assert set(destination["tenants"]) == {"acme", "globex", "3scale"}
    assert destination["master"] == "master.apps.rhoam.example.com"
    assert destination["plan"] == "enterprise"
    assert world.redis["destination"] == world.redis["source"]
    cluster = world.clusters["destination"]
    assert cluster.replicas(RHOAM, "rhmi-operator") == 1
    assert cluster.objects["rhmis", RHOAM, "rhoam"]["status"]["stage"] == "complete"
    version = world.clusters["migration"].objects["apimanagers", "3scale", "3scale"]["metadata"][
        "annotations"
    ]
    assert version["apps.3scale.net/apimanager-threescale-version"].startswith("2.15")
    assert all(item["published"] for item in destination["tenants"]["acme"]["sso"])


def test_no_secret_gets_into_the_journal_or_what_is_said(
    world: RhoamWorld, plan: Plan, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    go(world, plan, path)

    text = path.read_text() + "\n".join(world.said)
    for secret in (CANARY, MASTER_TOKEN, *TOKENS.values(), "new-admin-token", "sso-token"):
        assert secret not in text


def test_what_takes_requests_ends_first_and_starts_last(
    world: RhoamWorld, plan: Plan, tmp_path: Path
) -> None:
    go(world, plan, tmp_path / "journal.jsonl", until="dump")

    ended = [
        text.split()[1] for text in world.happened if text.startswith("source: ") and text.endswith(" 0")
    ]
    assert ended[0] == "threescale-operator-controller-manager-v2"
    assert ended[1:4] == ["apicast-production", "apicast-staging", "backend-listener"]
    assert ended[-1] == "zync-database"
    world.happened.clear()
    assert drive(world, plan, tmp_path / "journal.jsonl", BACK).outcome == "rolled back"
    started = [text.split()[1] for text in world.happened if text.startswith("source: ")]
    assert started[0] == "zync-database"
    assert started[-2:] == ["apicast-production", "threescale-operator-controller-manager-v2"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_rollback_from_every_stage_returns_the_source_as_it_was(
    world: RhoamWorld, plan: Plan, tmp_path: Path, stage: str
) -> None:
    path = tmp_path / "journal.jsonl"
    before = source_as_it_is(world)
    assert go(world, plan, path, until=stage).outcome == f"reached {stage}"

    result = drive(world, plan, path, BACK)

    assert result == Result("rolled back", "")
    assert source_as_it_is(world) == before
    assert {"destination-database", "loaded-database", "converted-database"} & set(world.databases) == set()
    assert "destination" not in world.redis


def test_after_a_rollback_it_can_be_done_again(world: RhoamWorld, plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    go(world, plan, path, until="connect")
    drive(world, plan, path, BACK, until="customer-ready")

    assert drive(world, plan, path).outcome == "succeeded"


def test_behind_the_point_of_no_return_there_is_no_rollback(
    world: RhoamWorld, plan: Plan, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    go(world, plan, path)

    result = drive(world, plan, path, BACK)

    assert result.outcome == "halted"
    assert "users write on RHOAM" in result.reason


def test_every_step_leaves_its_evidence(world: RhoamWorld, plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    go(world, plan, path)

    history = fold(read_journal(path).records)
    assert [step.id for step in plan.steps if not history.step(step.id).evidence] == []
    assert history.facts["routes"]
    assert {item["for"] for item in history.facts["routes"]} >= {"admin portal", "API gateway"}


def with_configs(world: RhoamWorld) -> None:
    """The source as 3scale before 2.15 is: DeploymentConfigs, and a system-sphinx."""
    objects = world.clusters["source"].objects
    for kind, namespace, name in list(objects):
        if kind == "deployments" and name in COMPONENTS:
            found = objects.pop((kind, namespace, name))
            count = found["spec"]["replicas"]
            found["status"] = {"replicas": count, "updatedReplicas": count, "readyReplicas": count}
            older = "system-sphinx" if name == "system-searchd" else name
            found["metadata"]["name"] = older
            objects["deploymentconfigs", namespace, older] = found


def test_deployment_configs_are_scaled_too(world: RhoamWorld, plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with_configs(world)
    objects = world.clusters["source"].objects
    before = {key: item["spec"]["replicas"] for key, item in objects.items() if key[0] == "deploymentconfigs"}
    go(world, plan, path, until="dump")

    now = {key: item["spec"]["replicas"] for key, item in objects.items() if key[0] == "deploymentconfigs"}
    assert set(now.values()) == {0}
    assert ("deploymentconfigs", "3scale", "system-sphinx") in now
    assert drive(world, plan, path, BACK).outcome == "rolled back"
    assert before == {
        key: item["spec"]["replicas"] for key, item in objects.items() if key[0] == "deploymentconfigs"
    }


def test_a_workload_that_is_not_there_is_named(world: RhoamWorld, plan: Plan, tmp_path: Path) -> None:
    del world.clusters["source"].objects["deployments", "3scale", "system-searchd"]

    result = go(world, plan, tmp_path / "journal.jsonl")

    assert "no Deployment and no DeploymentConfig system-searchd or system-sphinx in 3scale" in result.reason


def test_a_stacks_outputs_are_asked_for_once_a_step(world: RhoamWorld) -> None:
    context = world.context()
    asked: list[str] = []

    def outputs(stack: str) -> dict[str, Any]:
        asked.append(stack)
        return {}

    context.stacks = FakeStacks({})
    context.stacks.outputs = outputs  # type: ignore[method-assign]
    for step in ("one", "one", "two", "", ""):
        context.step = step
        context.outputs("rhoam")

    assert asked == ["rhoam"] * 4
