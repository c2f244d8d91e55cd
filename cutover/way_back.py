"""The way back, and what it would cost at this moment."""

from __future__ import annotations

from typing import Any

from cutover.actions.database import SwitchDatabase
from cutover.history import History, Status
from cutover.plan import NoReturn, Plan, Step, Undo
from cutover.times import duration


def way_back(plan: Plan, history: History) -> dict[str, Any]:
    """For the page and the terminal: whether there is one, how far back, how long, and what it touches."""
    left = [step for step in plan.steps if history.step(step.id).status != Status.PENDING]
    for step in left:
        if isinstance(step.way_back, NoReturn):
            return _answer(
                possible=False,
                text=f"There is no way back: {step.id} was begun, and from there is no return "
                f"({step.way_back.reason})",
            )
    undone = [step for step in left if isinstance(step.way_back, Undo)]
    if not left:
        return _answer(possible=False, text="Nothing was begun: there is nothing to undo")
    touching = [step for step in undone if step.affects_service]
    service = (
        f"{_count(len(touching), 'of them affects', 'of them affect')} service."
        if touching
        else "None affects service."
    )
    return _answer(
        possible=True,
        text=f"{_count(len(undone), 'step')} would be undone, {_how_long(undone, history)}. {service} "
        f"{_writes(left, history)}",
        to=_ends(plan, history),
        steps=[step.id for step in reversed(undone)],
    )


def _answer(
    *, possible: bool, text: str, to: list[dict[str, str]] | None = None, steps: list[str] | None = None
) -> dict[str, Any]:
    return {"possible": possible, "text": text, "to": to or [], "steps": steps or []}


def _how_long(undone: list[Step], history: History) -> str:
    ahead = sum(history.step(step.id).seconds for step in undone)
    at_most = sum(step.way_back.timeout_seconds for step in undone if isinstance(step.way_back, Undo))
    return f"which took {duration(ahead)} to do and may take {duration(at_most)} at most to undo"


def _writes(left: list[Step], history: History) -> str:
    """What becomes of the writes that are on the target's database alone."""
    for step in left:
        if isinstance(step.action, SwitchDatabase):
            found = history.step(step.id)
            if found.status == Status.DONE:
                since = f"has taken writes since {found.ended[11:19]} UTC"
            else:
                since = "may have taken writes"
            meanwhile = "requests wait" if step.action.parks else "writes are refused"
            return (
                f"The target's database {since}: on the way back {meanwhile} while it is switched back, "
                "and every write is kept, or it stops."
            )
    return "No write is on the target's database alone: none is lost."


def _ends(plan: Plan, history: History) -> list[dict[str, str]]:
    """Where a rollback may go: the start, or the end of a stage that something was done behind."""
    found = [{"id": "", "title": "the start"}]
    begun = [
        stage
        for stage in plan.stages
        if any(history.step(step.id).status != Status.PENDING for step in stage.steps)
    ]
    return found + [{"id": stage.id, "title": f"the end of {stage.id}"} for stage in begun[:-1]]


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
