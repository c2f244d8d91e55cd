"""Velero, the real one, for a cluster of the lab: installed as its own installer says, served by a process.

The objects are those of `velero install`: its definitions, namespace, service account, storage location.
Only its Deployment never gets a pod: in its place the server runs as a process in the cluster's host, with
the plugin beside it, as the same service account.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab.kubernetes.control_plane import ControlPlane, paced
from lab.setup import Tools
from lab.setup.go_tools import VELERO_PLUGIN_VERSION, VELERO_VERSION
from lab.supervisor import Supervisor

NAMESPACE = "velero"
PLUGIN = "velero-plugin-for-aws"
# Velero looks for backups of other clusters once a minute, and then only if this time has passed.
_SYNC_SECONDS = 5


@dataclass(frozen=True)
class Storage:
    """Where backups go: a bucket at an S3 endpoint, and who may write to it."""

    bucket: str
    endpoint: str
    region: str
    access_key: str
    secret_key: str


def start_velero(cluster: ControlPlane, tools: Tools, supervisor: Supervisor, storage: Storage) -> None:
    """Install Velero into a started cluster and serve it; returns once it can reach its bucket.

    Raises LabError.
    """
    folder = cluster.folder / "velero"
    plugins = folder / "plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    (plugins / PLUGIN).symlink_to(tools.velero_plugin_for_aws)
    objects = [held(each) for each in _install_objects(cluster, tools.velero, storage)]
    definitions = [each for each in objects if each["kind"] == "CustomResourceDefinition"]
    rest = [each for each in objects if each["kind"] != "CustomResourceDefinition"]
    defined = yaml.safe_dump_all(definitions)
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=defined)
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", "-", stdin=defined)
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(rest))
    argv = [
        str(tools.velero),
        "server",
        f"--kubeconfig={cluster.kubeconfig('velero')}",
        f"--namespace={NAMESPACE}",
        f"--plugin-dir={plugins}",
        "--metrics-address=127.0.0.1:8085",
        "--uploader-type=kopia",
    ]
    environment = {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "VELERO_NAMESPACE": NAMESPACE,
        "AWS_ACCESS_KEY_ID": storage.access_key,
        "AWS_SECRET_ACCESS_KEY": storage.secret_key,
        "AWS_REGION": storage.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "GOMAXPROCS": "2",
    }
    supervisor.start(
        f"{cluster.spec.name}-velero",
        argv,
        host=cluster.spec.host,
        env=environment,
        ready=paced(lambda: _is_available(cluster)),
        timeout=120.0,
    )


def held(definition: dict[str, Any]) -> dict[str, Any]:
    """An object of `velero install` as the lab installs it: the server's Deployment asks for no pod."""
    if definition["kind"] == "Deployment":
        return {**definition, "spec": {**definition["spec"], "replicas": 0}}
    if definition["kind"] == "BackupStorageLocation":
        spec = {**definition["spec"], "backupSyncPeriod": f"{_SYNC_SECONDS}s", "validationFrequency": "10s"}
        return {**definition, "spec": spec}
    return definition


def _install_objects(cluster: ControlPlane, velero: Path, storage: Storage) -> list[dict[str, Any]]:
    location = {"region": storage.region, "s3ForcePathStyle": "true", "s3Url": storage.endpoint}
    argv = [
        str(velero),
        "install",
        "--dry-run",
        f"--kubeconfig={cluster.kubeconfig('velero')}",
        "--output=yaml",
        "--provider=aws",
        f"--image=velero/velero:{VELERO_VERSION}",
        f"--plugins=velero/{PLUGIN}:{VELERO_PLUGIN_VERSION}",
        f"--bucket={storage.bucket}",
        "--no-secret",
        "--use-volume-snapshots=false",
        "--backup-location-config=" + ",".join(f"{key}={value}" for key, value in location.items()),
    ]
    objects: list[dict[str, Any]] = yaml.safe_load(cluster.run(argv))["items"]
    return objects


def _is_available(cluster: ControlPlane) -> bool:
    location = json.loads(
        cluster.kubectl("get", "backupstoragelocation", "default", "-n", NAMESPACE, "-o", "json")
    )
    return bool(location.get("status", {}).get("phase") == "Available")
