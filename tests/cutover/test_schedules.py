"""Schedules: remembered, frozen on one side, and handed over once, there and back."""

from __future__ import annotations

from typing import Any

import pytest

from cutover.actions.schedules import (
    SCHEDULES,
    FreezeAutoscalers,
    HandOverSchedules,
    RememberSchedules,
)
from cutover.conditions.schedules import SchedulesSuspended
from cutover.context import Context
from cutover.errors import StepError, StepTimeoutError
from tests.cutover.objects import cron_job, manifest
from tests.cutover.world import RAN_LAST, World

NAMESPACE = "billing-guance-intl"
HAND_OVER = HandOverSchedules(seconds=30)


@pytest.fixture
def context(world: World) -> Context:
    """Where the CronJobs were remembered, and have arrived on the target."""
    found = world.context()
    RememberSchedules().apply(found)
    for name in ("boss-settlement", "boss-archive"):
        item = cron_job(NAMESPACE, name)
        item["spec"]["suspend"] = True
        world.target.store.put(item)
    world.events.clear()
    return found


def state(world: World, name: str) -> tuple[Any, Any]:
    stores = (world.source.store, world.target.store)
    source, target = (
        (store.get("cronjobs", NAMESPACE, name) or {})["spec"].get("suspend") for store in stores
    )
    return source, target


def test_all_cron_jobs_of_what_moves_are_found(world: World) -> None:
    world.source.store.put(
        cron_job("ops-tools", "elsewhere"),
        cron_job("middleware", "of-somebody-else"),
        cron_job("guance-basis", "nightly", schedule="0 3 * * *"),
    )
    context = world.context()

    RememberSchedules().apply(context)

    assert context.facts.recall(SCHEDULES)["cron_jobs"] == {
        f"{NAMESPACE}/boss-settlement": {"schedule": "* * * * *", "suspend": False},
        f"{NAMESPACE}/boss-archive": {"schedule": "* * * * *", "suspend": False},
        "guance-basis/nightly": {"schedule": "0 3 * * *", "suspend": False},
    }


def test_one_side_rests_before_the_other_begins(world: World, context: Context) -> None:
    assert HAND_OVER.observe(context).state == "not done"

    HAND_OVER.apply(context)

    assert world.events == [
        'source boss-settlement {"spec": {"suspend": true}}',
        'source boss-archive {"spec": {"suspend": true}}',
        'target boss-settlement {"spec": {"suspend": false}}',
        f'target boss-archive {{"status": {{"lastScheduleTime": "{RAN_LAST}"}}}}',
        'target boss-archive {"spec": {"suspend": false}}',
    ]
    assert state(world, "boss-settlement") == (True, False)
    assert HAND_OVER.observe(context).state == "done"


def test_no_order_of_events_ever_has_both_sides_at_work(world: World, context: Context) -> None:
    HAND_OVER.apply(context)
    HAND_OVER.undo(context)

    working = {"source": {"boss-settlement", "boss-archive"}, "target": set[str]()}
    for event in world.events:
        side, name, *change = event.split(" ", 2)
        if "suspend" in change[0]:
            (working[side].discard if "true" in change[0] else working[side].add)(name)
        assert not working["source"] & working["target"], event
    assert working == {"source": {"boss-settlement", "boss-archive"}, "target": set()}


def test_the_time_of_the_last_run_goes_along_both_ways(world: World, context: Context) -> None:
    HAND_OVER.apply(context)
    assert _ran_last(world, "target") == RAN_LAST

    later = "2026-01-01T02:00:00Z"
    world.target.store.patch("cronjobs", NAMESPACE, "boss-archive", {"status": {"lastScheduleTime": later}})
    HAND_OVER.apply(context)
    assert _ran_last(world, "target") == later, "a hand-over that is repeated does not turn its time back"

    HAND_OVER.undo(context)
    assert _ran_last(world, "source") == later


def _ran_last(world: World, side: str) -> Any:
    store = world.source.store if side == "source" else world.target.store
    return (store.get("cronjobs", NAMESPACE, "boss-archive") or {})["status"]["lastScheduleTime"]


