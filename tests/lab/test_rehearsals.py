"""Rehearsals, as `make rehearse` runs them: two side by side, each with its runner killed.

Each makes a world of its own, whether or not the tests run in one already.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.world import INSIDE

REPOSITORY = Path(__file__).resolve().parents[2]
# far more than a rehearsal takes: only one that hangs is meant
_MOST_SECONDS = 1800

pytestmark = pytest.mark.lab


@dataclass(frozen=True)
class Started:
    """A rehearsal under way."""

    process: subprocess.Popen[bytes]
    folder: Path
    mark: str

    def report(self, plan: str = "boss-corestone") -> Mapping[str, Any]:
        """Wait for its end; the report that it wrote."""
        code = self.process.wait(timeout=_MOST_SECONDS)
        printed = (self.folder / "printed.log").read_text()
        assert code == 0, printed[-6000:]
        found: dict[str, Any] = json.loads((self.folder / "out" / plan / "report.json").read_text())
        return found

    def left_behind(self) -> list[str]:
        """Processes that still carry its mark, and what lies in its folder for temporary files."""
        processes = [
            entry.name
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and self.mark.encode() in _environment(entry)
        ]
        return [*processes, *(str(path) for path in (self.folder / "tmp").iterdir())]


def _environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:  # it ended meanwhile
        return b""


def _start(folder: Path, **variables: str) -> Started:
    mark = uuid.uuid4().hex
    (folder / "tmp").mkdir(parents=True)
    own = {key: value for key, value in os.environ.items() if key != INSIDE}
    environment = {**own, **variables, "OUT": str(folder / "out"), "LANDFALL_TEST_MARK": mark}
    with (folder / "printed.log").open("wb") as printed:
        process = subprocess.Popen(
            [sys.executable, "-m", "lab", "rehearse"],
            cwd=REPOSITORY,
            env={**environment, "TMPDIR": str(folder / "tmp")},
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
    return Started(process, folder, mark)


def _tracked_changes() -> str:
    argv = ["git", "-C", str(REPOSITORY), "status", "--porcelain"]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


def test_there_and_back_side_by_side_with_runners_killed(folder: Path) -> None:
    before = _tracked_changes()
    shared = {"RATE": "50", "ENGINE": "lab"}
    there = _start(folder / "there", KILL="4", SEED="1", **shared)
    back = _start(folder / "back", UNTIL="phase-1", THEN="rollback", KILL="2", SEED="2", **shared)
    try:
        reports = {"succeeded": there.report(), "rolled back": back.report()}
    finally:
        there.process.terminate()
        back.process.terminate()
        there.process.wait(60)
        back.process.wait(60)
    for outcome, report in reports.items():
        assert report["outcome"] == outcome
        traffic = report["traffic"]
        assert traffic["requests"] > 0
        for name in ("failed", "reads_failed", "unknown_outcome", "writes_lost", "writes_duplicated"):
            assert traffic[name] == 0, name
        assert traffic["stale_clients"]["requests"] > 0
        assert traffic["stale_clients"]["failed"] == 0
    assert [len(report["faults_injected"]) for report in reports.values()] == [4, 2]
    there_only = reports["succeeded"]
    assert there_only["replication"]["kind"] == "native"
    assert there_only["verification"]["mismatches"] == 0
    assert all(criterion["holds"] for criterion in there_only["criteria"])
    assert there.left_behind() == []
    assert back.left_behind() == []
    assert _tracked_changes() == before


def test_a_plan_of_ones_own_is_rehearsed_there_and_back(folder: Path) -> None:
    plan = "docs.examples.one_domain:one_domain"
    started = _start(folder / "own", PLAN=plan, BEFORE="connect", THEN="rollback", RATE="60", ENGINE="lab")
    try:
        report = started.report(plan)
    finally:
        started.process.terminate()
        started.process.wait(60)
    assert (report["plan"], report["outcome"]) == ("one-domain", "rolled back")
    assert [item["step"] for item in report["approvals"]] == ["tell-customers"]
    assert report["traffic"]["requests"] > 0
    for name in ("failed", "reads_failed", "unknown_outcome", "writes_lost", "writes_duplicated"):
        assert report["traffic"][name] == 0, name
    assert started.left_behind() == []


def test_wrong_options_are_all_named_at_once(tmp_path: Path) -> None:
    started = _start(tmp_path, PLAN="nobody's", RATE="fast", THEN="forward", KILL="-1")
    assert started.process.wait(timeout=60) == 1
    printed = (tmp_path / "printed.log").read_text()
    for option in ("PLAN=nobody's", "RATE=fast", "THEN=forward", "KILL=-1"):
        assert option in printed
