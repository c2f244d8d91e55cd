"""What Velero is told and what it answers: objects of its API, and the files that it keeps beside a backup.

A backup takes the selected objects by their names (a resource policy, from Velero 1.18.3 on), so that nothing
else can come along. A restore changes each object by a rule of its own (resource modifiers) into how it
should arrive.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cutover.errors import StepError
from cutover.moving.arrival import arrival, merge_patch
from cutover.moving.selection import Found
from cutover.ports import ObjectKind
from stacks.settings import VeleroMove

API = "velero.io/v1"
BACKUPS, RESTORES = ObjectKind(API, "Backup", "backups"), ObjectKind(API, "Restore", "restores")
DOWNLOADS = ObjectKind(API, "DownloadRequest", "downloadrequests")
STATUS_REQUESTS = ObjectKind(API, "ServerStatusRequest", "serverstatusrequests")
LOCATIONS = ObjectKind(API, "BackupStorageLocation", "backupstoragelocations")
LEAST_VERSION = (1, 18, 3)
"""Of Velero: the first whose backups take objects by their names."""
COMPLETED = "Completed"
FINAL = frozenset({COMPLETED, "PartiallyFailed", "Failed", "FailedValidation"})
"""Phases in which a backup or restore stays."""
OWN = {"app.kubernetes.io/managed-by": "landfall"}
_LARGEST = 900_000
"""Bytes that a ConfigMap may hold, with room for what surrounds them."""
_AS_WANTED = "Cannot resolve kind via discovery, using as-is"
"""What Velero says of each kind that a selection names with its group, which it takes as it should."""
_CLUSTER_KINDS = frozenset({"Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"})
"""Kinds without a namespace that Velero takes along with what needs them."""
_HOLD = (
    ("deployments.apps", {"spec": {"replicas": 0}}),
    ("statefulsets.apps", {"spec": {"replicas": 0}}),
    ("cronjobs.batch", {"spec": {"suspend": True}}),
)
"""Holds also what was changed on the source after it was looked at."""


def selection_policy(name: str, namespace: str, moving: Sequence[Found]) -> dict[str, Any]:
    """The ConfigMap that limits a backup to these objects."""
    policies = []
    for moved in _namespaces(moving):
        names: dict[str, list[str]] = {}
        for found in moving:
            if found.namespace == moved:
                names.setdefault(resource(found.kind), []).append(found.name)
        filters = [{"kinds": [kind], "names": sorted(each)} for kind, each in sorted(names.items())]
        policies.append({"namespaces": [moved], "resourceFilters": filters})
    return _config_map(name, namespace, {"version": "v1", "namespacedFilterPolicies": policies})


def modifiers(name: str, namespace: str, moving: Sequence[Found], move: VeleroMove) -> dict[str, Any]:
    """The ConfigMap that says how each object is changed on its way. Raises StepError if it is too large."""
    namespaces = list(_namespaces(moving))
    rules = [_rule({"groupResource": kind, "namespaces": namespaces}, patch) for kind, patch in _HOLD]
    for found in moving:
        if patch := _patch(found, move):
            conditions = {
                "groupResource": resource(found.kind),
                "namespaces": [found.namespace],
                "resourceNameRegex": f"^{found.name.replace('.', '[.]')}$",
            }
            rules.append(_rule(conditions, patch))
    return _config_map(name, namespace, {"version": "v1", "resourceModifierRules": rules})


def backup(name: str, namespace: str, moving: Sequence[Found], policy: str, days: int) -> dict[str, Any]:
    """The backup of the selected objects, without volumes."""
    spec = {
        "includedNamespaces": list(_namespaces(moving)),
        "resourcePolicy": {"kind": "configmap", "name": policy},
        "snapshotVolumes": False,
        "defaultVolumesToFsBackup": False,
        "ttl": f"{days * 24}h0m0s",
    }
    return _velero(BACKUPS, name, namespace, spec)


def restore(name: str, namespace: str, backup_name: str, changes: str) -> dict[str, Any]:
    """The restore of a backup; what is there from an earlier attempt is brought up to date."""
    spec = {
        "backupName": backup_name,
        "excludedResources": ["persistentvolumes"],
        "existingResourcePolicy": "update",
        "preserveNodePorts": False,
        "resourceModifier": {"kind": "configmap", "name": changes},
    }
    return _velero(RESTORES, name, namespace, spec)


def known_elsewhere(found: Mapping[str, Any]) -> dict[str, Any]:
    """A backup that has ended, for another cluster with the same bucket, as Velero's sync would make it."""
    kept = ("name", "namespace", "labels", "annotations")
    metadata = {key: value for key, value in found["metadata"].items() if key in kept}
    return {**found, "metadata": metadata}


def download(name: str, namespace: str, kind: str, of: str) -> dict[str, Any]:
    """Asks for the address of a file that is kept beside a backup or restore."""
    return _velero(DOWNLOADS, name, namespace, {"target": {"kind": kind, "name": of}})


