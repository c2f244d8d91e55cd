"""What is known of Kubernetes objects without asking a cluster: annotations, what can be changed, what is
shown."""

from __future__ import annotations

import base64
import copy
import hashlib
from typing import Any

from lab.providers.base import Properties
from lab.providers.compare import Path, overlay

PATCH_FORCE = "pulumi.com/patchForce"
PATCH_MANAGER = "pulumi.com/patchFieldManager"
SKIP_AWAIT = "pulumi.com/skipAwait"
TIMEOUT = "pulumi.com/timeoutSeconds"
AUTONAMED = "pulumi.com/autonamed"
PROPAGATION = "pulumi.com/deletionPropagationPolicy"
REPLACE_UNREADY = "pulumi.com/replaceUnready"

# Beside metadata.name and namespace: fields that a cluster refuses to change, or that the official provider
# replaces for.
_REPLACING: dict[str, tuple[Path, ...]] = {
    "ConfigMap": (("data",), ("binaryData",), ("immutable",)),
    "Secret": (("data",), ("stringData",), ("immutable",), ("type",)),
    "Deployment": (("spec", "selector"),),
    "DaemonSet": (("spec", "selector"),),
    "ReplicaSet": (("spec", "selector"),),
    "StatefulSet": (
        ("spec", "selector"),
        ("spec", "serviceName"),
        ("spec", "podManagementPolicy"),
        ("spec", "volumeClaimTemplates"),
    ),
    "Job": (("spec", "selector"), ("spec", "template"), ("spec", "completions"), ("spec", "completionMode")),
    "Pod": (("spec",),),
    "Service": (("spec", "clusterIP"),),
    "PersistentVolumeClaim": (
        ("spec", "accessModes"),
        ("spec", "storageClassName"),
        ("spec", "volumeName"),
        ("spec", "selector"),
    ),
    "StorageClass": (("provisioner",), ("parameters",), ("reclaimPolicy",), ("volumeBindingMode",)),
    "RoleBinding": (("roleRef",),),
    "ClusterRoleBinding": (("roleRef",),),
}
_ALWAYS: tuple[Path, ...] = (("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace"))
_POD_MUTABLE = {"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"}


def replaces(kind: str, path: Path, *, patch: bool, mutable: bool) -> bool:
    """Whether a change at `path` needs a new object. `mutable`: ConfigMaps' and Secrets' data may change in
    place."""
    if any(path[: len(prefix)] == prefix for prefix in _ALWAYS):
        return True
    if patch or (
        mutable and kind in {"ConfigMap", "Secret"} and path[0] in {"data", "binaryData", "stringData"}
    ):
        return False
    if kind == "Pod" and path[0] == "spec":
        container_image = len(path) > 3 and path[1] in {"containers", "initContainers"} and path[3] == "image"
        return not (container_image or (len(path) > 1 and path[1] in _POD_MUTABLE))
    return any(path[: len(prefix)] == prefix for prefix in _REPLACING.get(kind, ()))


def annotation(inputs: Properties, name: str) -> str | None:
    """An annotation's value, or None."""
    value = (inputs.get("metadata") or {}).get("annotations", {}).get(name)
    return None if value is None else str(value)


def body(inputs: Properties, namespace: str | None) -> Properties:
    """What is sent to a cluster: without the annotations that only direct this provider."""
    sent = {key: copy.deepcopy(value) for key, value in inputs.items() if not key.startswith("__")}
    metadata = sent.setdefault("metadata", {})
    if namespace is not None:
        metadata["namespace"] = namespace
    annotations = metadata.get("annotations")
    if annotations:
        for name in (PATCH_FORCE, PATCH_MANAGER):
            annotations.pop(name, None)
        if not annotations:
            del metadata["annotations"]
    sent.pop("status", None)
    return sent


def field_manager(urn: str, inputs: Properties, outputs: Properties) -> str:
    """The manager of a resource's fields: its own annotation, the remembered one, or one made of its URN."""
    stated = annotation(inputs, PATCH_MANAGER) or outputs.get("__fieldManager")
    return str(stated) if stated else "pulumi-kubernetes-" + hashlib.sha256(urn.encode()).hexdigest()[:8]


def outputs(live: Properties, inputs: Properties, manager: str, *, patch: bool) -> Properties:
    """What an engine remembers of an object; of a patched one no more than what the patch names, and its
    identity."""
    shown = {key: value for key, value in live.items() if not patch or key in {"apiVersion", "kind"}}
    metadata = {
        key: value
        for key, value in live["metadata"].items()
        if key not in {"managedFields", "resourceVersion"}
    }
    if patch:
        metadata = {key: metadata[key] for key in ("name", "namespace", "uid") if key in metadata}
        seen = observed(inputs, live)
        shown |= {key: value for key, value in seen.items() if key not in {"metadata", "apiVersion", "kind"}}
        metadata |= {key: value for key, value in seen.get("metadata", {}).items() if key not in metadata}
    return {
        **shown,
        "metadata": metadata,
        "__fieldManager": manager,
        "__initialApiVersion": live["apiVersion"],
    }


def observed(inputs: Properties, live: Properties) -> Properties:
    """The inputs with the live values of just the fields that they name."""
    seen = dict(live)
    if live.get("kind") == "Secret" and "stringData" in inputs:
        # stringData is write-only: what it became is in data.
        data = live.get("data") or {}
        seen["stringData"] = {name: _text(data[name]) for name in inputs["stringData"] if name in data}
    wanted = copy.deepcopy(inputs)
    directing: dict[str, Any] = {}
    for name in (PATCH_FORCE, PATCH_MANAGER):
        value = (wanted.get("metadata") or {}).get("annotations", {}).pop(name, None)
        if value is not None:
            directing[name] = value
    wanted = _without_empty(wanted)
    result: Properties = overlay(wanted, seen)
    if directing:
        metadata = dict(result.get("metadata") or {})
        metadata["annotations"] = {**metadata.get("annotations", {}), **directing}
        result["metadata"] = metadata
    for key, value in inputs.items():
        if value in ({}, []) and not live.get(key):
            result[key] = value
    return result


def _without_empty(value: Any) -> Any:
    """A cluster stores no empty maps and lists: what is declared empty is there when nothing is there."""
    if isinstance(value, dict):
        return {key: _without_empty(item) for key, item in value.items() if item not in ({}, [], None)}
    return value


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode(errors="replace")
