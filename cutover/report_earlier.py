"""Reports of other runs of a plan: kept when a new one is written, and compared with it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from cutover.errors import PlanError
from cutover.report_model import Report, read_report

FOLDER = "earlier"
SHOWN = 10
"""How many a report compares itself with: the newest."""


def keep_earlier(folder: Path, started: str) -> None:
    """Puts the report that lies in a folder aside, if it is another run's. Raises PlanError."""
    path = folder / "report.json"
    try:
        other = read_report(path)
    except PlanError:
        return  # none, or one that cannot be compared with: it is written over
    if other.started == started:
        return
    name = re.sub(r"[^0-9TZ]", "", other.started.partition("+")[0])
    try:
        (folder / FOLDER).mkdir(exist_ok=True)
        for old in (path, path.with_suffix(".html")):
            if old.exists():
                old.replace(folder / FOLDER / f"{name}{old.suffix}")
    except OSError as error:
        raise PlanError(f"the report of the run before could not be kept: {error}") from error


def earlier_reports(folder: Path, more: Iterable[Path], plan: str, started: str) -> tuple[Report, ...]:
    """Those kept in a folder, and others by name, the oldest first. Raises PlanError for the latter."""
    found = {report.started: report for report in (*_kept(folder / FOLDER), *map(read_report, more))}
    for report in found.values():
        if report.plan != plan:
            raise PlanError(f"a report to compare with is of plan {report.plan!r}, not of {plan}")
    found.pop(started, None)
    return tuple(found[key] for key in sorted(found))[-SHOWN:]


def _kept(folder: Path) -> Iterator[Report]:
    for path in sorted(folder.glob("*.json")):
        try:
            yield read_report(path)
        except PlanError:
            continue  # of a later version, or cut off: it cannot be compared with


def planned_times(reports: Iterable[Report]) -> dict[str, float]:
    """Seconds by step, from the newest run that came to its end."""
    for report in sorted(reports, key=lambda found: found.started, reverse=True):
        if report.outcome == "succeeded":
            return {step.id: step.seconds for step in report.steps if step.attempts}
    return {}
