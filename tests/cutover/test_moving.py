"""What moves, how it arrives, and how both sides are compared: decisions, without a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from cutover.errors import StepError
from cutover.moving import velero
from cutover.moving.arrival import arrival, merge_patch
from cutover.moving.comparison import compare
from cutover.moving.selection import Found, select
from cutover.ports import ObjectKind
from stacks.settings import VeleroMove
from tests.cutover.objects import KINDS, Store, manifest, workload

MOVE = VeleroMove.model_validate(
    {
        "namespaces": [{"name": "ns"}],
        "storage_classes": {"csi-disk": "gp3"},
        "images": {"registry.example": "registry.aws.example"},
        "drop_annotations": ["kubernetes.io/elb.*"],
        "pull_secrets": {"default-secret": None, "team-secret": "ecr"},
    }
)
ONLY = VeleroMove.model_validate({"namespaces": [{"name": "ns", "only": ["redis-basis"]}]})
_BY_KIND = {kind.kind: kind for kind in KINDS}


class Cluster(Store):
    """As much of a cluster as a selection looks at."""

    context = "huawei"

    def kinds(self) -> Any:
        return KINDS

    def list(self, kind: ObjectKind, namespace: str | None) -> Any:
        return self.of_kind(kind, namespace)


def cluster(*manifests: dict[str, Any]) -> Any:
    found = Cluster()
    found.put(*manifests)
    return found


def found(item: dict[str, Any]) -> Found:
    return Found(_BY_KIND[item["kind"]], item)


def moving(source: Any, move: VeleroMove) -> list[str]:
    return sorted(str(item) for item in select(source, move).moving)


def arrived(item: dict[str, Any], move: VeleroMove = MOVE) -> dict[str, Any]:
    return arrival(item, move).manifest


# what moves


def test_a_whole_namespace_moves_but_for_what_its_cluster_makes() -> None:
    source = cluster(
        workload("ns", "boss"),
        manifest("ReplicaSet", "ns", "boss-1", ownerReferences=[{"controller": True, "kind": "Deployment"}]),
        manifest("Pod", "ns", "boss-1-a"),
        manifest("ConfigMap", "ns", "boss-config"),
        manifest("ConfigMap", "ns", "kube-root-ca.crt"),
        manifest("Secret", "ns", "token", type="kubernetes.io/service-account-token"),
        manifest("Secret", "ns", "default-secret"),
        manifest("Deployment", "ns", "f", labels={"app.kubernetes.io/name": "landfall-forwarder"}),
        manifest("Endpoints", "ns", "boss", labels={"endpoints.kubernetes.io/managed-by": "controller"}),
        manifest("ConfigMap", "elsewhere", "other"),
    )

    assert moving(source, MOVE) == ["ConfigMap ns/boss-config", "Deployment ns/boss"]
    assert select(source, MOVE).left == ()


def test_what_stays_although_somebody_wrote_it_is_named() -> None:
    source = cluster(
        workload("ns", "boss"),
        manifest("DaemonSet", "ns", "agent"),
        manifest("Job", "ns", "once"),
        manifest("Job", "ns", "hourly-1", ownerReferences=[{"controller": True, "kind": "CronJob"}]),
        manifest("Endpoints", "ns", "rds"),
    )

    left = select(source, MOVE).left

    assert [text.partition(":")[0] for text in left] == [
        "Endpoints ns/rds",
        "DaemonSet ns/agent",
        "Job ns/once",
    ]


def test_of_some_workloads_only_what_belongs_to_them_moves() -> None:
    pod: dict[str, Any] = {
        "serviceAccountName": "redis",
        "volumes": [
            {"name": "a", "configMap": {"name": "redis-conf"}},
            {"name": "b", "projected": {"sources": [{"secret": {"name": "redis-tls"}}]}},
            {"name": "c", "persistentVolumeClaim": {"claimName": "redis-data"}},
        ],
    }
    source = cluster(
        workload("ns", "redis-basis", **pod),
        workload("ns", "redis-cache"),
        manifest("Service", "ns", "redis-basis", spec={"selector": {"app": "redis-basis"}}),
        manifest("Service", "ns", "redis-cache", spec={"selector": {"app": "redis-cache"}}),
        manifest("Service", "ns", "everything", spec={}),
        *(manifest("ConfigMap", "ns", name) for name in ("redis-conf", "kafka-settings")),
        *(manifest("Secret", "ns", name) for name in ("redis-tls", "mq-password")),
        manifest("PersistentVolumeClaim", "ns", "redis-data", spec={}),
        manifest("ServiceAccount", "ns", "redis"),
        manifest("Role", "ns", "reader", rules=[]),
        manifest(
            "RoleBinding",
            "ns",
            "redis-reads",
            roleRef={"kind": "Role", "name": "reader"},
            subjects=[{"kind": "ServiceAccount", "name": "redis"}],
        ),
    )

    assert moving(source, ONLY) == [
        "ConfigMap ns/redis-conf",
        "Deployment ns/redis-basis",
        "PersistentVolumeClaim ns/redis-data",
        "Role ns/reader",
        "RoleBinding ns/redis-reads",
        "Secret ns/redis-tls",
        "Service ns/redis-basis",
        "ServiceAccount ns/redis",
    ]


@pytest.mark.parametrize(
    ("objects", "move", "text"),
    [
        ([manifest("ConfigMap", "ns", "alone")], MOVE, "namespace ns on huawei holds no workload"),
        ([workload("ns", "boss")], ONLY, "namespace ns on huawei has no workload redis-basis"),
    ],
)
def test_a_selection_that_finds_nothing_says_so(objects: Any, move: VeleroMove, text: str) -> None:
    with pytest.raises(StepError, match=text):
        select(cluster(*objects), move)


# how it arrives


def test_a_workload_arrives_at_rest_with_the_targets_images_and_secrets() -> None:
    secrets = [{"name": "default-secret"}, {"name": "team-secret"}, {"name": "own"}]
    item = workload(
        "ns", "boss", imagePullSecrets=secrets, initContainers=[{"name": "i", "image": "registry.example/i"}]
    )
    item["metadata"] |= {"uid": "1", "annotations": {"kubernetes.io/elb.id": "7", "note": "kept"}}
    item["status"] = {"replicas": 2}

    result = arrival(item, MOVE)

    pod = result.manifest["spec"]["template"]["spec"]
    assert result.manifest["spec"]["replicas"] == 0
    assert pod["containers"][0]["image"] == "registry.aws.example/boss:1.0"
    assert pod["initContainers"][0]["image"] == "registry.aws.example/i"
    assert pod["imagePullSecrets"] == [{"name": "ecr"}, {"name": "own"}]
    assert result.manifest["metadata"]["annotations"] == {"note": "kept"}
    assert "uid" not in result.manifest["metadata"]
    assert "status" not in result.manifest
    assert len(result.why) == 4
    assert item["spec"]["replicas"] == 2, "the source's object is left as it is"


def test_a_schedule_arrives_suspended() -> None:
    pod = {"containers": [{"name": "a", "image": "registry.example/a"}]}
    job = {"spec": {"template": {"spec": pod}}}
    result = arrived(manifest("CronJob", "ns", "settle", spec={"suspend": False, "jobTemplate": job}))

    assert result["spec"]["suspend"] is True
    found_pod = result["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert found_pod["containers"][0]["image"] == "registry.aws.example/a"


def test_a_service_keeps_nothing_of_the_sources_network() -> None:
    spec = {
        "type": "LoadBalancer",
        "clusterIP": "10.0.0.1",
        "clusterIPs": ["10.0.0.1"],
        "ipFamilies": ["IPv4"],
        "loadBalancerIP": "203.0.113.10",
        "externalIPs": ["203.0.113.11"],
        "healthCheckNodePort": 30001,
        "ports": [{"port": 80, "nodePort": 30080}],
        "selector": {"app": "boss"},
    }
    result = arrived(manifest("Service", "ns", "webportal", spec=spec))

    assert result["spec"] == {"type": "LoadBalancer", "ports": [{"port": 80}], "selector": {"app": "boss"}}


def test_a_headless_service_stays_headless() -> None:
    result = arrived(manifest("Service", "ns", "peers", spec={"clusterIP": "None", "clusterIPs": ["None"]}))

    assert result["spec"] == {"clusterIP": "None", "clusterIPs": ["None"]}


def test_a_claim_arrives_empty_and_of_the_targets_class() -> None:
    claim = {"storageClassName": "csi-disk", "volumeName": "pv-1", "accessModes": ["ReadWriteOnce"]}
    result = arrived(manifest("PersistentVolumeClaim", "ns", "data", spec=claim))

    assert result["spec"] == {"storageClassName": "gp3", "accessModes": ["ReadWriteOnce"]}


def test_what_velero_is_told_makes_an_object_into_how_it_should_arrive() -> None:
    before = {"a": 1, "gone": {"x": 1}, "inner": {"same": 1, "other": 2}, "list": [1, 2]}
    after = {"a": 2, "inner": {"same": 1, "other": 3}, "list": [1], "new": {"y": None}}

    assert merge_patch(before, after) == {
        "a": 2,
        "gone": None,
        "inner": {"other": 3},
        "list": [1],
        "new": {"y": None},
    }
    assert merge_patch(before, before) == {}


def test_what_velero_is_told_holds_no_contents_of_secrets() -> None:
    secret = manifest(
        "Secret", "ns", "login", data={"password": "Y2FuYXJ5"}, annotations={"pulumi.com/x": "y"}
    )

    told = velero.modifiers("run", "velero", [found(workload("ns", "boss")), found(secret)], MOVE)

    assert "Y2FuYXJ5" not in told["data"]["rules.yaml"]
    assert '"^login$"' in told["data"]["rules.yaml"]


def test_rules_that_no_configmap_holds_are_refused() -> None:
    large = workload("ns", "boss", initContainers=[{"name": "x" * 1_000_000, "image": "registry.example/a"}])

    with pytest.raises(StepError, match="more than a ConfigMap holds"):
        velero.modifiers("run", "velero", [found(large)], MOVE)


@pytest.mark.parametrize(
    ("version", "enough"),
    [("v1.18.3", True), ("v1.18.2", False), ("v1.9.7", False), ("v2.0.0", True), ("main", True)],
)
def test_an_older_velero_is_refused(version: str, enough: bool) -> None:
    assert velero.is_new_enough(version) is enough


# how both sides are compared


def compared(wanted: dict[str, Any], *there: dict[str, Any]) -> tuple[str, ...]:
    return compare(
        [found(wanted)], [found(item) for item in there], MOVE, target="aws", restores="landfall-prod-"
    ).findings


def brought(item: dict[str, Any], restore: str = "landfall-prod-1") -> dict[str, Any]:
    labels = {**item["metadata"].get("labels", {}), "velero.io/restore-name": restore}
    return {**item, "metadata": {**item["metadata"], "labels": labels}}


def test_what_arrived_as_it_should_is_alike() -> None:
    item = workload("ns", "boss")
    there = brought(arrived(item))
    there["status"] = {"replicas": 0}
    there["metadata"]["uid"] = "2"
    there["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "1"}
    there["spec"]["progressDeadlineSeconds"] = 600

    assert compared(item, there) == ()


def test_what_is_missing_is_named() -> None:
    assert compared(manifest("ConfigMap", "ns", "boss-config")) == ("ConfigMap ns/boss-config is not on aws",)


def test_what_is_not_at_rest_is_named_with_its_values() -> None:
    item = workload("ns", "boss")

    findings = compared(item, brought(item))

    assert "Deployment ns/boss: spec.replicas differs: 2, expected 0" in findings
    assert any("containers[0].image differs" in text and "registry.aws.example" in text for text in findings)


def test_contents_that_differ_are_named_without_their_values() -> None:
    one = manifest("Secret", "ns", "login", data={"password": "b25l", "user": "YQ=="})
    other = manifest("Secret", "ns", "login", data={"password": "dHdv", "more": "eA=="})

    findings = compared(one, other)

    assert findings == (
        "Secret ns/login: data.password differs",
        "Secret ns/login: data.user is absent",
        "Secret ns/login: data.more is on the target alone",
    )


@pytest.mark.parametrize(
    ("item", "other"),
    [
        ({"spec": {"selector": {"app": "boss"}}}, {"spec": {"selector": {"app": "boss", "v": "2"}}}),
        ({"spec": {}}, {"spec": {"selector": {"app": "boss"}}}),
        ({"metadata": {"labels": {}}}, {"metadata": {"labels": {"a": "b"}}}),
        ({"spec": {"ports": [{"port": 80}]}}, {"spec": {"ports": [{"port": 80}, {"port": 81}]}}),
    ],
)
def test_where_the_target_may_add_nothing_it_is_named(item: dict[str, Any], other: dict[str, Any]) -> None:
    def service(part: dict[str, Any]) -> dict[str, Any]:
        base = manifest("Service", "ns", "webportal", spec={})
        return {**base, **part, "metadata": {**base["metadata"], **part.get("metadata", {})}}

    assert len(compared(service(item), service(other))) == 1


def test_what_a_restore_of_ours_brought_besides_is_named_and_nothing_else_is() -> None:
    item = manifest("ConfigMap", "ns", "boss-config")
    other = manifest("ConfigMap", "ns", "kafka-settings")

    assert compared(item, item, brought(other)) == (
        "ConfigMap ns/kafka-settings is on aws, brought by the restore landfall-prod-1, and should not be",
    )
    assert compared(item, item, brought(other, "nightly-7"), manifest("Secret", "ns", "theirs")) == ()


def test_what_needs_no_namespace_may_come_along_and_what_should_not_have_is_told_apart() -> None:
    listed = {
        "v1/ConfigMap": ["ns/boss-config(created)", "ns/kafka(created)", "ns/there(skipped)"],
        "v1/Namespace": ["ns(created)"],
        "v1/PersistentVolume": ["pv-1(created)"],
    }

    needed, strange = velero.came_along(listed, [found(manifest("ConfigMap", "ns", "boss-config"))])

    assert needed == ["Namespace ns"]
    assert strange == ["ConfigMap ns/kafka", "PersistentVolume pv-1"]


def test_messages_are_collected_from_everywhere() -> None:
    results = {
        "errors": {"velero": ["a"], "cluster": ["b\n  c"], "namespaces": {"ns": ["d"]}},
        "warnings": {"velero": ["Cannot resolve kind via discovery, using as-is: x"]},
    }

    assert velero.messages(results, "errors") == ["a", "b c", "ns: d"]
    assert velero.messages(results, "warnings") == []
    assert velero.messages({}, "errors") == []


def test_a_file_that_is_not_veleros_is_refused() -> None:
    with pytest.raises(StepError, match="the list is not what Velero writes"):
        velero.contents(b"<html>", "the list")
