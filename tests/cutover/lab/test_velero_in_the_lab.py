"""The real Velero moves what was selected between two real clusters, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.setup.fakes import run_in_world

MODULE = "tests.cutover.lab.move_with_velero"


@pytest.mark.lab
def test_what_was_selected_moves_and_every_fault_is_named(tmp_path: Path) -> None:
    output = run_in_world(MODULE, tmp_path)
    seen = json.loads(output)

    _arrived(seen)
    _at_rest(seen["objects"])
    _again(seen)
    _faults(seen)
    assert "canary-password" not in output


def _arrived(seen: dict[str, Any]) -> None:
    first = seen["first"]
    assert first["compared"]["alike"] == first["objects"] == 12
    assert first["backup_warnings"] == first["restore_warnings"] == []
    assert first["came_along"] == ["Namespace billing", "Namespace middleware"]
    assert seen["billing"] == [
        "ConfigMap boss-config",
        "ConfigMap kube-root-ca.crt",
        "CronJob settlement",
        "Deployment boss",
        "Ingress boss",
        "PersistentVolumeClaim archive",
        "Secret boss-database",
        "Service webportal",
        "ServiceAccount boss",
        "ServiceAccount default",
    ]
    assert seen["middleware"] == [
        "ConfigMap kube-root-ca.crt",
        "ConfigMap redis-basis",
        "Deployment redis-basis",
        "Service redis-basis",
        "ServiceAccount default",
    ]
    assert seen["left_over"] == []
    assert seen["source_as_before"]


def _at_rest(objects: dict[str, Any]) -> None:
    deployment = objects["deployment/boss"]
    pod = deployment["spec"]["template"]["spec"]
    assert deployment["spec"]["replicas"] == 0
    assert [container["image"] for container in pod["containers"]] == [
        "registry.aws.example/boss:1.0",
        "quay.example/proxy:1",
    ]
    assert pod["initContainers"][0]["image"] == "registry.aws.example/wait:1.0"
    assert "imagePullSecrets" not in pod
    assert "imagePullSecrets" not in objects["serviceaccount/boss"]
    assert deployment["metadata"]["annotations"]["description"] == "billing service"
    assert "kubernetes.io/elb.class" not in deployment["metadata"]["annotations"]
    assert objects["cronjob/settlement"]["spec"]["suspend"] is True
    service = objects["service/webportal"]
    assert "annotations" not in service["metadata"]
    assert "loadBalancerIP" not in service["spec"]
    assert service["spec"]["ports"][0]["nodePort"] != 31080
    assert objects["ingress/boss"]["metadata"]["annotations"] == {
        "nginx.ingress.kubernetes.io/proxy-body-size": "8m"
    }
    assert objects["pvc/archive"]["spec"]["storageClassName"] == "gp3"


def _again(seen: dict[str, Any]) -> None:
    assert seen["noticed"] == "ConfigMap billing/boss-config: data.DATABASE_PORT differs"
    assert seen["second"]["name"] != seen["first"]["name"]
    assert seen["second"]["compared"]["alike"] == 12
    assert seen["second"]["restore_warnings"] == []
    assert seen["port"] == "3307"


def _faults(seen: dict[str, Any]) -> None:
    assert "left out Secret billing/boss-database" in seen["skipped"]["stopped"]
    assert "ended as PartiallyFailed" in seen["refused"]["stopped"]
    assert "late-entry" in seen["refused"]["stopped"]
    assert "`cutover run`" in seen["refused"]["stopped"]
    assert "ConfigMap billing/late-entry is not on aws" in seen["strange"]
    assert "ConfigMap middleware/kafka-settings is on aws, brought by the restore" in seen["strange"]
