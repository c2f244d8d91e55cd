"""All clouds of a lab: every service does what the documents say, and every fault does what it is called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.setup.fakes import run_in_world

BOSS, CORESTONE = "bill.truewatch.com", "corestone.truewatch.com"


@pytest.mark.lab
def test_the_services_of_the_document_and_the_faults(tmp_path: Path) -> None:
    seen = json.loads(run_in_world("tests.edge.whole_lab", tmp_path))

    assert seen == {
        "healthy": ["200", "200"],
        "automata": "http://webportal.billing-guance-intl",
        "inner apps": ["", ""],
        "report": ["try 1: taken"],
        "reports": [1],
        "encrypted": True,
        "ingress log": [[BOSS, "kodo/1.0"], [CORESTONE, "inner-app/1.0"]],
        "boss log": [
            ["webportal.billing-guance-intl", "automata/1.0"],
            ["webportal.billing-guance-intl.svc.cluster.local", "invoice-exporter/1.0"],
        ],
        "redirected": f"https://{BOSS}",
        "failed calls": 0,
        "kodo tries again": ["try 1: status 503", "try 2: taken"],
        "failing": ["500", "200"],
        "no longer failing": "200",
        "usage": "202",
        "waiting": 1,
        "committed": 1,
        "forgotten": ["203.0.113.64", "TimeoutError"],
        "let in": "connected",
        "left out": {"velero.io/exclude-from-backup": "true"},
        "not left out": "",
        "in the way": "nowhere",
        "out of the way": "",
        "limited": "429",
        "not limited": "200",
        "changed": "203.0.113.99",
    }
