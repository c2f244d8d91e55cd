"""A short soak: switches there and back while everybody writes, and each write is looked up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.soak.run import Options, soak, summary
from lab.world import LabError


def test_nothing_is_lost_or_duplicated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.soak.run.BETWEEN_SECONDS", (0.3, 0.8))
    options = Options(tmp_path / "soak", duration=6.0, rate=200.0, service_rate=20.0, writes=0, seed=3)

    assert soak(options) == 0

    report = json.loads((tmp_path / "soak" / "report.json").read_text())
    assert report["switches"]["done"] >= 2
    totals = report["totals"]
    assert totals["writes_acknowledged"] > 200
    assert (totals["writes_lost"], totals["writes_duplicated"]) == (0, 0)
    assert report["databases"]["swaps"]["acknowledged"] > 0
    assert report["gap_ms"]["max"] > 0
    assert "0 lost, 0 duplicated" in next(summary(report))


def test_what_is_no_number_is_named() -> None:
    with pytest.raises(LabError, match="RATE"):
        Options.read({"RATE": "fast"})
