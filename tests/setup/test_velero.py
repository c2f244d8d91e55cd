"""The real Velero, served beside two real clusters, moves a namespace from one to the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.velero import held
from tests.setup.fakes import run_in_world


@pytest.mark.lab
def test_a_namespace_moves_and_its_workloads_arrive_at_rest(tmp_path: Path) -> None:
    seen = json.loads(run_in_world("tests.setup.two_clusters_with_velero", tmp_path))

    assert seen == {
        "backup": "Completed",
        "restore": "Completed",
        "errors": 0,
        "replicas": 0,
        "data": {"DATABASE_PORT": "3306"},
        "velero_replicas": 0,
    }


def test_only_the_servers_deployment_is_held() -> None:
    deployment = {"kind": "Deployment", "spec": {"replicas": 1, "template": {}}}
    account = {"kind": "ServiceAccount", "metadata": {"name": "velero"}}
    assert held(deployment) == {"kind": "Deployment", "spec": {"replicas": 0, "template": {}}}
    assert held(account) is account
