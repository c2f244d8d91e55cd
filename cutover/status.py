"""Where a cutover stands, from its plan and its journal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from cutover.history import BACK, OPERATOR, History, Status
from cutover.lease import Holder
from cutover.plan import Plan


def status_of(
    plan: Plan, history: History, *, running: bool, program: str = "cutover", holder: Holder | None = None
) -> dict[str, Any]:
    """The status as JSON. `next` is the command that goes on from here.

    `program`: how the command line was called, with the options that say where and what. `holder`: the runner
    that is at work.
    """
    steps = [
        {
            "id": step.id,
            "stage": stage.id,
            "title": step.title,
            "owner": step.owner,
            "status": str(history.step(step.id).status),
            "attempts": history.step(step.id).attempts,
            "seconds": history.step(step.id).seconds,
            "error": history.step(step.id).error,
        }
        for stage in plan.stages
        for step in stage.steps
    ]
    waiting = [
        {"step": step.id, "owner": step.owner, "instructions": history.step(step.id).waiting}
        for step in plan.steps
        if history.step(step.id).waiting
    ]
    heading = history.heading
    return {
        "plan": plan.id,
        "plan_hash": history.plan_hash or plan.hash,
        "plan_changed": history.plan_hash not in ("", plan.hash),
        "environment": plan.environment,
        "running": running,
        "holder": asdict(holder) if holder else None,
        "heading": None if heading is None else {"direction": heading.direction, "until": heading.until},
        "outcome": history.outcome,
        "reason": history.reason,
        "stages": [
            {"id": stage.id, "title": stage.title, "status": _stage(plan, history, stage.id)}
            for stage in plan.stages
        ],
        "steps": steps,
        "done": [step["id"] for step in steps if step["status"] == Status.DONE],
        "waiting": waiting,
        "program": program,
        "next": f"{program} {_next(plan, history, waiting, running=running)}",
    }


def _stage(plan: Plan, history: History, stage_id: str) -> str:
    found = {history.step(step.id).status for step in plan.stage(stage_id).steps}
    if found == {Status.DONE}:
        return "done"
    return "pending" if found == {Status.PENDING} else "under way"


def _next(plan: Plan, history: History, waiting: list[dict[str, str]], *, running: bool) -> str:
    if running:
        return f"approve {waiting[0]['step']} --as NAME --note TEXT" if waiting else "status"
    heading = history.heading
    adopt = " --adopt-plan" if history.plan_hash not in ("", plan.hash) else ""
    # an automatic undo that is not finished is finished by `run`, before anything else
    to = (
        f" --to {heading.until}"
        if heading is not None and heading.until and heading.cause == OPERATOR
        else ""
    )
    if heading is not None and heading.direction == BACK and heading.cause == OPERATOR:
        return f"rollback{to}{adopt}"
    if history.outcome == "succeeded":
        return "report"
    return f"run{to}{adopt}"


def render_status(found: dict[str, Any]) -> str:
    """The status for people."""
    return "\n".join(_lines(found))


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield f"plan {found['plan']} of {found['environment']}, hash {found['plan_hash'][:12]}"
    if found["plan_changed"]:
        yield "the plan or its settings have changed since it was begun"
    holder = found.get("holder")
    who = f": process {holder['pid']} on {holder['host']}, lease {holder['id']}" if holder else ""
    yield f"a runner is at work{who}" if found["running"] else "no runner is at work"
    if found["outcome"]:
        yield f"the last run: {found['outcome']}{f' ({reason})' if (reason := found['reason']) else ''}"
    for stage in found["stages"]:
        yield f"{stage['id']}: {stage['status']}"
        for step in found["steps"]:
            if step["stage"] == stage["id"]:
                error = f": {step['error']}" if step["error"] else ""
                yield f"    {step['status']:<12} {step['id']}{error}"
    for item in found["waiting"]:
        yield f"waiting for {item['owner']}: {item['step']}: {item['instructions']}"
        yield f"    once it is done: {found['program']} approve {item['step']} --as NAME --note TEXT"
    yield f"next: {found['next']}"
