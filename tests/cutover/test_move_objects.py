"""Moving with Velero: what is waited for, what stops it, and how a later runner goes on."""

from __future__ import annotations

from typing import Any

import pytest

from cutover.actions.move_objects import FACT, MoveObjects
from cutover.conditions.objects_arrived import ObjectsArrived
from cutover.conditions.velero_ready import VeleroReady
from cutover.context import Context, Facts
from cutover.errors import InterruptedRunError, StepError, StepTimeoutError
from stacks.settings import Environment, VeleroMove, VeleroSettings
from tests.cutover.objects import manifest
from tests.cutover.world import World

MOVED = ["Deployment billing-guance-intl/boss", "ConfigMap billing-guance-intl/boss-config"]


@pytest.fixture
def move(environment: Environment) -> VeleroMove:
    assert environment.move is not None
    return environment.move.velero


@pytest.fixture
def action(move: VeleroMove) -> MoveObjects:
    return MoveObjects(move=move, velero=VeleroSettings(), seconds=60)


@pytest.fixture
def context(world: World) -> Context:
    return world.context()


def said(context: Context) -> list[str]:
    """Collects what is said from now on."""
    lines: list[str] = []
    context.say = lines.append
    return lines


def test_everything_selected_arrives_at_rest_and_nothing_else(
    world: World, action: MoveObjects, context: Context, move: VeleroMove
) -> None:
    assert action.observe(context).state == "not done"

    evidence = action.apply(context)

    target = world.target.store
    assert evidence["objects"] == 7
    assert target.named("deployments", "billing-guance-intl") == ["boss"]
    assert target.named("deployments", "guance-basis") == ["corestone"]
    assert target.named("configmaps", "middleware") == []
    assert all(item["spec"]["replicas"] == 0 for item in _deployments(world))
    assert action.observe(context).state == "done"
    assert ObjectsArrived(move).hold(context)["alike"] == 7
    assert world.source.store.named("configmaps", "velero") == []
    assert target.named("configmaps", "velero") == []


def test_a_preview_names_what_would_move(action: MoveObjects, context: Context) -> None:
    assert "move: Deployment billing-guance-intl/boss is not on aws" in action.preview(context)

    action.apply(context)

    assert action.preview(context) == ("no change",)


def test_each_attempt_has_a_name_of_its_own_and_brings_the_target_up_to_date(
    world: World, action: MoveObjects, context: Context
) -> None:
    first = action.apply(context)["name"]
    world.clock.sleep(60)
    world.source.store.put(
        manifest("ConfigMap", "billing-guance-intl", "boss-config", data={"DATABASE_PORT": "3307"})
    )
    seen = action.observe(context)
    second = action.apply(context)["name"]

    assert "data.DATABASE_PORT differs" in seen.detail
    assert first != second
    found = world.target.store.get("configmaps", "billing-guance-intl", "boss-config")
    assert found is not None
    assert found["data"] == {"DATABASE_PORT": "3307"}


def test_progress_is_shown(world: World, action: MoveObjects, context: Context) -> None:
    world.velero.looks_until_end = 2
    lines = said(context)

    action.apply(context)

    assert any("InProgress, 1 of 10 objects" in line for line in lines)


def test_what_the_backup_left_out_is_named_before_anything_is_restored(
    world: World, action: MoveObjects, context: Context
) -> None:
    world.velero.skips.add("boss-config")

    with pytest.raises(StepError, match="left out ConfigMap billing-guance-intl/boss-config") as raised:
        action.apply(context)

    assert "`cutover run`" in str(raised.value)
    assert _deployments(world) == []


def test_what_the_restore_lost_is_named_and_put_right_by_the_next_attempt(
    world: World, action: MoveObjects, context: Context, move: VeleroMove
) -> None:
    world.velero.loses.add("boss-config")
    action.apply(context)

    with pytest.raises(StepError, match="ConfigMap billing-guance-intl/boss-config is not on aws"):
        ObjectsArrived(move).hold(context)
    assert action.observe(context).state == "not done"

    world.velero.loses.clear()
    world.clock.sleep(60)
    action.apply(context)

    assert ObjectsArrived(move).hold(context)["alike"] == 7


