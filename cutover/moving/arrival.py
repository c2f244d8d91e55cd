"""How an object arrives on the target: as on the source, but for the differences that are listed here."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cutover.moving.selection import Item
from stacks.settings import VeleroMove

Manifest = dict[str, Any]
_KEPT_METADATA = ("name", "namespace", "labels", "annotations")
_SOURCE_ANNOTATIONS = (
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
    "pulumi.com/",
    "pv.kubernetes.io/",
    "volume.kubernetes.io/",
    "volume.beta.kubernetes.io/",
)
"""Annotations that a cluster or a tool keeps for itself, by how they begin."""
_WORKLOADS = ("Deployment", "StatefulSet")


@dataclass(frozen=True)
class Difference:
    """One way in which an object arrives otherwise than it stands on the source."""

    why: str
    make: Callable[[Manifest, VeleroMove], None]
    """Changes a manifest in place."""
    kinds: tuple[str, ...] = ()
    """For these kinds; all where there are none."""


@dataclass(frozen=True)
class Arrival:
    """How an object should stand on the target."""

    manifest: Manifest
    why: tuple[str, ...]
    """Why it differs from the source, where it does; what every server fills in itself is left out."""


def arrival(item: Item, move: VeleroMove) -> Arrival:
    """An object without what belongs to its cluster, held so that nothing of it runs."""
    manifest = copy.deepcopy(dict(item))
    manifest.pop("status", None)
    metadata = manifest["metadata"]
    manifest["metadata"] = {key: metadata[key] for key in _KEPT_METADATA if metadata.get(key)}
    why = []
    for difference in EXPECTED:
        if difference.kinds and manifest["kind"] not in difference.kinds:
            continue
        before = copy.deepcopy(manifest)
        difference.make(manifest, move)
        if manifest != before:
            why.append(difference.why)
    return Arrival(manifest, tuple(why))


def merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7396) that makes the one into the other; empty where they are alike."""
    patch: dict[str, Any] = {}
    for key in {**before, **after}:
        if key not in after:
            patch[key] = None
        elif key not in before:
            patch[key] = after[key]
        elif isinstance(before[key], Mapping) and isinstance(after[key], Mapping):
            if inner := merge_patch(before[key], after[key]):
                patch[key] = inner
        elif before[key] != after[key]:
            patch[key] = after[key]
    return patch


def storage_classes(item: Item) -> Iterator[str]:
    """The storage classes that an object asks for by name."""
    for claim in _claims(dict(item)):
        if name := claim["spec"].get("storageClassName"):
            yield name


def _annotations(manifest: Manifest, move: VeleroMove) -> None:
    metadata = manifest["metadata"]
    kept = {
        name: value
        for name, value in metadata.pop("annotations", {}).items()
        if not name.startswith(_SOURCE_ANNOTATIONS) and not move.drops(name)
    }
    if kept:
        metadata["annotations"] = kept


def _hold_replicas(manifest: Manifest, _: VeleroMove) -> None:
    manifest["spec"]["replicas"] = 0


def _hold_schedule(manifest: Manifest, _: VeleroMove) -> None:
    manifest["spec"]["suspend"] = True


def _images(manifest: Manifest, move: VeleroMove) -> None:
    if pod := _pod(manifest):
        for container in [*pod.get("containers", []), *pod.get("initContainers", [])]:
            container["image"] = move.image(container["image"])


def _pull_secrets(manifest: Manifest, move: VeleroMove) -> None:
    holder = manifest if manifest["kind"] == "ServiceAccount" else _pod(manifest)
    if not holder or "imagePullSecrets" not in holder:
        return
    names = [secret["name"] for secret in holder.pop("imagePullSecrets") or ()]
    if kept := [new for name in names if (new := move.pull_secrets.get(name, name)) is not None]:
        holder["imagePullSecrets"] = [{"name": name} for name in kept]


def _storage_classes(manifest: Manifest, move: VeleroMove) -> None:
    for claim in _claims(manifest):
        name = claim["spec"].get("storageClassName")
        if name in move.storage_classes:
            claim["spec"]["storageClassName"] = move.storage_classes[name]


def _volume(manifest: Manifest, _: VeleroMove) -> None:
    for key in ("volumeName", "dataSource", "dataSourceRef"):
        manifest["spec"].pop(key, None)


def _cluster_addresses(manifest: Manifest, _: VeleroMove) -> None:
    spec = manifest["spec"]
    if spec.get("clusterIP") != "None":
        for key in ("clusterIP", "clusterIPs"):
            spec.pop(key, None)
    for key in ("ipFamilies", "ipFamilyPolicy"):
        spec.pop(key, None)


def _load_balancer(manifest: Manifest, _: VeleroMove) -> None:
    for key in ("loadBalancerIP", "loadBalancerClass", "externalIPs"):
        manifest["spec"].pop(key, None)


def _node_ports(manifest: Manifest, _: VeleroMove) -> None:
    manifest["spec"].pop("healthCheckNodePort", None)
    for port in manifest["spec"].get("ports", []):
        port.pop("nodePort", None)


def _tokens(manifest: Manifest, _: VeleroMove) -> None:
    manifest.pop("secrets", None)


EXPECTED = (
    Difference("annotations of the source's cloud, cluster and tools mean nothing there", _annotations),
    Difference("at 0 replicas: nothing runs before it is connected", _hold_replicas, _WORKLOADS),
    Difference("suspended: a schedule runs on one side alone", _hold_schedule, ("CronJob",)),
    Difference("images come from the target's registry, as the settings map them", _images),
    Difference("the target pulls images with secrets of its own, as the settings map them", _pull_secrets),
    Difference(
        "storage classes are the target's, as the settings map them",
        _storage_classes,
        ("PersistentVolumeClaim", "StatefulSet"),
    ),
    Difference(
        "the volume stays in the source's cloud: an empty one is made", _volume, ("PersistentVolumeClaim",)
    ),
    Difference("the target gives cluster addresses of its own", _cluster_addresses, ("Service",)),
    Difference("the address of the source's load balancer is not the target's", _load_balancer, ("Service",)),
    Difference("the target gives node ports of its own", _node_ports, ("Service",)),
    Difference("tokens belong to one cluster", _tokens, ("ServiceAccount",)),
)  # fmt: skip
"""Every difference that is expected between an object on the source and on the target, and why."""


def _pod(manifest: Manifest) -> dict[str, Any] | None:
    """The specification of the pods that an object makes."""
    found: dict[str, Any] | None = None
    if manifest["kind"] in _WORKLOADS:
        found = manifest["spec"]["template"]["spec"]
    elif manifest["kind"] == "CronJob":
        found = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    elif manifest["kind"] == "PodTemplate":
        found = manifest["template"]["spec"]
    return found


def _claims(manifest: Manifest) -> list[dict[str, Any]]:
    """The claims for volumes that an object is or makes."""
    if manifest["kind"] == "PersistentVolumeClaim":
        return [manifest]
    if manifest["kind"] == "StatefulSet":
        return list(manifest["spec"].get("volumeClaimTemplates") or ())
    return []
