"""A plan as a runbook for people, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from cutover.actions.base import Condition
from cutover.critical_path import critical_path
from cutover.plan import Keep, NoReturn, Plan, Step, Undo
from cutover.times import duration
from cutover.window import could_be_ahead, window_steps

NO_TIMES: Mapping[str, float] = {}


def markdown(plan: Plan, times: Mapping[str, float] = NO_TIMES, owner: str | None = None) -> str:
    """The runbook. `times`: how long steps took before. `owner`: only what this owner does."""
    return "\n".join(_lines(plan, times, owner)) + "\n"


def approval(step: Step) -> str:
    """Whose word a step waits for, and how it is given; empty where it waits for nobody's."""
    if not step.action.asks:
        return ""
    return (
        f"{step.owner}: `cutover approve {step.id} --as NAME --note TEXT`, or on the page of `cutover watch`"
    )


def expected(step: Step, times: Mapping[str, float]) -> str:
    """How long it takes, as far as it is known."""
    at_most = f"at most {_duration(step.timeout_seconds)}"
    return f"expected {duration(times[step.id])}, {at_most}" if step.id in times else at_most


def _lines(plan: Plan, times: Mapping[str, float], owner: str | None) -> Iterator[str]:
    yield f"# {plan.title}" + (f": {owner}" if owner else "")
    yield ""
    yield f"Plan `{plan.id}` for environment `{plan.environment}`, hash `{plan.hash[:12]}`. It carries out"
    yield f'"{plan.document.title}".'
    yield ""
    path = critical_path(plan, times)
    whole = f": {duration(path.seconds)} as far as times are known" if times else ""
    yield f"The critical path, {len(path.steps)} of {len(plan.steps)} steps{whole}:"
    yield " → ".join(f"`{name}`" for name in path.steps) + "."
    yield from _window(plan, times, owner)
    for number, stage in enumerate(plan.stages, 1):
        steps = [step for step in stage.steps if owner in (None, step.owner)]
        if not steps:
            continue
        yield ""
        phase = f" ({stage.phase})" if stage.phase else ""
        yield f"## {number}. {stage.id}: {stage.title}{phase}"
        for step in steps:
            yield ""
            yield from _step(step, plan, times)
    if owner is None:
        yield from _whole(plan)


def _window(plan: Plan, times: Mapping[str, float], owner: str | None) -> Iterator[str]:
    """When service is stopped, for how long, and what of it could be done before."""
    if plan.window is None:
        return
    steps = window_steps(plan)
    yield ""
    yield (
        f"Service is stopped from `{plan.window.begins}` to the end of `{plan.window.ends}`, for at most "
        f"{duration(plan.window.agreed_seconds)} as agreed; its steps are planned to take "
        f"{duration(sum(times.get(step.id, 0.0) for step in steps))}."
    )
    if free := could_be_ahead(plan, owner):
        yield ""
        yield "To make it shorter, these could be done ahead:"
        yield ""
        for step in free:
            yield f"- `{step.id}`: {step.could_be_ahead}"


def _whole(plan: Plan) -> Iterator[str]:
    """What concerns everybody."""
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


def _step(step: Step, plan: Plan, times: Mapping[str, float]) -> Iterator[str]:
    yield f"### `{step.id}`: {step.title}"
    yield ""
    affects = "**affects service**" if step.affects_service else "does not affect service"
    yield f"- Owner: {step.owner}; {affects}; {expected(step, times)}"
    for line in step.fulfils:
        yield f'- Document: "{plan.document.lines.get(line, "?")}" (`{line}`)'
    if step.reason:
        yield f"- Why: {step.reason}"
    yield from _conditions("Before", step.gates)
    yield f"- Does: {step.action.describe()}"
    if approval(step):
        yield f"- Approval: {approval(step)}"
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
