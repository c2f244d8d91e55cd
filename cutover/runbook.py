"""A plan as a runbook for people, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cutover.actions.base import Condition
from cutover.plan import Keep, NoReturn, Plan, Step, Undo


def markdown(plan: Plan) -> str:
    """The runbook."""
    return "\n".join(_lines(plan)) + "\n"


def _lines(plan: Plan) -> Iterator[str]:
    yield f"# {plan.title}"
    yield ""
    yield f"Plan `{plan.id}` for environment `{plan.environment}`, hash `{plan.hash[:12]}`. It carries out"
    yield f'"{plan.document.title}".'
    for number, stage in enumerate(plan.stages, 1):
        yield ""
        phase = f" ({stage.phase})" if stage.phase else ""
        yield f"## {number}. {stage.id}: {stage.title}{phase}"
        for step in stage.steps:
            yield ""
            yield from _step(step, plan)
    yield ""
    yield "## The way back"
    yield ""
    yield "`cutover rollback` undoes from the last step to the first:"
    yield ""
    for step in reversed(plan.steps):
        match step.way_back:
            case Undo():
                yield f"1. undo `{step.id}` ({step.title})"
            case NoReturn(reason):
                yield f"1. **no way back** behind `{step.id}`: {reason}"
    if plan.document.differs:
        yield ""
        yield "## Where this plan does otherwise than the document"
        yield ""
        for text in plan.document.differs:
            yield f"- {text}"
    if plan.document.left_out:
        yield ""
        yield "## What this plan leaves out of the document"
        yield ""
        for line, reason in plan.document.left_out.items():
            yield f"- {plan.document.lines.get(line, line)} (`{line}`): {reason}"


def _step(step: Step, plan: Plan) -> Iterator[str]:
    yield f"### `{step.id}`: {step.title}"
    yield ""
    affects = "**affects service**" if step.affects_service else "does not affect service"
    yield f"- Owner: {step.owner}; {affects}; at most {_duration(step.timeout_seconds)}"
    for line in step.fulfils:
        yield f'- Document: "{plan.document.lines.get(line, "?")}" (`{line}`)'
    if step.reason:
        yield f"- Why: {step.reason}"
    yield from _conditions("Before", step.gates)
    yield f"- Does: {step.action.describe()}"
    yield from _conditions("After", step.checks)
    match step.way_back:
        case Undo(gates=gates, checks=checks):
            yield "- Way back: undone"
            yield from _conditions("Before undoing", gates)
            yield from _conditions("After undoing", checks)
        case Keep(reason):
            yield f"- Way back: nothing to undo, {reason}"
        case NoReturn(reason):
            yield f"- Way back: **none**, {reason}"


def _conditions(word: str, conditions: Iterable[Condition]) -> Iterator[str]:
    for condition in conditions:
        yield f"- {word}: {condition.describe()}"


def _duration(seconds: float) -> str:
    return (
        f"{seconds:g} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.0f} h"
    )
