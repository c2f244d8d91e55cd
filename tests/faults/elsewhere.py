"""The rows of the table whose cases are tests and measurements of their own, and are counted here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from tests.faults.table import Row

ROOT = Path(__file__).parents[2]
SOAK = ROOT / "out" / "soak" / "report.json"
CLEAN_RUNS = 100
ENOUGH_WRITES = 1_000_000
_SECONDS = 1800.0
Say = Callable[[str], None]


def tests(
    fault: str, how: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> Row:
    """Runs tests; each is a case."""
    row = Row(fault, how=how)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="landfall-faults-") as name:
        report = Path(name) / "report.xml"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", *arguments,
             f"--junitxml={report}"],
            cwd=ROOT, env={**os.environ, **(environment or {})}, timeout=_SECONDS, check=False,
            capture_output=True, text=True,
        )  # fmt: skip
        if not report.exists():
            row.not_run = f"pytest wrote no report: {done.stdout[-500:]}{done.stderr[-500:]}"
            return row
        # our own file; nothing of it comes from elsewhere
        for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314
            wrong = case.find("failure") if case.find("failure") is not None else case.find("error")
            if case.find("skipped") is None:
                said = f"{case.get('classname')}::{case.get('name')}"
                row.count("" if wrong is None else f"{said}: {wrong.get('message', '')[:300]}")
    row.seconds = time.monotonic() - begun
    if not row.cases:
        row.not_run = "every test was skipped"
    return row


def data_mismatch(_say: Say) -> Row:
    """One row that differs in each way that there is; and clean runs without a false alarm."""
    path = "tests/replication/test_verification.py"
    row = tests("data mismatch", "two real servers", [path], {"CLEAN_RUNS": str(CLEAN_RUNS)})
    if row.held == row.cases and not row.not_run:
        row.cases, row.held = row.cases + CLEAN_RUNS - 1, row.held + CLEAN_RUNS - 1
    return row


def stale_configuration(_say: Say) -> Row:
    """What is checked is what pods are connected to, and not what their settings say."""
    names = ["tests/cutover/test_conditions.py", "tests/cutover/test_phase_2.py", "-k", "connect or restart"]
    return tests("stale configuration", "tests", names)


def secrets(_say: Say) -> Row:
    """Canaries through everything."""
    return tests("secrets", "tests", ["tests/secrets", "-m", "not lab"])


def lost_writes(_say: Say) -> Row:
    """What `make soak` has found, as it last ran here."""
    row = Row("lost writes", how="two real servers, `make soak`")
    try:
        totals = json.loads(SOAK.read_text())["totals"]
    except FileNotFoundError:
        row.not_run = "run `make soak` before; it writes out/soak/report.json"
        return row
    row.cases = int(totals["writes_acknowledged"])
    row.held = row.cases - int(totals["writes_lost"]) - int(totals["writes_duplicated"])
    if row.cases < ENOUGH_WRITES:
        row.failures.append(f"{row.cases} acknowledged writes are fewer than {ENOUGH_WRITES}")
        row.held = min(row.held, row.cases - 1)
    return row
