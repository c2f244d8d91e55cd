"""Moving objects between clusters by server-side apply; Velero can stand behind the same interface."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cutover.errors import StepError
from cutover.ports import Cluster, ObjectKind
from stacks.settings import WorkloadName

MANAGER = "landfall-move"
"""The field manager of what is copied."""
COPIED = "landfall.dev/copied"
"""The annotation that holds the hash of what an object was copied from."""
_NAME_LABEL, _OWN = "app.kubernetes.io/name", "landfall-"
"""How landfall's own objects, such as the forwarder for stragglers, are known."""

_NEVER = {
    "Binding", "ControllerRevision", "Endpoints", "EndpointSlice", "Event", "Lease",
    "LocalSubjectAccessReview", "Pod", "PodMetrics", "PodTemplate", "ReplicaSet", "ReplicationController",
    "ResourceClaim", "VolumeAttachment",
}  # fmt: skip
"""Kinds that a cluster makes by itself, or that are bound to one cluster."""
_NOT_HELD = {
    "Job": "a job that runs once is not run twice",
    "DaemonSet": "a DaemonSet cannot be held at 0: move it by hand",
}
_FIRST = ("ServiceAccount", "Secret", "ConfigMap", "PersistentVolumeClaim", "Role", "RoleBinding")
_LAST = ("Deployment", "StatefulSet", "DaemonSet", "CronJob", "HorizontalPodAutoscaler", "Ingress")
_SOURCE_ONLY_ANNOTATIONS = (
    "kubernetes.io/elb.",
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
    "pulumi.com/",
    "pv.kubernetes.io/",
    "volume.kubernetes.io/",
    "volume.beta.kubernetes.io/",
)


@dataclass(frozen=True)
class Selection:
    """What moves from one namespace: everything, or some workloads with what they use."""

    namespace: str
    only: tuple[WorkloadName, ...] | None = None


@dataclass(frozen=True)
class Moved:
    """What a move did."""

    copied: tuple[str, ...]
    left: tuple[str, ...]
    """What stayed behind, each with the reason."""


class Mover(Protocol):
    """Brings objects from the source's cluster to the target's, where nothing of them runs yet."""

    def move(self, source: Cluster, target: Cluster, selection: Selection) -> Moved:
        """Copies; may be repeated. Raises StepError."""

    def missing(self, source: Cluster, target: Cluster, selection: Selection) -> Sequence[str]:
        """What has not arrived as it stands on the source now."""


class ServerSideApply:
    """The mover that reads objects from one API and applies them to the other."""

    def move(self, source: Cluster, target: Cluster, selection: Selection) -> Moved:
        """See Mover."""
        found, left = self._collect(source, selection)
        namespace = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": selection.namespace, **_namespace_labels(source, selection.namespace)},
        }
        target.server_side_apply("namespaces", namespace, MANAGER)
        for kind, manifest in found:
            target.server_side_apply(kind.plural, manifest, MANAGER)
        return Moved(tuple(_name(manifest) for _, manifest in found), tuple(left))

    def missing(self, source: Cluster, target: Cluster, selection: Selection) -> Sequence[str]:
        """See Mover."""
        absent = []
        for kind, manifest in self._collect(source, selection)[0]:
            metadata = manifest["metadata"]
            there = target.get(kind.api_version, kind.plural, metadata["namespace"], metadata["name"])
            copied = (there or {}).get("metadata", {}).get("annotations", {}).get(COPIED)
            if copied != metadata["annotations"][COPIED]:
                absent.append(_name(manifest))
        return absent

    def _collect(
        self, source: Cluster, selection: Selection
    ) -> tuple[list[tuple[ObjectKind, dict[str, Any]]], list[str]]:
        kinds = [kind for kind in source.kinds() if kind.kind not in _NEVER]
        objects = [(kind, item) for kind in kinds for item in source.list(kind, selection.namespace)]
        wanted = None if selection.only is None else _closure(selection.only, [item for _, item in objects])
        found, left = [], []
        for kind, item in objects:
            if wanted is not None and (item["kind"], item["metadata"]["name"]) not in wanted:
                continue
            if reason := stays(item):
                left.append(f"{_name(item)}: {reason}")
            else:
                found.append((kind, portable(item)))
        if not any(item["kind"] in ("Deployment", "StatefulSet") for _, item in found):
            raise StepError(f"namespace {selection.namespace} on {source.context} holds no workload to move")
        return sorted(found, key=lambda pair: _order(pair[0].kind)), left


