"""The Huawei RDS of the lab in a world of its own: its address, its security group, its rights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.lab


def test_the_database_is_reached_only_as_a_security_group_allows(tmp_path: Path) -> None:
    scenario = [sys.executable, "-m", "tests.edge.one_database", str(tmp_path)]
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
    assert (seen["inside"], seen["inside with TLS"]) == ("connected", "TLS")
    assert "Network is unreachable" in seen["before the EIP"]
    assert seen["nobody admitted"] == "timed out"
    assert (seen["admitted"], seen["admitted with TLS"]) == ("connected", "TLS")
    assert seen["another source"] == "timed out"
    assert "connected" not in seen["internal address from outside"]
    assert seen["revoked"] == "timed out"
    assert seen["released"] == "timed out"
    assert seen["bound again"] == "connected"
    assert "SUPER" not in seen["administrator"]
    assert "ALL PRIVILEGES" not in seen["administrator"]
    assert "REPLICATION SLAVE" in seen["administrator"]
    assert seen["durability"] == [1, 1, "ROW", 1]
    assert seen["after a restart"] == ["kept"]
    assert seen["after a restart, inside"] == "connected"
    assert seen["leaked"] is False
    assert seen["resolved"] == ["198.51.100.30", ""]
