"""The whole estate, as `make estate` runs it: every stack of both environments lives and dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lab.world import INSIDE
from stacks.review import stacks_of
from tests.unit.recording import project_copy

REPOSITORY = Path(__file__).resolve().parents[2]
# far more than it takes: only one that hangs is meant
_MOST_SECONDS = 1800
SLOW = "a preview of prod took "
"""How a problem begins that depends on what else the machine does meanwhile."""

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What an estate in a world of its own reports."""
    folder = tmp_path_factory.mktemp("estate")
    env = {**os.environ, "OUT": str(folder), "TMPDIR": str(folder), "PYTHONPATH": str(REPOSITORY)}
    for name in (INSIDE, "ENV", "KEEP", "ENGINE"):
        env.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-m", "lab", "estate"],
        cwd=REPOSITORY,
        env=env,
        capture_output=True,
        text=True,
        timeout=_MOST_SECONDS,
        check=False,
    )
    file = folder / "estate" / "report.json"
    assert file.exists(), (done.stdout + done.stderr)[-6000:]
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def test_nothing_is_amiss(report: Mapping[str, Any]) -> None:
    assert [problem for problem in report["problems"] if not problem.startswith(SLOW)] == []


def test_every_stack_was_made_looked_at_changed_and_removed(
    report: Mapping[str, Any], tmp_path: Path
) -> None:
    project = project_copy(tmp_path)
    stacks = [*stacks_of(project, "prod"), *stacks_of(project, "rhoam")]
    assert [made["stack"] for made in report["stacks"]] == stacks
    for made in report["stacks"]:
        assert made["resources"] > 1, made
        assert made["outside_change"], made
        assert made["outside_change_found"], made
        assert made["outside_change_healed"], made
        assert (made["changes_after_up"], made["drift"]) == ({}, []), made
        assert made["policy_violations"] == [], made
        assert made["left_after_destroy"] == [], made


def test_what_holds_data_refused_to_go(report: Mapping[str, Any]) -> None:
    refused = {made["stack"] for made in report["stacks"] if made["refuses_destroy"]}
    assert refused == {"prod", "rhoam", "rhoam-migration"}
    kinds = {left.partition(":")[0] for left in report["final_snapshots"]}
    assert kinds == {"elasticache snapshots", "rds db snapshots", "rds option groups"}
    assert len(report["final_snapshots"]) == 4 + 5 + 2, (
        "of databases, of caches, and of MySQL's option groups"
    )


def test_one_line_of_settings_touches_one_resource(report: Mapping[str, Any]) -> None:
    assert [change["change"] for change in report["day_two"]] == [
        "one more node",
        "one more replica of the cache",
        "one more domain",
    ]
    for change in report["day_two"]:
        assert len(change["touches"]) == 1, change
