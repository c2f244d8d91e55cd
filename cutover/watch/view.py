"""What the page shows, as JSON: the plan once, and where it stands again and again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cutover.approvals import digest
from cutover.decide import Do, Refuse, TakeBack, decide
from cutover.history import BACK, FORWARD, OPERATOR, Heading, History, Status
from cutover.journal import Record
from cutover.narrative import tell
from cutover.plan import Keep, NoReturn, Plan, Step, Undo
from cutover.status import status_of
from cutover.way_back import way_back

LINES = 200
"""How many lines of what happened a page gets that is opened late."""
_AHEAD = 3


def plan_view(plan: Plan, expected: Mapping[str, float]) -> dict[str, Any]:
    """What does not change while it runs."""
    return {
        "id": plan.id,
        "title": plan.title,
        "environment": plan.environment,
        "hash": plan.hash[:12],
        "owners": list(plan.owners),
        "stages": [
            {
                "id": stage.id,
                "title": stage.title,
                "phase": stage.phase,
                "steps": [_step(step, expected) for step in stage.steps],
            }
            for stage in plan.stages
        ],
    }


def _step(step: Step, expected: Mapping[str, float]) -> dict[str, Any]:
    match step.way_back:
        case Undo():
            back = "undone"
        case Keep(reason):
            back = f"nothing to undo: {reason}"
        case NoReturn(reason):
            back = f"no way back: {reason}"
    return {
        "id": step.id,
        "title": step.title,
        "owner": step.owner,
        "affects": step.affects_service,
        "planned": expected.get(step.id),
        "limit": step.timeout_seconds,
        "does": step.action.describe(),
        "before": [condition.describe() for condition in step.gates],
        "after": [condition.describe() for condition in step.checks],
        "back": back,
    }


def steps_view(history: History, names: Iterable[str]) -> dict[str, Any]:
    """Where steps stand, by id."""
    found = {}
    for name in names:
        step = history.step(name)
        found[name] = {
            "status": "undone" if step.status == Status.PENDING and step.rounds else str(step.status),
            "seconds": step.seconds,
            "attempts": step.attempts,
            "began": step.began,
            "ended": step.ended,
            "error": step.error,
            "approved": f"{step.approval.by}: {step.approval.note}" if step.approval else "",
            "waiting": bool(step.waiting),
        }
    return found


def head_view(
    plan: Plan, history: History, last: Record | None, *, running: bool, program: str
) -> dict[str, Any]:
    """Everything but the steps: it is small, and sent with every change."""
    status = status_of(plan, history, running=running, program=program)
    ahead = _ahead(plan, history)
    died = history.heading is not None and not history.outcome and not running
    return {
        "condition": _condition(history, running=running, died=died, waiting=bool(status["waiting"])),
        "running": running,
        "died": died,
        "direction": history.heading.direction if history.heading else "",
        "outcome": history.outcome,
        "reason": history.reason,
        "started": history.started,
        "finished": history.finished,
        "last": last.at if last else "",
        "records": last.number + 1 if last else 0,
        "changed": status["plan_changed"],
        "now": ahead[0] if running and ahead else "",
        "next": ahead[1:] if running else ahead[:_AHEAD],
        "waiting": [{**item, "asked": digest(item["instructions"])} for item in status["waiting"]],
        "command": status["next"],
        "way_back": way_back(plan, history),
        "done": len(status["done"]),
        "total": len(plan.steps),
    }


def _condition(history: History, *, running: bool, died: bool, waiting: bool) -> str:
    """One word or two for the top of the page."""
    if died:
        return "runner died"
    if running:
        back = history.heading is not None and history.heading.direction == BACK
        return "waiting" if waiting else "going back" if back else "under way"
    return history.outcome or "not begun"


def _ahead(plan: Plan, history: History) -> list[str]:
    """The step that is worked on, or would be, and those behind it."""
    heading = history.heading or Heading(FORWARD, None, OPERATOR)
    match decide(plan, history, heading):
        case Do(step, _, _):
            names = [other.id for other in plan.steps if history.step(other.id).status != Status.DONE]
            return names[names.index(step.id) :][: _AHEAD + 1]
        case TakeBack(step, _):
            names = [other.id for other in plan.beyond(heading.until)]
            return names[: names.index(step.id) + 1][::-1][: _AHEAD + 1]
        case Refuse():
            return []
    return []


def lines_view(records: Iterable[Record], owners: dict[str, str]) -> list[dict[str, Any]]:
    """What happened, a line a record."""
    told = ((record, tell(record, owners)) for record in records)
    return [{"n": record.number, "at": record.at, "text": text} for record, text in told if text]
