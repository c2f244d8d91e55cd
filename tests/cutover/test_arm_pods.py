"""Copies of live Deployments that run against the target's database."""

from __future__ import annotations

from typing import Any

import pytest

from cutover.actions.arm_pods import ArmPods, DisarmPods, armed_deployment
from cutover.errors import StepError
from stacks.settings import Environment
from tests.cutover.objects import manifest, workload
from tests.cutover.world import BOSS, World

CONTAINERS = [
    {
        "name": "boss",
        "image": "registry.example/boss:1.0",
        "envFrom": [{"configMapRef": {"name": "boss-config"}}, {"secretRef": {"name": "boss-config"}}],
        "env": [
            {
                "name": "HOST",
                "valueFrom": {"configMapKeyRef": {"name": "boss-config", "key": "DATABASE_HOST"}},
            },
            {"name": "OTHER", "valueFrom": {"configMapKeyRef": {"name": "other", "key": "A"}}},
        ],
    }
]
VOLUMES = [{"name": "a", "configMap": {"name": "boss-config"}}, {"name": "b", "secret": {"secretName": "s"}}]


@pytest.fixture
def live() -> dict[str, Any]:
    found = workload("billing-guance-intl", "boss", containers=CONTAINERS, volumes=VOLUMES)
    found["metadata"]["generation"] = 7
    return found


@pytest.fixture
def world(world: World, live: dict[str, Any]) -> World:
    config = {"DATABASE_HOST": "203.0.113.30", "DATABASE_PORT": "3306"}
    world.target.store.put(live, manifest("ConfigMap", "billing-guance-intl", "boss-config", data=config))
    return world


def test_references_lead_to_the_copies_and_all_else_stays(
    live: dict[str, Any], environment: Environment
) -> None:
    made = armed_deployment(live, environment, environment.workload(BOSS), ("boss-config",))

    pod = made["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["envFrom"] == [
        {"configMapRef": {"name": "boss-config-landfall-armed"}},
        {"secretRef": {"name": "boss-config"}},
    ]
    named = [item["valueFrom"]["configMapKeyRef"]["name"] for item in container["env"]]
    assert named == ["boss-config-landfall-armed", "other"]
    assert pod["volumes"][0]["configMap"]["name"] == "boss-config-landfall-armed"
    assert pod["volumes"][1] == VOLUMES[1]
    assert container["image"] == "registry.example/boss:1.0"
    assert made["spec"]["replicas"] == 2


def test_no_service_of_before_selects_the_copies(live: dict[str, Any], environment: Environment) -> None:
    made = armed_deployment(live, environment, environment.workload(BOSS), ())

    labels = made["spec"]["template"]["metadata"]["labels"]
    assert labels == {
        "app.kubernetes.io/name": "boss-landfall-armed",
        "landfall.dev/armed": "webportal",
    }
    assert made["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_the_copy_of_the_config_map_names_the_target_database(world: World) -> None:
    ArmPods(workloads=(BOSS,)).apply(world.context())

    copy = world.target.store.get("configmaps", "billing-guance-intl", "boss-config-landfall-armed")
    assert copy is not None
    assert copy["data"] == {"DATABASE_HOST": "prod-database.rds.example", "DATABASE_PORT": "3306"}
    untouched = world.target.store.get("configmaps", "billing-guance-intl", "boss-config")
    assert untouched is not None
    assert untouched["data"]["DATABASE_HOST"] == "203.0.113.30"


def test_disarming_leaves_nothing_and_may_be_repeated(world: World) -> None:
    before = set(world.target.store.objects)
    ArmPods(workloads=(BOSS,)).apply(world.context())
    for _ in range(2):
        DisarmPods(workloads=(BOSS,)).apply(world.context())

    assert set(world.target.store.objects) == before


def test_a_workload_that_is_not_there_is_named(world: World) -> None:
    del world.target.store.objects["deployments", "billing-guance-intl", "boss"]

    with pytest.raises(StepError, match="has no Deployment billing-guance-intl/boss"):
        ArmPods(workloads=(BOSS,)).apply(world.context())
