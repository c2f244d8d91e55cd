"""What concerns one owner: what waits for them, what they may do already, and what comes to them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from cutover.actions.person import Person
from cutover.errors import PlanError
from cutover.history import History, Status
from cutover.plan import Plan, Step
from cutover.times import duration, said_by

_COMING = 10
"""So many of the steps that come are shown."""


def find_owner(plan: Plan, asked: str) -> str:
    """An owner by their name or a part of it. Raises PlanError where it is nobody's, or several's."""
    words = re.findall(r"[a-z0-9]+", asked.lower())
    found = [owner for owner in plan.owners if words and all(word in owner.lower() for word in words)]
    exact = [owner for owner in found if owner.lower() == asked.lower()]
    if len(exact or found) != 1:
        raise PlanError(
            f"--owner {asked}: expected one of {', '.join(plan.owners)}, or a part of one's name"
            + (f", not of {len(found)}" if found else "")
        )
    return (exact or found)[0]


def owner_status(
    plan: Plan,
    history: History,
    owner: str,
    now: datetime,
    *,
    running: bool,
    given: frozenset[str],
    program: str,
) -> dict[str, Any]:
    """As JSON. `given`: steps whose approval was left for the runner."""
    steps = [step for step in plan.steps if step.owner == owner]
    planned = said_by(plan)
    left = [step for step in steps if history.step(step.id).status != Status.DONE]
    waiting = [_waiting(step, history, now) for step in steps if history.step(step.id).waiting]
    early = [
        {
            "step": step.id,
            "title": step.title,
            "instructions": step.action.asked_early,
            "approved": step.id in given,
        }
        for step in left
        if isinstance(step.action, Person)
        and step.action.asked_early
        and history.step(step.id).status == Status.PENDING
        and not history.step(step.id).waiting
    ]
    named = {item["step"] for item in (*waiting, *early)}
    return {
        "plan": plan.id,
        "environment": plan.environment,
        "owner": owner,
        "running": running,
        "waiting": waiting,
        "may_be_done": early,
        "failed": [
            {"step": step.id, "error": history.step(step.id).error}
            for step in left
            if history.step(step.id).error
        ],
        "coming": [
            {
                "step": step.id,
                "title": step.title,
                "planned_seconds": planned.get(step.id),
                "asks": step.action.asks,
            }
            for step in left
            if step.id not in named
        ],
        "done": [step.id for step in steps if history.step(step.id).status == Status.DONE],
        "routes": list(history.facts.get("routes", ())),
        "program": program,
    }


def _waiting(step: Step, history: History, now: datetime) -> dict[str, Any]:
    found = history.step(step.id)
    since = datetime.fromisoformat(found.waiting_since) if found.waiting_since else now
    seconds = max(0.0, (now - since).total_seconds())
    due = step.action.due_seconds if isinstance(step.action, Person) else None
    return {
        "step": step.id,
        "title": step.title,
        "instructions": found.waiting,
        "waited_seconds": round(seconds),
        "late": due is not None and seconds >= due,
        "reminders": found.reminders,
    }


def render_owner(found: dict[str, Any]) -> str:
    """For people."""
    return "\n".join(_lines(found))


def _lines(found: dict[str, Any]) -> Iterator[str]:
    program = found["program"]
    yield f"plan {found['plan']} of {found['environment']}, for {found['owner']}"
    yield "a runner is at work" if found["running"] else "no runner is at work"
    if not found["waiting"]:
        yield "nothing waits for you now"
    for item in found["waiting"]:
        late = ", and is late" if item["late"] else ""
        yield f"waits for you for {duration(item['waited_seconds'])}{late}: {item['step']}: {item['title']}"
        yield f"    {item['instructions']}"
        yield f"    once it is done: {program} approve {item['step']} --as NAME --note TEXT"
    for item in found["failed"]:
        yield f"did not succeed: {item['step']}: {item['error']}"
    for item in found["may_be_done"]:
        if item["approved"]:
            yield f"approved already, and taken when it is its turn: {item['step']}: {item['title']}"
            continue
        yield f"may be done already: {item['step']}: {item['title']}"
        yield f"    {item['instructions']}"
        yield f"    once it is done: {program} approve {item['step']} --as NAME --note TEXT"
    for item in found["coming"][:_COMING]:
        planned = f", planned {duration(item['planned_seconds'])}" if item["planned_seconds"] else ""
        asks = "; will ask you" if item["asks"] else ""
        yield f"comes: {item['step']}: {item['title']}{planned}{asks}"
    if len(found["coming"]) > _COMING:
        yield f"comes: {len(found['coming']) - _COMING} more"
    for route in found["routes"]:
        yield f"new route: {route['for']}: https://{route['host']}"
    yield f"done: {', '.join(found['done']) or 'nothing yet'}"
