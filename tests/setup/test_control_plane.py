"""One real control plane in a world of its own: its controllers act on what is asked of its API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent

pytestmark = pytest.mark.lab


def test_a_deployment_gets_its_replica_set_and_pods(tmp_path: Path) -> None:
    scenario = [sys.executable, "-m", "tests.setup.one_control_plane", str(tmp_path)]
    result = subprocess.run(
        [sys.executable, "-m", "lab.world", "--", *scenario],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert result.returncode == 0, result.stderr
    seen = json.loads(result.stdout.splitlines()[-1])
    assert seen["replica_sets"] == [2]
    assert seen["pods"] == ["Pending", "Pending"]
    assert seen["kube_dns"] == "192.0.2.138"
    assert seen["api_addresses"] == ["203.0.113.12"]
    assert seen["contexts"] == ["huawei"]
    assert "192.0.2.138" in seen["proxied"]
    assert seen["node_may_delete_secrets"] is False
