"""Durations for people, and how long steps took before: in an earlier run, or in a rehearsal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from cutover.errors import PlanError
from cutover.plan import Plan


def duration(seconds: float) -> str:
    """Short, in at most two units."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return (
            f"{whole // 60} min {whole % 60} s" if whole % 60 and whole < 600 else f"{round(whole / 60)} min"
        )
    return f"{whole // 3600} h {whole % 3600 // 60} min" if whole % 3600 // 60 else f"{whole // 3600} h"


def expected_times(plan: Plan, report: Path | None, usual: Path) -> Mapping[str, float]:
    """Seconds by step: as the plan says, else from the report of an earlier run of it.

    `report`: named by somebody, so it must be there, and what it says goes before the plan. `usual`: where a
    rehearsal leaves one.

    Raises:
        PlanError: the named report cannot be read, or is another plan's.
    """
    path = report or usual
    said = said_by(plan)
    if report is None and not usual.exists():
        return said
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["plan"] != plan.id:
            raise PlanError(f"{path} is the report of plan {found['plan']!r}, not of {plan.id}")
        took = {str(step["id"]): float(step["seconds"]) for step in found["steps"] if step["attempts"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        if report is None:
            return said
        raise PlanError(f"{path} cannot be read as a report: {error!r}") from error
    known = {step.id for step in plan.steps}
    before = {name: seconds for name, seconds in took.items() if name in known}
    return {**said, **before} if report else {**before, **said}


def said_by(plan: Plan) -> dict[str, float]:
    """Seconds by step, as far as the plan itself says them."""
    return {step.id: step.planned_seconds for step in plan.steps if step.planned_seconds is not None}