def status_request(name: str, namespace: str) -> dict[str, Any]:
    """Asks which version serves."""
    return _velero(STATUS_REQUESTS, name, namespace, {})


def is_new_enough(version: str) -> bool:
    """Whether a server takes selections by name; one whose version cannot be read is taken at its word."""
    found = re.match(r"v(\d+)\.(\d+)\.(\d+)", version)
    return found is None or tuple(map(int, found.groups())) >= LEAST_VERSION


def progress(found: Mapping[str, Any]) -> str:
    """How far a backup or restore is, in a few words."""
    status = found.get("status", {})
    phase = status.get("phase") or "New"
    counts = status.get("progress") or {}
    done = counts.get("itemsBackedUp", counts.get("itemsRestored", 0))
    text = f"{phase}, {done} of {counts['totalItems']} objects" if counts.get("totalItems") else phase
    reasons = [*status.get("validationErrors", ()), status.get("failureReason", "")]
    return "; ".join([text, *filter(None, reasons)])


def contents(data: bytes, what: str) -> Any:
    """A file of Velero's, which is gzipped JSON. Raises StepError."""
    try:
        return json.loads(gzip.decompress(data))
    except (OSError, EOFError, ValueError) as error:
        raise StepError(f"{what} is not what Velero writes: {error}") from error


def messages(results: Mapping[str, Any], level: str) -> list[str]:
    """The `errors` or `warnings` of a backup or restore, each in one line."""
    found = results.get(level) or {}
    lines = [*(found.get("velero") or ()), *(found.get("cluster") or ())]
    for namespace, texts in sorted((found.get("namespaces") or {}).items()):
        lines += [f"{namespace}: {text}" for text in texts or ()]
    return [" ".join(str(line).split()) for line in lines if _AS_WANTED not in line]


def not_backed_up(listed: Mapping[str, Sequence[str]], moving: Iterable[Found]) -> list[str]:
    """The objects that a backup's list does not hold."""
    there = {(kind, entry) for kind, entries in listed.items() for entry in entries}
    return [str(found) for found in moving if (listing(found), entry(found)) not in there]


def came_along(listed: Mapping[str, Sequence[str]], moving: Iterable[Found]) -> tuple[list[str], list[str]]:
    """What a restore made or changed besides the objects: what they need, and what should not have come."""
    wanted = {(listing(found), entry(found)) for found in moving}
    needed: list[str] = []
    strange: list[str] = []
    for kind, entries in sorted(listed.items()):
        for text in entries:
            name, _, outcome = text.rpartition("(")
            if outcome.rstrip(")") not in ("created", "updated") or (kind, name) in wanted:
                continue
            short = kind.rpartition("/")[2]
            (needed if short in _CLUSTER_KINDS and "/" not in name else strange).append(f"{short} {name}")
    return needed, strange


def resource(kind: ObjectKind) -> str:
    """A kind as Velero names it in rules, such as `deployments.apps`."""
    group = kind.api_version.rpartition("/")[0]
    return f"{kind.plural}.{group}" if group else kind.plural


def listing(found: Found) -> str:
    """An object's kind as Velero's lists name it, such as `apps/v1/Deployment`."""
    return f"{found.kind.api_version}/{found.kind.kind}"


def entry(found: Found) -> str:
    """An object's name as Velero's lists write it."""
    return f"{found.namespace}/{found.name}"


def _patch(found: Found, move: VeleroMove) -> dict[str, Any]:
    """What makes an object as it is backed up into how it should arrive."""
    wanted = arrival(found.item, move).manifest
    metadata = found.item["metadata"]
    kept = {
        key: metadata[key] for key in (*wanted["metadata"], "annotations", "finalizers") if key in metadata
    }
    stored = {key: value for key, value in found.item.items() if key != "status"}
    return merge_patch({**stored, "metadata": kept}, wanted)


def _rule(conditions: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    return {"conditions": conditions, "mergePatches": [{"patchData": json.dumps(patch)}]}


def _namespaces(moving: Iterable[Found]) -> Iterator[str]:
    yield from dict.fromkeys(found.namespace for found in moving)


def _config_map(name: str, namespace: str, content: Mapping[str, Any]) -> dict[str, Any]:
    text = json.dumps(content, indent=1)  # JSON is YAML
    if len(text.encode()) > _LARGEST:
        raise StepError(
            f"what Velero has to be told in {namespace}/{name} takes {len(text.encode())} bytes, more than a "
            "ConfigMap holds: move fewer namespaces at once (move.velero.namespaces)"
        )
    metadata = {"name": name, "namespace": namespace, "labels": OWN}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"rules.yaml": text}}


def _velero(kind: ObjectKind, name: str, namespace: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": OWN}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": dict(spec)}
