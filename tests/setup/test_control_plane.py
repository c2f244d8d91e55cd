"""One real control plane in a world of its own: its controllers act on what is asked of its API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.setup.fakes import run_in_world

pytestmark = pytest.mark.lab


def test_a_deployment_gets_its_replica_set_and_pods(tmp_path: Path) -> None:
    seen = json.loads(run_in_world("tests.setup.one_control_plane", tmp_path))

    assert seen["replica_sets"] == [2]
    assert seen["pods"] == ["Pending", "Pending"]
    assert seen["kube_dns"] == "192.0.2.138"
    assert seen["api_addresses"] == ["203.0.113.12"]
    assert seen["contexts"] == ["huawei"]
    assert "192.0.2.138" in seen["proxied"]
    assert seen["node_may_delete_secrets"] is False
