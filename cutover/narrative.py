"""What happened, told from the journal: one line a record, for the page, the terminal and notices."""

from __future__ import annotations

from cutover.history import FORWARD, OPERATOR
from cutover.journal import Record
from cutover.plan import Plan
from cutover.times import duration


def tell(record: Record, owners: dict[str, str]) -> str:
    """A record in words; empty for what only the program needs. `owners`: see owners_of."""
    data = record.data
    step = data.get("step", "")
    match record.kind:
        case "opened":
            text = f"the journal of plan {data['plan']} for {data['environment']} was opened"
        case "plan adopted":
            text = f"the changed plan was adopted: {data['plan_hash'][:12]}"
        case "repaired":
            text = "an unfinished record of a runner that was killed was cut off"
        case "unlocked":
            lost = data["lost"]
            runner = f"process {lost['pid']} on {lost['host']}"
            text = f"the lease was taken from {runner}, which is lost, by {data['by']}: {data['note']}"
        case "started":
            text = _started(record)
        case "intent":
            text = f"{step}: begun" if data["direction"] == FORWARD else f"{step}: undo begun"
        case "outcome":
            text = _outcome(record)
        case "waiting":
            text = f"{step}: waiting for {owners.get(step, 'its owner')}: {data['instructions']}"
        case "approval":
            text = f"{step}: approved by {data['by']}: {data['note']}"
        case "finished":
            reason = f": {data['reason']}" if data["reason"] else ""
            where = f" in {data['step']}" if data.get("step") else ""
            text = f"the run ended: {data['outcome']}{where}{reason}"
        case _:
            text = ""
    return text


def owners_of(plan: Plan) -> dict[str, str]:
    """Each step's owner."""
    return {step.id: step.owner for step in plan.steps}


def _started(record: Record) -> str:
    data = record.data
    until = f"to the end of {data['until']}" if data["until"] else ""
    if data["direction"] == FORWARD:
        return f"a runner goes forward {until or 'to the end'}"
    why = "" if data["cause"] == OPERATOR else f", by itself: {data['cause']}"
    return f"a runner goes back {until or 'to the start'}{why}"


def _outcome(record: Record) -> str:
    data = record.data
    step, took = data["step"], duration(data["seconds"])
    undo = "" if data["direction"] == FORWARD else "undo "
    match data["result"]:
        case "done" if undo:
            return f"{step}: undone in {took}"
        case "done":
            return f"{step}: done in {took}"
        case "blocked":
            return f"{step}: {undo}not begun: {data['error']}"
    return f"{step}: {undo}failed after {took}: {data['error']}"
