"""Pods in a real cluster, run by the node agent."""

from __future__ import annotations

import pytest

from tests.node.cluster import Cluster

pytestmark = pytest.mark.lab


def test_a_pod_runs_to_its_end_and_says_what_it_found(cluster: Cluster, namespace: str) -> None:
    probe = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe", "namespace": namespace},
        "spec": {
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "probe",
                    "image": "busybox:1.37",
                    "command": ["sh", "-c", "echo found >/dev/termination-log; exit 3"],
                }
            ],
        },
    }
    cluster.apply(probe)
    pod = cluster.wait_for("pod", "probe", namespace, lambda pod: pod["status"]["phase"] == "Failed")
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"], ended["reason"]) == (3, "found\n", "Error")
