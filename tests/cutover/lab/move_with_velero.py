"""Run in a world by test_velero_in_the_lab: moves namespaces between two real clusters, prints what came."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from cutover.actions.move_objects import MoveObjects
from cutover.conditions.objects_arrived import ObjectsArrived
from cutover.conditions.velero_ready import VeleroReady
from cutover.context import Context
from cutover.errors import StepError
from cutover.web import HttpsClient
from lab.kubernetes.control_plane import ControlPlane
from stacks.settings import VeleroMove, VeleroSettings
from tests.cutover.lab.real_clusters import context_of
from tests.setup.clusters import two_clusters

MOVE = VeleroMove.model_validate(
    {
        "namespaces": [{"name": "billing"}, {"name": "middleware", "only": ["redis-basis"]}],
        "storage_classes": {"csi-disk": "gp3"},
        "images": {"registry.example": "registry.aws.example"},
        "drop_annotations": ["kubernetes.io/elb.*"],
        "pull_secrets": {"default-secret": None},
    }
)
OBJECTS = Path(__file__).with_name("objects.yaml")
REFUSAL = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-late-entry}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
      - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}
  validations:
    - {expression: "object.metadata.name != 'late-entry'", message: "no late entries"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-late-entry}
spec: {policyName: no-late-entry, validationActions: [Deny]}
"""


def attempt(context: Context) -> dict[str, Any]:
    """Moves, and compares; what is found or why it stopped."""
    action = MoveObjects(move=MOVE, velero=VeleroSettings(), seconds=180)
    try:
        evidence = action.apply(context)
        return {**evidence, "compared": ObjectsArrived(MOVE).hold(context)}
    except StepError as error:
        return {"stopped": str(error)}


def entries(cluster: ControlPlane, *arguments: str) -> Any:
    """Objects as kubectl shows them."""
    return json.loads(cluster.kubectl("get", *arguments, "-o", "json"))


def names(cluster: ControlPlane, namespace: str) -> list[str]:
    """What stands in a namespace of the kinds that the test is about."""
    kinds = "deployments,statefulsets,cronjobs,services,configmaps,secrets,ingresses,serviceaccounts,pods,pvc"
    return sorted(
        f"{item['kind']} {item['metadata']['name']}"
        for item in entries(cluster, kinds, "-n", namespace)["items"]
    )


def main(folder: Path) -> None:
    """Every case in one world: starting it takes most of the time."""
    seen: dict[str, Any] = {}
    with two_clusters(folder, velero=True) as (source, target):
        source.kubectl("apply", "-f", "-", stdin=OBJECTS.read_text())
        context = replace(context_of(folder, (source, target), call_seconds=10), web=HttpsClient())
        seen["ready"] = VeleroReady("velero", 60).hold(context)
        before = {
            each: source.kubectl("get", each, "-A", "-o", "yaml") for each in ("deployments", "cronjobs")
        }
        seen["first"] = attempt(context)
        seen["billing"], seen["middleware"] = names(target, "billing"), names(target, "middleware")
        seen["objects"] = {
            name: entries(target, name, "-n", "billing")
            for name in ("deployment/boss", "cronjob/settlement", "service/webportal", "ingress/boss",
                         "pvc/archive", "serviceaccount/boss")
        }  # fmt: skip
        seen["left_over"] = [
            item["metadata"]["name"]
            for cluster in (source, target)
            for item in entries(cluster, "configmaps,downloadrequests.velero.io", "-n", "velero")["items"]
            if item["metadata"]["name"].startswith("landfall-")
        ]
        seen["source_as_before"] = before == {
            each: source.kubectl("get", each, "-A", "-o", "yaml") for each in before
        }

        patch = json.dumps({"data": {"DATABASE_PORT": "3307"}})
        source.kubectl("patch", "configmap", "boss-config", "-n", "billing", "--type=merge", "-p", patch)
        seen["noticed"] = MoveObjects(move=MOVE, velero=VeleroSettings(), seconds=60).observe(context).detail
        seen["second"] = attempt(context)
        seen["port"] = entries(target, "configmap/boss-config", "-n", "billing")["data"]["DATABASE_PORT"]

        label = "velero.io/exclude-from-backup=true"
        source.kubectl("label", "secret", "boss-database", "-n", "billing", label)
        seen["skipped"] = attempt(context)
        source.kubectl("label", "secret", "boss-database", "-n", "billing", "velero.io/exclude-from-backup-")

        target.kubectl("apply", "-f", "-", stdin=REFUSAL)
        source.kubectl("create", "configmap", "late-entry", "-n", "billing", "--from-literal=a=b")
        seen["refused"] = attempt(context)
        target.kubectl("delete", "-f", "-", stdin=REFUSAL)

        strange = yaml.safe_dump(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
                "name": "kafka-settings", "namespace": "middleware",
                "labels": {"velero.io/restore-name": seen["first"].get("name", "none")}}}
        )  # fmt: skip
        target.kubectl("apply", "-f", "-", stdin=strange)
        try:
            seen["strange"] = ObjectsArrived(MOVE).hold(context)
        except StepError as error:
            seen["strange"] = str(error)
    print(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
