"""Kubernetes objects in memory, and a Velero that moves them as the real one does."""

from __future__ import annotations

import copy
import gzip
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cutover.ports import ObjectKind

KINDS = (
    ObjectKind("v1", "ConfigMap", "configmaps"),
    ObjectKind("v1", "Endpoints", "endpoints"),
    ObjectKind("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    ObjectKind("v1", "Pod", "pods"),
    ObjectKind("v1", "Secret", "secrets"),
    ObjectKind("v1", "Service", "services"),
    ObjectKind("v1", "ServiceAccount", "serviceaccounts"),
    ObjectKind("apps/v1", "DaemonSet", "daemonsets"),
    ObjectKind("apps/v1", "Deployment", "deployments"),
    ObjectKind("apps/v1", "ReplicaSet", "replicasets"),
    ObjectKind("apps/v1", "StatefulSet", "statefulsets"),
    ObjectKind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    ObjectKind("batch/v1", "CronJob", "cronjobs"),
    ObjectKind("batch/v1", "Job", "jobs"),
    ObjectKind("networking.k8s.io/v1", "Ingress", "ingresses"),
    ObjectKind("rbac.authorization.k8s.io/v1", "Role", "roles"),
    ObjectKind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
)
_PLURALS = {kind.kind: kind for kind in KINDS}
Key = tuple[str, str, str]
"""Plural, namespace and name."""


def manifest(kind: str, namespace: str, name: str, **fields: Any) -> dict[str, Any]:
    """An object; `labels` and `annotations` go where they belong."""
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    for part in ("labels", "annotations", "ownerReferences"):
        if part in fields:
            metadata[part] = fields.pop(part)
    return {"apiVersion": _PLURALS[kind].api_version, "kind": kind, "metadata": metadata, **fields}


def workload(namespace: str, name: str, *, kind: str = "Deployment", **pod: Any) -> dict[str, Any]:
    """A workload of two replicas."""
    containers = [{"name": name, "image": f"registry.example/{name}:1.0"}]
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers, **pod}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template}
    return manifest(kind, namespace, name, labels={"app": name}, spec=spec)


def cron_job(namespace: str, name: str, *, schedule: str = "* * * * *", **container: Any) -> dict[str, Any]:
    """A schedule."""
    containers = [{"name": name, "image": f"registry.example/{name}:1.0", **container}]
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers}}
    spec = {"schedule": schedule, "jobTemplate": {"spec": {"template": template}}}
    return manifest("CronJob", namespace, name, spec=spec)


@dataclass
class Store:
    """A cluster's objects."""

    objects: dict[Key, dict[str, Any]] = field(default_factory=dict)

    def put(self, *manifests: Mapping[str, Any]) -> None:
        """Adds or replaces objects."""
        for item in manifests:
            self.objects[_key(_PLURALS[item["kind"]].plural, item)] = copy.deepcopy(dict(item))

    def of_kind(self, kind: ObjectKind, namespace: str | None) -> Sequence[dict[str, Any]]:
        """See ports.Cluster."""
        return [
            copy.deepcopy(item)
            for (plural, place, _), item in self.objects.items()
            if plural == kind.plural and namespace in (None, place)
        ]

    def patch(self, plural: str, namespace: str, name: str, change: Mapping[str, Any]) -> None:
        """Changes an object by RFC 7396."""
        self.objects[plural, namespace, name] = _merged(self.objects[plural, namespace, name], change)

    def get(self, plural: str, namespace: str, name: str) -> dict[str, Any] | None:
        """An object."""
        return copy.deepcopy(self.objects.get((plural, namespace, name)))

    def named(self, plural: str, namespace: str) -> list[str]:
        """The names of a kind's objects in a namespace."""
        return sorted(name for kind, place, name in self.objects if (kind, place) == (plural, namespace))


