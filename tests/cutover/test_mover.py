"""What is moved between clusters, what stays, and in which shape it arrives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from cutover.errors import StepError
from cutover.mover import COPIED, Selection, ServerSideApply, portable
from cutover.ports import ObjectKind
from stacks.settings import WorkloadName
from tests.cutover.world import FakeCluster, World

NAMESPACE = "ns"
KINDS = [
    ObjectKind("apps/v1", "Deployment", "deployments"),
    ObjectKind("apps/v1", "ReplicaSet", "replicasets"),
    ObjectKind("apps/v1", "DaemonSet", "daemonsets"),
    ObjectKind("batch/v1", "CronJob", "cronjobs"),
    ObjectKind("batch/v1", "Job", "jobs"),
    ObjectKind("v1", "ConfigMap", "configmaps"),
    ObjectKind("v1", "Pod", "pods"),
    ObjectKind("v1", "Secret", "secrets"),
    ObjectKind("v1", "Service", "services"),
]


class Store(FakeCluster):
    """A cluster that keeps objects."""

    def __init__(self, world: World, objects: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(world, "source")
        self.objects = list(objects)
        self.applied: list[str] = []

    def kinds(self) -> Sequence[ObjectKind]:
        return KINDS

    def list(self, kind: ObjectKind, namespace: str) -> Sequence[dict[str, Any]]:
        return [
            item
            for item in self.objects
            if item["kind"] == kind.kind and item["metadata"]["namespace"] == namespace
        ]

    def get(self, api_version: str, plural: str, namespace: str | None, name: str) -> dict[str, Any] | None:
        if plural == "namespaces":
            return {
                "metadata": {"name": name, "labels": {"team": "boss", "kubernetes.io/metadata.name": name}}
            }
        kind = next(kind.kind for kind in KINDS if kind.plural == plural)
        for item in self.objects:
            if (item["kind"], item["metadata"]["name"]) == (kind, name):
                return item
        return None

    def server_side_apply(self, plural: str, manifest: Mapping[str, Any], manager: str) -> None:
        self.applied.append(f"{manifest['kind']} {manifest['metadata']['name']}")
        self.objects.append(dict(manifest))


def thing(kind: str, name: str, api_version: str = "v1", **rest: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": "1",
        "resourceVersion": "5",
        "managedFields": [],
        **rest.pop("metadata", {}),
    }
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}


def deployment(name: str, **pod: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c"}], **pod}}
    return thing(
        "Deployment", name, "apps/v1", spec={"replicas": 3, "template": template}, status={"replicas": 3}
    )


def move(
    world: World, objects: Sequence[dict[str, Any]], selection: Selection | None = None
) -> tuple[Any, Store]:
    source, target = Store(world, objects), Store(world)
    return ServerSideApply().move(source, target, selection or Selection(NAMESPACE)), target


def test_workloads_arrive_at_0_and_schedules_suspended(world: World) -> None:
    schedule = thing("CronJob", "daily", "batch/v1", spec={"schedule": "0 1 * * *", "suspend": False})
    _, target = move(world, [deployment("boss"), schedule])

    found = {item["metadata"]["name"]: item for item in target.objects}
    assert found["boss"]["spec"]["replicas"] == 0
    assert found["daily"]["spec"]["suspend"] is True


def test_what_belongs_to_the_old_cluster_is_left_behind() -> None:
    service = thing(
        "Service",
        "web",
        metadata={
            "annotations": {"kubernetes.io/elb.id": "x", "kept": "yes", "pulumi.com/patchForce": "true"},
            "labels": {"a": "b"},
        },
        spec={
            "clusterIP": "192.0.2.200",
            "clusterIPs": ["192.0.2.200"],
            "type": "NodePort",
            "healthCheckNodePort": 1,
            "ports": [{"port": 80, "nodePort": 30080}],
        },
        status={"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}},
    )

    found = portable(service)

    assert found["spec"] == {"type": "NodePort", "ports": [{"port": 80}]}
    assert "status" not in found
    metadata = found["metadata"]
    assert metadata["annotations"].pop(COPIED)
    assert metadata == {
        "name": "web",
        "namespace": NAMESPACE,
        "labels": {"a": "b"},
        "annotations": {"kept": "yes"},
    }


def test_a_headless_service_stays_headless() -> None:
    service = thing("Service", "web", spec={"clusterIP": "None", "clusterIPs": ["None"], "ports": []})

    assert portable(service)["spec"]["clusterIP"] == "None"


def test_what_stays_says_why(world: World) -> None:
    owned = {"ownerReferences": [{"controller": True}]}
    own = {"labels": {"app.kubernetes.io/name": "landfall-forwarder"}}
    moved, target = move(
        world,
        [
            deployment("boss"),
            thing("ReplicaSet", "boss-1", "apps/v1", metadata=owned),
            thing("Pod", "boss-1-x", metadata=owned),
            thing("ConfigMap", "made", metadata=owned),
            thing("ConfigMap", "kube-root-ca.crt"),
            thing("ConfigMap", "landfall-forwarder", metadata=own),
            thing("Secret", "token", type="kubernetes.io/service-account-token"),
            thing("Job", "once", "batch/v1"),
            thing("DaemonSet", "everywhere", "apps/v1"),
        ],
    )

    assert target.applied == ["Namespace ns", "Deployment boss"]
    assert moved.left == (
        "DaemonSet ns/everywhere: a DaemonSet cannot be held at 0: move it by hand",
        "Job ns/once: a job that runs once is not run twice",
        "ConfigMap ns/made: made by a controller",
        "ConfigMap ns/kube-root-ca.crt: the source cluster's authority",
        "ConfigMap ns/landfall-forwarder: landfall's own",
        "Secret ns/token: a token of the source's cluster",
    )


def test_workloads_come_after_what_they_use(world: World) -> None:
    _, target = move(world, [deployment("boss"), thing("ConfigMap", "config"), thing("Secret", "login")])

    assert target.applied == ["Namespace ns", "Secret login", "ConfigMap config", "Deployment boss"]


def test_a_selection_takes_a_workload_with_what_it_uses_and_nothing_else(world: World) -> None:
    redis = deployment(
        "redis",
        volumes=[{"name": "v", "configMap": {"name": "redis-config"}}],
        containers=[{"name": "c", "env": [{"valueFrom": {"secretKeyRef": {"name": "redis-login"}}}]}],
    )
    objects = [
        redis,
        deployment("kafka"),
        thing("Service", "redis", spec={"selector": {"app": "redis"}, "ports": []}),
        thing("Service", "kafka", spec={"selector": {"app": "kafka"}, "ports": []}),
        thing("ConfigMap", "redis-config"),
        thing("ConfigMap", "kafka-config"),
        thing("Secret", "redis-login"),
    ]
    selection = Selection(NAMESPACE, (WorkloadName(namespace=NAMESPACE, name="redis"),))

    _, target = move(world, objects, selection)

    assert sorted(target.applied) == [
        "ConfigMap redis-config",
        "Deployment redis",
        "Namespace ns",
        "Secret redis-login",
        "Service redis",
    ]


def test_what_has_not_arrived_or_has_changed_since_is_missing(world: World) -> None:
    source = Store(world, [deployment("boss"), thing("ConfigMap", "config", data={"a": "1"})])
    target = Store(world)
    mover = ServerSideApply()
    assert mover.missing(source, target, Selection(NAMESPACE)) == [
        "ConfigMap ns/config",
        "Deployment ns/boss",
    ]

    mover.move(source, target, Selection(NAMESPACE))
    assert mover.missing(source, target, Selection(NAMESPACE)) == []

    source.objects[1]["data"] = {"a": "2"}
    assert mover.missing(source, target, Selection(NAMESPACE)) == ["ConfigMap ns/config"]


def test_scaling_the_source_does_not_count_as_a_change(world: World) -> None:
    source, target = Store(world, [deployment("boss")]), Store(world)
    ServerSideApply().move(source, target, Selection(NAMESPACE))

    source.objects[0]["spec"]["replicas"] = 7

    assert ServerSideApply().missing(source, target, Selection(NAMESPACE)) == []


def test_a_namespace_without_a_workload_is_an_error(world: World) -> None:
    with pytest.raises(StepError, match="namespace ns on huawei holds no workload to move"):
        move(world, [thing("ConfigMap", "config")])
