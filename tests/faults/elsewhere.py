"""The parts of the table that are tests and measurements of their own: they are run here, and counted."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.etree import ElementTree

from tests.faults.table import Part

ROOT = Path(__file__).parents[2]
LONG_SOAK = ROOT / "docs" / "soak.md"
CLEAN_RUNS = 100
SOAK_SECONDS, SOAK_RATE = 45, 600
_SECONDS = 1200.0
Say = Callable[[str], None]
Make = Callable[[Say], Part]


def tests(
    how: str,
    *arguments: str,
    only: str = "",
    in_lab: bool = False,
    environment: Mapping[str, str] | None = None,
    processes: int = 1,
) -> Make:
    """A part each of whose cases is a test.

    Args:
        how: on what they are run.
        arguments: files, and options of pytest.
        only: names of tests, as pytest's `-k`.
        in_lab: those that need a world of the lab's, which are left out otherwise.
        environment: more variables.
        processes: how many tests are run at a time.
    """
    chosen = ["-m", "lab" if in_lab else "not lab", *(["-k", only] if only else [])]
    around = [sys.executable, "-m", "lab.world", "--"] if in_lab else []
    spread = ["-n", "0"] if in_lab or processes < 2 else ["-n", str(processes)]

    def make(_say: Say) -> Part:
        part = Part(how)
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="landfall-faults-") as name:
            report = Path(name) / "report.xml"
            pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *spread]
            try:
                done = subprocess.run(
                    [*around, *pytest, *chosen, *arguments, f"--junitxml={report}"],
                    cwd=ROOT, env={**os.environ, **(environment or {})}, timeout=_SECONDS, check=False,
                    capture_output=True, text=True,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                part.not_run = f"the tests took longer than {_SECONDS:g} s"
                return part
            if not report.exists():
                said = f"{done.stdout[-500:]}{done.stderr[-500:]}"
                part.not_run = f"pytest ended with {done.returncode} and wrote no report: {said}"
                return part
            count(part, report)
        part.seconds = time.monotonic() - begun
        return part

    return make


def count(part: Part, report: Path) -> None:
    """The tests of a report; one that was skipped is no case."""
    # our own file; nothing of it comes from elsewhere
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314
        wrong = case.find("failure") if case.find("failure") is not None else case.find("error")
        if case.find("skipped") is None:
            said = f"{case.get('classname')}::{case.get('name')}"
            part.count("" if wrong is None else f"{said}: {wrong.get('message', '')[:300]}")
    if not part.cases:
        part.not_run = "every test was skipped"


def measured(how: str, module: str, every: int = 1, *, in_lab: bool = False) -> Make:
    """A part whose cases a program runs, which prints them as JSON: what each was, and what was wrong.

    `every`: it runs one of so many.
    """
    around = [sys.executable, "-m", "lab.world", "--"] if in_lab else []

    def make(_say: Say) -> Part:
        part = Part(how + (f", one case of {every}" if every > 1 else ""))
        begun = time.monotonic()
        try:
            done = subprocess.run(
                [*around, sys.executable, "-m", module, str(every)],
                cwd=ROOT, timeout=_SECONDS, check=False, capture_output=True, text=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            part.not_run = f"it took longer than {_SECONDS:g} s"
            return part
        part.seconds = time.monotonic() - begun
        if done.returncode:
            part.not_run = f"it ended with {done.returncode}: {done.stderr[-500:]}"
            return part
        for what, wrong in json.loads(done.stdout.splitlines()[-1]):
            part.count(f"{what}: {wrong}" if wrong else "")
        return part

    return make


def clean_runs(say: Say) -> Part:
    """The same data, looked at many times: no run may say that it differs."""
    path = "tests/replication/test_verification.py"
    wanted = {"CLEAN_RUNS": str(CLEAN_RUNS)}
    part = tests("clean runs, two real databases", path, only="no_run_gives_a_false_alarm",
                 environment=wanted)(say)  # fmt: skip
    if part.holds:
        part.cases = part.held = CLEAN_RUNS
    return part


def lost_writes(_say: Say) -> Part:
    """A short soak of two real databases; a long one takes a quarter of an hour, and is run by itself."""
    part = Part(f"`make soak` for {SOAK_SECONDS} s, two real databases; {long_soak()}")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="landfall-soak-") as name:
        wanted = {"OUT": name, "DURATION": str(SOAK_SECONDS), "RATE": str(SOAK_RATE)}
        done = subprocess.run(
            [sys.executable, "-m", "lab", "soak"],
            cwd=ROOT, env={**os.environ, **wanted}, timeout=_SECONDS, check=False, capture_output=True,
            text=True,
        )  # fmt: skip
        report = Path(name) / "soak" / "report.json"
        if not report.exists():
            part.not_run = f"no report: {done.stderr[-500:]}"
            return part
        totals = json.loads(report.read_text())["totals"]
    part.seconds = time.monotonic() - begun
    part.cases = int(totals["writes_acknowledged"])
    part.held = part.cases - int(totals["writes_lost"]) - int(totals["writes_duplicated"])
    if done.returncode:
        part.held = min(part.held, part.cases - 1)
        part.failures.append(f"the soak ends with {done.returncode}: {done.stderr[-500:]}")
    return part


def long_soak() -> str:
    """What the last long one found, as docs/soak.md tells it."""
    text = LONG_SOAK.read_text(encoding="utf-8")
    date = re.search(r"^## Result of (\S+)", text, re.MULTILINE)
    found = {
        name: re.search(rf"^\| {name} \| \**([\d,]+)\**", text, re.MULTILINE)
        for name in ("acknowledged writes", "lost", "duplicated")
    }
    if date is None or not all(found.values()):
        return "docs/soak.md tells of no long one"
    figures = ", ".join(f"{match[1]} {name}" for name, match in found.items() if match is not None)
    return f"the long one of {date[1]}: {figures}"
