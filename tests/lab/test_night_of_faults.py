"""A cutover on which everything goes wrong that may: it stops with a cause and a way on, and ends well."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.lab.nights import assert_stopped
from tests.setup.fakes import run_in_world

HALTED, UNDONE, STOPPED = 4, 5, 7
TO_PREPARE, TO_MOVE, TO_CONNECT = (f"run --to {stage}" for stage in ("prepare", "move", "connect"))
STOPS = {
    "a cluster that does not answer": (HALTED, "preflight", ("truewatch-2 does not answer at",), TO_PREPARE),
    "a refused credential": (HALTED, "adopt-records", ("Authentication error",), TO_PREPARE),
    "a skipped object": (
        HALTED,
        "move-objects",
        ("left out ConfigMap billing-guance-intl/boss-config", "velero.io/exclude-from-backup"),
        TO_MOVE,
    ),
    "a NAT address that was not let in": (
        HALTED,
        "open-database",
        ("from aws", "let each of these in at 203.0.113.30:3306"),
        TO_CONNECT,
    ),
    "an expired certificate": (
        HALTED,
        "start-services",
        ("the certificate of bill.truewatch.com has expired", "renewed on the target"),
        "run",
    ),
    "stopped by Ctrl-C": (STOPPED, "soak-bill.truewatch.com", ("stopped at a safe point",), "run"),
    "errors while it soaks": (
        UNDONE,
        "soak-bill.truewatch.com",
        ("status 503", "stage switch is undone"),
        "run",
    ),
    "a record that somebody changed": (
        HALTED,
        "switch-bill.truewatch.com",
        ("update DnsRecord bill.truewatch.com (content); nothing was changed", "who changed it"),
        "run",
    ),
    "data that is never committed": (
        HALTED,
        "drain-source",
        ("BOSS usage: 1 left", "The source stays up"),
        "run",
    ),
}
"""Exit code, step, words of the reason, and the command that goes on."""


@pytest.mark.lab
def test_each_fault_is_named_with_a_way_on_and_the_night_ends_well(folder: Path) -> None:
    seen = json.loads(run_in_world("tests.lab.night_of_faults", folder, seconds=1200))

    for fault, (code, step, words, command) in STOPS.items():
        assert_stopped(fault, seen[fault], code=code, step=step, words=words, goes_on=command)
    assert seen["a cluster that does not answer"]["printed"].count("done so far: nothing") == 1
    assert seen["killed"]["code"] == -9
    for overcome in ("a rate limit", "a skipped object, then", "to the end", "and back", "audit"):
        assert seen[overcome]["code"] == 0, seen[overcome]["printed"][-3000:]
    assert "outcome: reached verify" in seen["to the end"]["printed"]
    assert "outcome: rolled back" in seen["and back"]["printed"]
    assert seen["differences"] == []