@dataclass
class FakeVelero:
    """Backs up by a selection of names, restores by rules, and keeps what the real one keeps beside them."""

    source: Store
    target: Store
    version: str = "v1.18.3"
    skips: set[str] = field(default_factory=set)
    """Names that a backup leaves out and says nothing of."""
    loses: set[str] = field(default_factory=set)
    """Names that a restore leaves out and says nothing of."""
    refuses: dict[str, str] = field(default_factory=dict)
    """Names that the target's API refuses, with what it says."""
    warnings: list[str] = field(default_factory=list)
    brings: list[dict[str, Any]] = field(default_factory=list)
    """What a restore brings besides."""
    looks_until_end: int = 0
    """How often a backup or restore is looked at before it has ended."""
    buckets: dict[str, str] = field(default_factory=lambda: {"source": "backups", "target": "backups"})
    kept: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    files: dict[str, Any] = field(default_factory=dict)
    _looks: dict[Key, int] = field(default_factory=dict)

    def create(self, side: str, plural: str, item: dict[str, Any]) -> None:
        """What creating one of Velero's objects sets going."""
        store = self.source if side == "source" else self.target
        store.objects[_key(plural, item)] = item
        name = item["metadata"]["name"]
        match plural:
            case "backups" if "status" not in item:
                item["status"] = {"phase": "New"}
                self._back_up(name, item)
            case "restores":
                item["status"] = {"phase": "New"}
                self._restore(name, item)
            case "downloadrequests":
                wanted = item["spec"]["target"]
                item["status"] = {
                    "downloadURL": f"https://bucket/{wanted['kind']}/{wanted['name']}?signature=canary"
                }
            case "serverstatusrequests":
                item["status"] = {"serverVersion": self.version}

    def get(self, side: str, plural: str, namespace: str, name: str) -> dict[str, Any] | None:
        """An object of Velero's; running ones get on each time they are looked at."""
        store = self.source if side == "source" else self.target
        found = store.objects.get((plural, namespace, name))
        if found is not None and plural in ("backups", "restores"):
            looks = self._looks[plural, side, name] = self._looks.get((plural, side, name), 0) + 1
            status = found["status"]
            if looks > self.looks_until_end:
                status.update(status.pop("then", {}))
            else:
                status.update(phase="InProgress", progress={"totalItems": 10, "itemsBackedUp": looks})
        return found

    def location(self, side: str) -> dict[str, Any]:
        """Where backups go."""
        return {
            "metadata": {"name": "default"},
            "spec": {"default": True, "objectStorage": {"bucket": self.buckets[side]}},
            "status": {"phase": "Available"},
        }

    def fetch(self, url: str) -> bytes:
        """A file beside a backup or restore."""
        return gzip.compress(
            json.dumps(self.files[url.removeprefix("https://bucket/").partition("?")[0]]).encode()
        )

    def _back_up(self, name: str, item: dict[str, Any]) -> None:
        policies = self._config(self.source, item["spec"]["resourcePolicy"]["name"])
        kept = []
        for policy in policies["namespacedFilterPolicies"]:
            for rule in policy["resourceFilters"]:
                for (plural, place, named), found in self.source.objects.items():
                    if (
                        place in policy["namespaces"]
                        and _resource(plural, found) in rule["kinds"]
                        and named in rule["names"]
                        and named not in self.skips
                    ):
                        kept.append(copy.deepcopy(found))
        self.kept[name] = kept
        self.files[f"BackupResourceList/{name}"] = _listing(kept, "")
        item["status"]["then"] = {"phase": "Completed"}

    def _restore(self, name: str, item: dict[str, Any]) -> None:
        rules = self._config(self.target, item["spec"]["resourceModifier"]["name"])["resourceModifierRules"]
        come: list[dict[str, Any]] = []
        errors: dict[str, list[str]] = {}
        for kept in self.kept[item["spec"]["backupName"]]:
            named, place = kept["metadata"]["name"], kept["metadata"]["namespace"]
            if named in self.refuses:
                errors.setdefault(place, []).append(self.refuses[named])
                continue
            if named in self.loses:
                continue
            arrived = _restored(kept, rules, name)
            come.append(arrived)
            self.target.put(arrived)
        self.target.put(*self.brings)
        self.files[f"RestoreResourceList/{name}"] = _listing([*come, *self.brings], "(created)")
        self.files[f"RestoreResults/{name}"] = {
            "errors": {"namespaces": errors},
            "warnings": {"velero": self.warnings},
        }
        phase = "PartiallyFailed" if errors else "Completed"
        item["status"]["then"] = {"phase": phase, "errors": len(errors), "warnings": len(self.warnings)}

    @staticmethod
    def _config(store: Store, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(store.objects["configmaps", "velero", name]["data"]["rules.yaml"])
        return found


def _restored(kept: dict[str, Any], rules: Iterable[dict[str, Any]], restore: str) -> dict[str, Any]:
    plural = _PLURALS[kept["kind"]].plural
    arrived = {key: value for key, value in kept.items() if key != "status"}
    metadata = arrived["metadata"]
    arrived["metadata"] = {
        key: metadata[key] for key in metadata if key in ("name", "namespace", "labels", "annotations")
    }
    for rule in rules:
        conditions = rule["conditions"]
        if (
            conditions["groupResource"] == _resource(plural, kept)
            and metadata["namespace"] in conditions["namespaces"]
            and re.search(conditions.get("resourceNameRegex", ""), metadata["name"])
        ):
            for patch in rule["mergePatches"]:
                arrived = _merged(arrived, json.loads(patch["patchData"]))
    labels = arrived["metadata"].setdefault("labels", {})
    labels |= {"velero.io/backup-name": restore, "velero.io/restore-name": restore}
    return arrived


def _merged(value: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, item in patch.items():
        if item is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), item)
    return result


def _listing(items: Iterable[Mapping[str, Any]], outcome: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in items:
        metadata = item["metadata"]
        entry = f"{metadata['namespace']}/{metadata['name']}{outcome}"
        found.setdefault(f"{item['apiVersion']}/{item['kind']}", []).append(entry)
    return found


def _resource(plural: str, item: Mapping[str, Any]) -> str:
    group = item["apiVersion"].rpartition("/")[0]
    return f"{plural}.{group}" if group else plural


def _key(plural: str, item: Mapping[str, Any]) -> Key:
    return plural, item["metadata"]["namespace"], item["metadata"]["name"]