def test_errors_of_a_restore_stop_with_what_velero_said(
    world: World, action: MoveObjects, context: Context
) -> None:
    world.velero.refuses["boss-config"] = 'configmaps "boss-config" is forbidden'

    with pytest.raises(StepError, match=r"PartiallyFailed: billing-guance-intl: .*is forbidden") as raised:
        action.apply(context)

    assert "canary" not in str(raised.value)


def test_warnings_are_said_and_kept(world: World, action: MoveObjects, context: Context) -> None:
    world.velero.warnings.append("could not restore, ConfigMap already exists")
    lines = said(context)

    evidence = action.apply(context)

    assert evidence["restore_warnings"] == ["could not restore, ConfigMap already exists"]
    assert any("already exists" in line for line in lines)


def test_what_should_not_have_come_is_named(world: World, action: MoveObjects, context: Context) -> None:
    world.velero.brings.append(manifest("ConfigMap", "middleware", "kafka-settings"))

    with pytest.raises(StepError, match="what should not move: ConfigMap middleware/kafka-settings"):
        action.apply(context)


def test_an_unmapped_storage_class_stops_before_anything_is_backed_up(
    world: World, action: MoveObjects, context: Context
) -> None:
    claim = manifest("PersistentVolumeClaim", "guance-basis", "data", spec={"storageClassName": "csi-disk"})
    world.source.store.put(claim)

    with pytest.raises(StepError, match="asks for the storage class csi-disk, which") as raised:
        action.apply(context)

    assert "move.velero.storage_classes" in str(raised.value)
    assert world.velero.kept == {}


def test_a_backup_that_never_ends_is_said_with_what_was_seen(
    world: World, action: MoveObjects, context: Context
) -> None:
    world.velero.looks_until_end = 10**6

    with pytest.raises(StepTimeoutError, match="InProgress"):
        action.apply(context)


@pytest.mark.parametrize("kind", ["backups", "restores"])
def test_what_an_ended_runner_began_is_waited_for_before_anything_new(
    world: World, action: MoveObjects, kind: str
) -> None:
    facts: dict[str, Any] = {}
    first = world.context()
    first.facts = Facts(facts, lambda _name, _value: None)
    world.velero.looks_until_end = 5
    stopped = _stops_once_running(world, first, kind)

    with pytest.raises(InterruptedRunError):
        action.apply(first)
    assert stopped == [True]

    later = world.context()
    later.facts = Facts(facts, lambda _name, _value: None)
    name = facts[FACT]
    world.clock.sleep(60)
    lines = said(later)
    evidence = action.apply(later)

    assert any(f"{name} was begun before and is still running" in line for line in lines)
    assert (evidence["name"] == name) is (kind == "restores"), "a restore that sufficed is not repeated"
    assert action.observe(later).state == "done"


def _stops_once_running(world: World, context: Context, kind: str) -> list[bool]:
    """The operator's Ctrl-C while a backup or restore runs."""
    asked: list[bool] = []
    store = world.source.store if kind == "backups" else world.target.store

    def stopping() -> bool:
        running = [
            item
            for (plural, _, _), item in store.objects.items()
            if plural == kind and item.get("status", {}).get("phase") == "InProgress"
        ]
        if running and not asked:
            asked.append(True)
            return True
        return False

    context.stopping = stopping
    return asked


def test_velero_is_ready_where_both_sides_look_into_one_bucket(context: Context) -> None:
    evidence = VeleroReady("velero", 30).hold(context)

    assert evidence == {"bucket": "backups", "versions": {"source": "v1.18.3", "target": "v1.18.3"}}


def test_two_buckets_are_refused(world: World, context: Context) -> None:
    world.velero.buckets["target"] = "other"

    with pytest.raises(StepError, match="the target would never find them"):
        VeleroReady("velero", 30).hold(context)


def test_a_velero_that_cannot_select_by_name_is_refused(world: World, context: Context) -> None:
    world.velero.version = "v1.17.0"

    with pytest.raises(StepError, match=r"Velero on huawei is v1\.17\.0; 1\.18\.3 or newer is needed"):
        VeleroReady("velero", 30).hold(context)


def test_a_velero_without_a_server_is_named(world: World, context: Context) -> None:
    world.velero.version = ""

    with pytest.raises(StepTimeoutError, match="Velero's server on huawei"):
        VeleroReady("velero", 5).hold(context)


def _deployments(world: World) -> list[dict[str, Any]]:
    return [item for (plural, _, _), item in world.target.store.objects.items() if plural == "deployments"]