def test_a_job_that_runs_is_waited_for_by_name_and_for_so_long(world: World, context: Context) -> None:
    said: list[str] = []
    context.say = said.append
    running = manifest("Job", NAMESPACE, "boss-settlement-1", spec={}, status={"active": 1})
    world.source.store.put(running)

    with pytest.raises(StepTimeoutError, match="billing-guance-intl/boss-settlement-1 still runs"):
        HAND_OVER.apply(context)

    assert state(world, "boss-settlement") == (True, True), "nothing begins while something runs"
    assert any("boss-settlement-1 still runs" in line for line in said)
    ended = {"conditions": [{"type": "Complete", "status": "True"}]}
    world.source.store.put({**running, "status": ended})
    HAND_OVER.apply(context)
    assert state(world, "boss-settlement") == (True, False)


def test_what_was_suspended_before_stays_so(world: World) -> None:
    world.source.store.patch("cronjobs", NAMESPACE, "boss-archive", {"spec": {"suspend": True}})
    context = world.context()
    RememberSchedules().apply(context)
    for name in ("boss-settlement", "boss-archive"):
        world.target.store.put(
            cron_job(NAMESPACE, name) | {"spec": {"suspend": True, "schedule": "* * * * *"}}
        )

    HAND_OVER.apply(context)
    assert state(world, "boss-archive") == (True, True)
    HAND_OVER.undo(context)
    assert state(world, "boss-archive") == (True, True)
    assert state(world, "boss-settlement") == (False, True)


def test_a_cron_job_that_came_since_or_did_not_arrive_is_named(world: World, context: Context) -> None:
    world.source.store.put(cron_job(NAMESPACE, "new"))
    world.target.store.objects.pop(("cronjobs", NAMESPACE, "boss-archive"))

    with pytest.raises(StepError) as error:
        HAND_OVER.apply(context)

    assert f"{NAMESPACE}/new came to the source since" in str(error.value)
    assert f"{NAMESPACE}/boss-archive is not on the target" in str(error.value)
    assert state(world, "boss-settlement") == (None, True), "nothing was suspended"


def test_preview_names_each(world: World, context: Context) -> None:
    assert HAND_OVER.preview(context) == (
        f"CronJob {NAMESPACE}/boss-settlement on the source: spec.suspend: False -> True",
        f"CronJob {NAMESPACE}/boss-settlement on the target: spec.suspend: True -> False",
        f"CronJob {NAMESPACE}/boss-archive on the source: spec.suspend: False -> True",
        f"CronJob {NAMESPACE}/boss-archive on the target: spec.suspend: True -> False",
    )


def test_a_schedule_that_is_not_suspended_is_named(world: World, context: Context) -> None:
    assert "all CronJobs" in SchedulesSuspended(side="target").hold(context)["seen"]

    with pytest.raises(StepTimeoutError, match="not suspended: billing-guance-intl/boss-settlement"):
        SchedulesSuspended(side="source").hold(context)


@pytest.mark.parametrize(
    "behavior", [None, {"scaleUp": {"selectPolicy": "Max"}, "scaleDown": {"selectPolicy": "Min"}}]
)
def test_autoscalers_rest_and_are_as_before_afterwards(world: World, behavior: Any) -> None:
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "boss"}} | (
        {"behavior": behavior} if behavior else {}
    )
    world.source.store.put(
        manifest("HorizontalPodAutoscaler", NAMESPACE, "boss", spec=spec),
        manifest("HorizontalPodAutoscaler", "ops-tools", "other", spec=spec),
    )
    before = world.source.store.get("horizontalpodautoscalers", NAMESPACE, "boss")
    context = world.context()
    RememberSchedules().apply(context)
    freeze = FreezeAutoscalers()
    assert freeze.observe(context).state == "not done"

    freeze.apply(context)

    assert freeze.observe(context).state == "done"
    RememberSchedules().apply(context)  # a second attempt must not take the frozen state for the original
    freeze.undo(context)
    assert world.source.store.get("horizontalpodautoscalers", NAMESPACE, "boss") == before
    assert not any("ops-tools" in event or "other" in event for event in world.events)
