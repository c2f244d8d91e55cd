"""Run in a world by test_velero: backs up in one cluster, restores in the other, prints what came."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from lab.kubernetes.control_plane import ControlPlane
from lab.velero import NAMESPACE
from tests.setup.clusters import two_clusters

MOVED = "billing-guance-intl"
MODIFIERS = """
version: v1
resourceModifierRules:
- conditions: {groupResource: deployments.apps}
  mergePatches: [{patchData: "{spec: {replicas: 0}}"}]
"""


def application(name: str) -> dict[str, Any]:
    """A Deployment of two replicas."""
    labels = {"app": name}
    containers = [{"name": name, "image": "registry.example/app:1"}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": MOVED},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
        },
    }


def velero_object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """An object of Velero's API."""
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "velero.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def create(cluster: ControlPlane, *objects: dict[str, Any]) -> None:
    """Create objects."""
    for each in objects:
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(each))


def finished(cluster: ControlPlane, kind: str, name: str) -> dict[str, Any]:
    """The status of a backup or restore once it has one that is final."""
    deadline = time.monotonic() + 120
    while True:
        found = json.loads(cluster.kubectl("get", kind, name, "-n", NAMESPACE, "-o", "json"))
        status: dict[str, Any] = found.get("status", {})
        if status.get("phase") in {"Completed", "PartiallyFailed", "Failed", "FailedValidation"}:
            return status
        if time.monotonic() > deadline:
            raise RuntimeError(f"{kind} {name} did not end: {status}")
        time.sleep(0.2)


def move(source: ControlPlane, target: ControlPlane) -> dict[str, Any]:
    """Back up, wait until the target knows the backup, restore."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": MOVED}}
    settings = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "boss-config", "namespace": MOVED},
        "data": {"DATABASE_PORT": "3306"},
    }
    create(source, namespace, settings, application("boss"))
    scope = {"includedNamespaces": [MOVED], "includedResources": ["configmaps", "deployments.apps"]}
    create(source, velero_object("Backup", "move", {**scope, "storageLocation": "default"}))
    backup = finished(source, "backup.velero.io", "move")

    deadline = time.monotonic() + 60
    while "move" not in target.kubectl("get", "backups.velero.io", "-n", NAMESPACE, "-o", "name"):
        if time.monotonic() > deadline:
            raise RuntimeError("the target's Velero did not find the backup")
        time.sleep(0.2)
    modifiers = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "at-rest", "namespace": NAMESPACE},
        "data": {"rules.yaml": MODIFIERS},
    }
    reference = {"kind": "configmap", "name": "at-rest"}
    create(
        target,
        modifiers,
        velero_object("Restore", "move", {"backupName": "move", "resourceModifier": reference}),
    )
    restore = finished(target, "restore.velero.io", "move")
    deployment = json.loads(target.kubectl("get", "deployment", "boss", "-n", MOVED, "-o", "json"))
    entries = json.loads(target.kubectl("get", "configmap", "boss-config", "-n", MOVED, "-o", "json"))
    servers = json.loads(target.kubectl("get", "deployment", "velero", "-n", NAMESPACE, "-o", "json"))
    return {
        "backup": backup["phase"],
        "restore": restore["phase"],
        "errors": restore.get("errors", 0),
        "replicas": deployment["spec"]["replicas"],
        "data": entries["data"],
        "velero_replicas": servers["spec"]["replicas"],
    }


def main(folder: Path) -> None:
    """Start all that it takes, and stop it."""
    with two_clusters(folder, velero=True) as (source, target):
        print(json.dumps(move(source, target)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
