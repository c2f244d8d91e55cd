"""Which objects of a namespace move, and which stay, each with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cutover.errors import StepError
from cutover.ports import Cluster, ObjectKind
from stacks.settings import MovedNamespace, VeleroMove

Item = Mapping[str, Any]
"""A Kubernetes object."""
Key = tuple[str, str]
"""Kind and name, in a namespace."""

NEVER = frozenset({
    "Binding", "ControllerRevision", "EndpointSlice", "Event", "Lease", "LocalSubjectAccessReview", "Pod",
    "PodMetrics", "ReplicaSet", "ReplicationController", "ResourceClaim", "VolumeAttachment",
})  # fmt: skip
"""Kinds that a cluster makes by itself, or that are bound to one cluster."""
_LEFT = {
    "Job": "a job that runs once is not run twice",
    "DaemonSet": "a DaemonSet cannot be held at 0: move it by hand",
    "Endpoints": "addresses of the source's network: write them anew by hand",
    "HorizontalPodAutoscaler": "replicas have one owner at a time: apply it again after the cutover",
}
_WORKLOADS = ("Deployment", "StatefulSet")
_NAME_LABEL, _OWN = "app.kubernetes.io/name", "landfall-"
"""How landfall's own objects, such as the forwarder for stragglers, are known."""
_MANAGED_BY = "endpoints.kubernetes.io/managed-by"
_TRIGGERED = "endpoints.kubernetes.io/last-change-trigger-time"
"""What the controller of endpoints writes on them, by version."""


@dataclass(frozen=True)
class Found:
    """An object that moves."""

    kind: ObjectKind
    item: Item

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return str(self.item["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.item["metadata"]["name"])

    def __str__(self) -> str:
        return f"{self.kind.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Selected:
    """What moves, and what stays although it is somebody's own work."""

    moving: tuple[Found, ...]
    left: tuple[str, ...]
    """Each with the reason."""


def select(source: Cluster, move: VeleroMove) -> Selected:
    """Looks at the source and selects. Raises StepError for an absent name or an empty namespace."""
    kinds = [kind for kind in source.kinds() if kind.kind not in NEVER]
    parts = []
    for namespace in move.namespaces:
        found = [Found(kind, item) for kind in kinds for item in source.list(kind, namespace.name)]
        parts.append(select_objects(found, namespace, move, source.context))
    return Selected(
        tuple(found for part in parts for found in part.moving),
        tuple(text for part in parts for text in part.left),
    )


def select_objects(
    objects: Sequence[Found], namespace: MovedNamespace, move: VeleroMove, context: str
) -> Selected:
    """Selects from a namespace's objects. Raises StepError like `select`."""
    wanted = _closure(namespace, objects, context) if namespace.only else None
    moving, left = [], []
    for found in objects:
        if wanted is not None and (found.kind.kind, found.name) not in wanted:
            continue
        if reason := stays(found.item, move):
            if found.kind.kind in _LEFT and not is_made(found.item):
                left.append(f"{found}: {reason}")
        else:
            moving.append(found)
    if not any(found.kind.kind in _WORKLOADS for found in moving):
        raise StepError(f"namespace {namespace.name} on {context} holds no workload to move")
    return Selected(tuple(moving), tuple(left))


def stays(item: Item, move: VeleroMove) -> str:
    """Why an object is not moved; empty where it is."""
    metadata, kind = item["metadata"], item["kind"]
    if is_made(item):
        return "made by a controller"
    if metadata.get("labels", {}).get(_NAME_LABEL, "").startswith(_OWN):
        return "landfall's own"
    if kind == "Secret" and item.get("type") == "kubernetes.io/service-account-token":
        return "a token of the source's cluster"
    if kind == "Secret" and metadata["name"] in move.pull_secrets:
        return "a pull secret of the source's registry"
    if kind == "ConfigMap" and metadata["name"] in ("kube-root-ca.crt", "openshift-service-ca.crt"):
        return "the source cluster's authority"
    return _LEFT.get(kind, "")


def is_made(item: Item) -> bool:
    """Whether a controller made an object, and makes it anew on the other cluster."""
    metadata = item["metadata"]
    if any(owner.get("controller") for owner in metadata.get("ownerReferences", [])):
        return True
    # The endpoints of a Service with a selector belong to the Service, without a reference.
    return item["kind"] == "Endpoints" and (
        _MANAGED_BY in metadata.get("labels", {}) or _TRIGGERED in metadata.get("annotations", {})
    )


def _closure(namespace: MovedNamespace, objects: Sequence[Found], context: str) -> set[Key]:
    """The named workloads, what selects or scales their pods, and what those mount or read."""
    by_key = {(found.kind.kind, found.name): found.item for found in objects}
    workloads = [(kind, name) for name in namespace.only for kind in _WORKLOADS if (kind, name) in by_key]
    if absent := [name for name in namespace.only if name not in {name for _, name in workloads}]:
        raise StepError(f"namespace {namespace.name} on {context} has no workload {', '.join(absent)}")
    wanted: set[Key] = set(workloads)
    for key in workloads:
        template = by_key[key]["spec"]["template"]
        wanted.update(_references(template["spec"]))
        wanted.update(_about(key, template["metadata"].get("labels", {}), objects))
    accounts = {name for kind, name in wanted if kind == "ServiceAccount"}
    for found in objects:
        if found.kind.kind == "RoleBinding" and _binds(found.item, accounts):
            role = found.item["roleRef"]
            wanted |= {("RoleBinding", found.name), (role["kind"], role["name"])}
    return wanted & set(by_key)


def _about(key: Key, labels: Mapping[str, str], objects: Sequence[Found]) -> Iterator[Key]:
    """The objects that say something about a workload or its pods."""
    for found in objects:
        spec = found.item.get("spec", {})
        match found.kind.kind:
            case "Service":
                selector = spec.get("selector")
            case "PodDisruptionBudget":
                selector = spec.get("selector", {}).get("matchLabels")
            case "NetworkPolicy":
                selector = spec.get("podSelector", {}).get("matchLabels")
            case "HorizontalPodAutoscaler":
                scaled = spec.get("scaleTargetRef", {})
                if (scaled.get("kind"), scaled.get("name")) == key:
                    yield found.kind.kind, found.name
                continue
            case _:
                continue
        if selector and selector.items() <= labels.items():
            yield found.kind.kind, found.name


def _binds(binding: Item, accounts: set[str]) -> bool:
    return any(
        subject.get("kind") == "ServiceAccount" and subject["name"] in accounts
        for subject in binding.get("subjects") or ()
    )


def _references(pod: Mapping[str, Any]) -> Iterator[Key]:
    """What a pod's specification names."""
    if name := pod.get("serviceAccountName"):
        yield "ServiceAccount", name
    for secret in pod.get("imagePullSecrets", []):
        yield "Secret", secret["name"]
    for volume in pod.get("volumes", []):
        for source in (volume, *volume.get("projected", {}).get("sources", [])):
            if found := source.get("configMap"):
                yield "ConfigMap", found["name"]
            if found := source.get("secret"):
                yield "Secret", found.get("secretName") or found["name"]
            if found := source.get("persistentVolumeClaim"):
                yield "PersistentVolumeClaim", found["claimName"]
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
