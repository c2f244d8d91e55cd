"""A move of 3scale on which everything goes wrong: it stops with a cause and a way on, and goes back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.lab.nights import assert_stopped
from tests.setup.fakes import run_in_world

HALTED = 4
STOPS = {
    "a wrong version on the migration cluster": ("install-threescale", ("2.14", "2.13"), "red-hat-ready"),
    "a bucket that lacks a Secret": ("confirm-bucket", ("zync",), "customer-ready"),
    "a dump that is cut short": (
        "load-database",
        ("dumps/source-system", "cut short", "cutover rollback --to"),
        "convert",
    ),
    "a row that PostgreSQL refuses": ("convert-database", ("legacy_visits",), "convert"),
    "an operator that reverts a change": (
        "scale-down-migration",
        ("somebody else scales it", "pause them"),
        "connect",
    ),
    "a tenant that does not answer": ("resync-destination", ("partner-admin", "HostAlreadyClaimed"), "serve"),
    "a Secret that cannot be written": ("create-default-tenant", ("system-seed", "immutable"), "serve"),
}
"""Step, words of the reason, and the stage to which the command that goes on leads."""
GOES_ON = (
    "a queue that is not empty",
    "a row that PostgreSQL refuses, then",
    "an operator that reverts a change, then",
    "to the last stage with a way back",
    "and back",
    "audit",
)


@pytest.mark.lab
def test_each_fault_is_named_with_a_way_on_and_the_source_serves_again(folder: Path) -> None:
    seen = json.loads(run_in_world("tests.lab.night_of_rhoam", folder, seconds=1800))

    for fault, (step, words, stage) in STOPS.items():
        assert_stopped(fault, seen[fault], code=HALTED, step=step, words=words, goes_on=f"run --to {stage}")
    for overcome in GOES_ON:
        assert seen[overcome]["code"] == 0, seen[overcome]["printed"][-3000:]
    accepted = seen["the loss that was accepted"]
    assert accepted["lost"] == 1
    assert accepted["approved_by"] == "lab Customer"
    assert "outcome: rolled back" in seen["and back"]["printed"]
    assert seen["failed"] == []
    assert seen["lost"] == []
    assert seen["differences"] == []
    assert seen["operator"] == 1
