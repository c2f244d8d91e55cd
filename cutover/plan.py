"""Plans: immutable data that says what is done, in which order, by whom, and how it is taken back."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

from pydantic import BaseModel

from cutover.actions.base import Action, Companion, Condition
from cutover.errors import PlanError


@dataclass(frozen=True, kw_only=True)
class Undo:
    """The action's own undo, with what must hold before it and after it."""

    gates: tuple[Condition, ...] = ()
    checks: tuple[Condition, ...] = ()
    timeout_seconds: float


@dataclass(frozen=True)
class Keep:
    """Nothing is undone, and why that is right."""

    reason: str


@dataclass(frozen=True)
class NoReturn:
    """From here on there is no way back, and why."""

    reason: str


WayBack = Undo | Keep | NoReturn


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that is done and proven."""

    id: str
    title: str
    owner: str
    """Who must act or agree: one of the plan's owners."""
    affects_service: bool
    """Whether users could notice it if it went wrong."""
    action: Action
    fulfils: tuple[str, ...] = ()
    """Ids of the document's lines that it fulfils."""
    reason: str = ""
    """Why it is there although no line of the document asks for it."""
    gates: tuple[Condition, ...] = ()
    """What must hold before the action."""
    checks: tuple[Condition, ...] = ()
    """What must hold after it."""
    beside: Companion | None = None
    """What is kept going meanwhile, there and back."""
    way_back: WayBack
    timeout_seconds: float
    """For gates, action and checks together."""
    planned_seconds: float | None = None
    """How long it is planned to take; None: as long as it took before."""
    after: tuple[str, ...] = ()
    """Steps of its stage that it builds on, besides those whose facts it needs."""
    could_be_ahead: str = ""
    """Why it could be done before service is stopped; empty: it could not."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Steps that belong together; a rollback goes back to the end of one."""

    id: str
    title: str
    phase: str = ""
    """The document's phase that it belongs to, where that has phases."""
    steps: tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class Document:
    """The text that a plan carries out: its lines by id, and those that this plan leaves to another."""

    title: str
    lines: Mapping[str, str]
    left_out: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Reason by line id."""
    details: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    """Its other lines, each with the ids of those that it says more about."""
    differs: tuple[str, ...] = ()
    """Where the plan does otherwise than the text says, and why."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """The time in which a plan stops service on purpose."""

    begins: str
    """The step by which service is stopped."""
    ends: str
    """The step behind which everybody is served again."""
    agreed_seconds: float
    """How long it may last."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A whole cutover."""

    id: str
    title: str
    environment: str
    settings_hash: str
    """Of the environment's settings, which steps read when they run."""
    owners: tuple[str, ...]
    document: Document
    stages: tuple[Stage, ...]
    window: Window | None = None
    """None: it stops nothing."""

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """All steps in their order."""
        return tuple(step for stage in self.stages for step in stage.steps)

    @cached_property
    def hash(self) -> str:
        """Stable over runs and machines; changes with anything that the plan says."""
        text = json.dumps(specification(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def step(self, step_id: str) -> Step:
        """Raises PlanError where there is no such step."""
        for step in self.steps:
            if step.id == step_id:
                return step
        raise PlanError(
            f"plan {self.id} has no step {step_id!r}; its steps are {', '.join(s.id for s in self.steps)}"
        )

    def stage(self, name: str) -> Stage:
        """The stage of that id, or a phase's last one. Raises PlanError where there is neither."""
        for stage in reversed(self.stages):
            if name in (stage.id, stage.phase):
                return stage
        stages = ", ".join(stage.id for stage in self.stages)
        phases = ", ".join(dict.fromkeys(stage.phase for stage in self.stages if stage.phase))
        raise PlanError(
            f"plan {self.id} has no stage {name!r}; its stages are {stages}"
            + (f", its phases {phases}" if phases else "")
        )

    def stage_of(self, step_id: str) -> Stage:
        """The stage that a step belongs to. Raises PlanError."""
        for stage in self.stages:
            if any(step.id == step_id for step in stage.steps):
                return stage
        raise PlanError(f"plan {self.id} has no step {step_id!r}")

    def through(self, name: str | None) -> tuple[Step, ...]:
        """The steps up to the end of a stage or phase; all of them for None. Raises PlanError."""
        if name is None:
            return self.steps
        last = self.stages.index(self.stage(name))
        return tuple(step for stage in self.stages[: last + 1] for step in stage.steps)

    def beyond(self, name: str | None) -> tuple[Step, ...]:
        """The steps behind the end of a stage or phase; all of them for None. Raises PlanError."""
        kept = () if name is None else self.through(name)
        return self.steps[len(kept) :]


def specification(value: object) -> Any:
    """A value of a plan as JSON. Raises PlanError for what has no stable form."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            field.name: specification(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
        return {"is": type(value).__name__, **fields}
    if isinstance(value, BaseModel):
        return {"is": type(value).__name__, **value.model_dump(mode="json")}
    if isinstance(value, Mapping):
        return {str(key): specification(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [specification(item) for item in value]
    raise PlanError(f"a plan holds data only; {value!r} of type {type(value).__name__} has no stable form")


def check_plan(plan: Plan) -> tuple[str, ...]:
    """Every problem of a plan, each in one line; empty where it is sound."""
    return tuple(_problems(plan))


def _problems(plan: Plan) -> Iterator[str]:
    yield from _repeated("stage", [stage.id for stage in plan.stages])
    yield from _repeated("step", [step.id for step in plan.steps])
    for phase in sorted({stage.phase for stage in plan.stages} & {stage.id for stage in plan.stages}):
        yield f"phase {phase}: a stage has the same name"
    for stage in plan.stages:
        if not stage.steps:
            yield f"stage {stage.id}: has no steps"
    remembered: set[str] = set()
    no_return: str | None = None
    for step in plan.steps:
        yield from _step_problems(plan, step)
        for fact in step.action.needs:
            if fact not in remembered:
                yield f"step {step.id}: needs the fact {fact!r}, which no earlier step remembers"
        remembered.update(step.action.gives)
        if no_return and isinstance(step.way_back, Undo):
            yield f"step {step.id}: has an undo, but stands behind {no_return}, from which there is no return"
        if isinstance(step.way_back, NoReturn):
            no_return = step.id
    yield from _order_problems(plan)
    yield from _document_problems(plan)


def _order_problems(plan: Plan) -> Iterator[str]:
    for name in (plan.window.begins, plan.window.ends) if plan.window else ():
        if all(step.id != name for step in plan.steps):
            yield f"the window names step {name!r}, which the plan does not have"
    for stage in plan.stages:
        earlier: set[str] = set()
        for step in stage.steps:
            for name in step.after:
                if name not in earlier:
                    yield f"step {step.id}: builds on {name!r}, which is no earlier step of its stage"
            earlier.add(step.id)


def _step_problems(plan: Plan, step: Step) -> Iterator[str]:
    if step.owner not in plan.owners:
        yield f"step {step.id}: owner {step.owner!r} is none of {', '.join(plan.owners)}"
    if step.timeout_seconds <= 0:
        yield f"step {step.id}: timeout_seconds must be above 0, not {step.timeout_seconds:g}"
    if isinstance(step.way_back, Undo) and step.way_back.timeout_seconds <= 0:
        yield f"step {step.id}: the undo's timeout_seconds must be above 0"
    if not isinstance(step.way_back, Undo) and not step.way_back.reason:
        yield f"step {step.id}: has no undo and does not say why"
    if isinstance(step.way_back, Undo) and type(step.action).undo is Action.undo:
        yield f"step {step.id}: is to be undone, but {type(step.action).__name__} has no undo"
    if not step.fulfils and not step.reason:
        yield f"step {step.id}: fulfils no line of the document and gives no reason"
    for line in step.fulfils:
        if line not in plan.document.lines:
            yield f"step {step.id}: fulfils line {line!r}, which the document does not have"
        if line in plan.document.left_out:
            yield f"step {step.id}: fulfils line {line!r}, which the plan says it leaves out"


def _document_problems(plan: Plan) -> Iterator[str]:
    fulfilled = {line for step in plan.steps for line in step.fulfils}
    for line, text in plan.document.lines.items():
        if line not in fulfilled and line not in plan.document.left_out:
            yield f"document line {line} ({text}) is fulfilled by no step"
    for text, lines in plan.document.details.items():
        for line in lines or ("none",):
            if line not in plan.document.lines:
                yield f"detail {text!r} belongs to line {line!r}, which the document does not have"
    for line in plan.document.left_out:
        if line not in plan.document.lines:
            yield f"left_out names line {line!r}, which the document does not have"


def _repeated(kind: str, names: list[str]) -> Iterator[str]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{kind} {name}: the id is used {names.count(name)} times"
