"""What comes next, from the plan and the journal alone: no effects, no clock, no outside world."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.history import FORWARD, Heading, History, Status
from cutover.plan import NoReturn, Plan, Step


@dataclass(frozen=True)
class Do:
    """Do a step."""

    step: Step
    look_first: bool
    """It may have taken effect already: observe before repeating it."""
    broken_off: bool
    """It was ended in the middle, with its runner or by a time limit: repair what it may have left."""


@dataclass(frozen=True)
class TakeBack:
    """Undo a step."""

    step: Step
    broken_off: bool


@dataclass(frozen=True)
class Refuse:
    """The heading cannot be followed."""

    reason: str


@dataclass(frozen=True)
class Reached:
    """Nothing is left to do for this heading."""


Decision = Do | TakeBack | Refuse | Reached


def decide(plan: Plan, history: History, heading: Heading) -> Decision:
    """The next step towards a heading. Raises PlanError for a stage that the plan does not have."""
    if heading.direction == FORWARD:
        for step in plan.through(heading.until):
            status = history.step(step.id).status
            if status != Status.DONE:
                return Do(step, status != Status.PENDING, _broken_off(history, step))
        return Reached()
    left = [step for step in plan.beyond(heading.until) if history.step(step.id).status != Status.PENDING]
    for step in left:
        if isinstance(step.way_back, NoReturn):
            return Refuse(f"step {step.id} was begun, and from there is no return: {step.way_back.reason}")
    if left:
        last = left[-1]
        return TakeBack(last, _broken_off(history, last))
    return Reached()


def _broken_off(history: History, step: Step) -> bool:
    found = history.step(step.id)
    return found.status in (Status.BEGUN, Status.UNDO_BEGUN) or found.cut_off


def stage_before(plan: Plan, stage_id: str) -> str | None:
    """The stage that a rollback of `stage_id` goes back to; None: the plan's start."""
    names = [stage.id for stage in plan.stages]
    at = names.index(stage_id)
    return names[at - 1] if at else None
