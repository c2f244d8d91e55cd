"""The time in which a plan stops service: how long, on whom it waited, what could have been ahead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from cutover.critical_path import critical_path
from cutover.history import BACK, FORWARD, History
from cutover.journal import Record
from cutover.plan import Plan, Step
from cutover.report_model import AheadReport, OwnerReport, WindowReport


def window_steps(plan: Plan) -> tuple[Step, ...]:
    """The steps from the one that stops service to the one behind which everybody is served again."""
    if plan.window is None:
        return ()
    names = [step.id for step in plan.steps]
    return plan.steps[names.index(plan.window.begins) : names.index(plan.window.ends) + 1]


def could_be_ahead(plan: Plan, owner: str | None) -> tuple[Step, ...]:
    """The steps of the window that an owner, or anybody, could do before it begins."""
    return tuple(step for step in window_steps(plan) if step.could_be_ahead and owner in (None, step.owner))


def window_of(
    plan: Plan, records: Iterable[Record], history: History, planned: Mapping[str, float]
) -> WindowReport | None:
    """The last window of a journal; None where service was not stopped."""
    began, ended, last = _span(plan, records)
    if plan.window is None or began is None:
        return None
    steps = [step for step in window_steps(plan) if history.step(step.id).attempts]
    took = {step.id: history.step(step.id).seconds for step in steps}
    path = [name for name in critical_path(plan, took).steps if name in took]
    return WindowReport(
        began=began,
        ended=ended,
        seconds=_seconds(began, ended or last),
        planned_seconds=round(sum(planned.get(step.id, 0.0) for step in steps), 3),
        agreed_seconds=plan.window.agreed_seconds,
        steps=tuple(took),
        critical_path=tuple(path),
        owners=tuple(
            OwnerReport(
                owner=owner,
                steps=len(own),
                planned_seconds=round(sum(planned.get(step.id, 0.0) for step in own), 3),
                seconds=round(sum(took[step.id] for step in own), 3),
                critical_seconds=round(sum(took[step.id] for step in own if step.id in path), 3),
            )
            for owner in plan.owners
            if (own := [step for step in steps if step.owner == owner])
        ),
        ahead=tuple(
            AheadReport(id=step.id, seconds=took[step.id], why=step.could_be_ahead)
            for step in steps
            if step.could_be_ahead
        ),
    )


def _span(plan: Plan, records: Iterable[Record]) -> tuple[str | None, str | None, str]:
    """When the last window began and ended, and when the journal ends. A rollback past its begin ends it."""
    began = ended = None
    last = ""
    for record in records:
        last = record.at
        if plan.window is None or record.kind not in ("intent", "outcome"):
            continue
        step, direction = record.data["step"], record.data["direction"]
        stops = record.kind == "intent" and direction == FORWARD and step == plan.window.begins
        if stops and (began is None or ended is not None):
            began, ended = record.at, None
        if record.kind != "outcome" or record.data["result"] != "done":
            continue
        forward = direction == FORWARD and step == plan.window.ends
        back = direction == BACK and step == plan.window.begins
        if began is not None and ended is None and (forward or back):
            ended = record.at
    return began, ended, last


def _seconds(began: str, ended: str) -> float:
    span = datetime.fromisoformat(ended) - datetime.fromisoformat(began)
    return round(span.total_seconds(), 3)