def stays(item: Mapping[str, Any]) -> str:
    """Why an object is not moved; empty where it is."""
    metadata = item["metadata"]
    if any(owner.get("controller") for owner in metadata.get("ownerReferences", [])):
        return "made by a controller"
    if metadata.get("labels", {}).get(_NAME_LABEL, "").startswith(_OWN):
        return "landfall's own"
    if item["kind"] == "Secret" and item.get("type") == "kubernetes.io/service-account-token":
        return "a token of the source's cluster"
    if item["kind"] == "ConfigMap" and metadata["name"] == "kube-root-ca.crt":
        return "the source cluster's authority"
    return _NOT_HELD.get(item["kind"], "")


def portable(item: Mapping[str, Any]) -> dict[str, Any]:
    """An object without what belongs to its cluster, held so that nothing of it runs."""
    manifest = copy.deepcopy(dict(item))
    manifest.pop("status", None)
    metadata = manifest["metadata"]
    kept = {key: metadata[key] for key in ("name", "namespace", "labels") if key in metadata}
    annotations = {
        key: value
        for key, value in metadata.get("annotations", {}).items()
        if not key.startswith(_SOURCE_ONLY_ANNOTATIONS)
    }
    spec = manifest.get("spec", {})
    match manifest["kind"]:
        case "Service":
            _portable_service(spec)
        case "Deployment" | "StatefulSet":
            spec["replicas"] = 0
        case "CronJob":
            spec["suspend"] = True
        case "PersistentVolumeClaim":
            spec.pop("volumeName", None)
        case "ServiceAccount":
            manifest.pop("secrets", None)
    content = json.dumps(manifest, sort_keys=True).encode()
    manifest["metadata"] = {
        **kept,
        "annotations": {**annotations, COPIED: hashlib.sha256(content).hexdigest()[:32]},
    }
    return manifest


def _portable_service(spec: dict[str, Any]) -> None:
    if spec.get("clusterIP") != "None":
        spec.pop("clusterIP", None)
        spec.pop("clusterIPs", None)
    for key in ("loadBalancerIP", "healthCheckNodePort", "externalIPs", "ipFamilies", "ipFamilyPolicy"):
        spec.pop(key, None)
    for port in spec.get("ports", []):
        port.pop("nodePort", None)


def _closure(only: Sequence[WorkloadName], objects: Sequence[Mapping[str, Any]]) -> set[tuple[str, str]]:
    """The named workloads, the Services that select their pods, and what their pods mount or read."""
    workloads = {(workload.kind, workload.name) for workload in only}
    wanted: set[tuple[str, str]] = {*workloads}
    for item in objects:
        if (item["kind"], item["metadata"]["name"]) not in workloads:
            continue
        template = item["spec"]["template"]
        wanted.update(_references(template["spec"]))
        labels = template["metadata"].get("labels", {}).items()
        for other in objects:
            selector = other.get("spec", {}).get("selector") if other["kind"] == "Service" else None
            if selector and selector.items() <= labels:
                wanted.add(("Service", other["metadata"]["name"]))
    return wanted


def _references(pod: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if name := pod.get("serviceAccountName"):
        yield "ServiceAccount", name
    for secret in pod.get("imagePullSecrets", []):
        yield "Secret", secret["name"]
    for volume in pod.get("volumes", []):
        if name := volume.get("configMap", {}).get("name"):
            yield "ConfigMap", name
        if name := volume.get("secret", {}).get("secretName"):
            yield "Secret", name
        if name := volume.get("persistentVolumeClaim", {}).get("claimName"):
            yield "PersistentVolumeClaim", name
    for container in [*pod.get("containers", []), *pod.get("initContainers", [])]:
        sources = [
            *container.get("envFrom", []),
            *(item.get("valueFrom", {}) for item in container.get("env", [])),
        ]
        for source in sources:
            for key, kind in (("configMapRef", "ConfigMap"), ("configMapKeyRef", "ConfigMap"),
                              ("secretRef", "Secret"), ("secretKeyRef", "Secret")):  # fmt: skip
                if name := source.get(key, {}).get("name"):
                    yield kind, name


def _namespace_labels(source: Cluster, name: str) -> dict[str, Any]:
    found = source.get("v1", "namespaces", None, name)
    if found is None:
        raise StepError(f"cluster {source.context} has no namespace {name}")
    labels = found["metadata"].get("labels", {})
    kept = {key: value for key, value in labels.items() if key != "kubernetes.io/metadata.name"}
    return {"labels": kept} if kept else {}


def _order(kind: str) -> int:
    if kind in _FIRST:
        return _FIRST.index(kind)
    return 100 + (_LAST.index(kind) if kind in _LAST else -1)


def _name(item: Mapping[str, Any]) -> str:
    return f"{item['kind']} {item['metadata']['namespace']}/{item['metadata']['name']}"
