"""What a journal says so far: the state of each step, remembered facts, and where the runner was heading."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cutover.journal import Record
from cutover.ports import Approval


class Status(StrEnum):
    """Where a step stands."""

    PENDING = "pending"
    """Nothing of it was begun, or all of it was undone."""
    BEGUN = "begun"
    """Its intent was written and no outcome: it may have taken effect."""
    FAILED = "failed"
    """It ended with an error: it may have taken effect in part."""
    DONE = "done"
    UNDO_BEGUN = "undo begun"
    UNDO_FAILED = "undo failed"


@dataclass(frozen=True)
class Heading:
    """Where a runner is going: forward to the end of a stage, or back to it."""

    direction: str
    """`forward` or `back`."""
    until: str | None
    """A stage; None is the plan's end or start."""
    cause: str
    """`operator`, or what was breached."""


FORWARD = "forward"
BACK = "back"
OPERATOR = "operator"


@dataclass
class StepHistory:
    """What happened to one step."""

    status: Status = Status.PENDING
    attempts: int = 0
    rounds: int = 0
    """How often it was undone; an approval counts for the round that it was given in."""
    seconds: float = 0.0
    """Of the last outcome."""
    error: str = ""
    cut_off: bool = False
    """Whether a command of it was ended in the middle."""
    evidence: dict[str, Any] = field(default_factory=dict)
    approval: Approval | None = None
    waiting: str = ""
    """What a person is asked to do, while somebody waits for it."""
    waiting_since: str = ""
    reminders: int = 0
    """How often its owner was reminded of what waits for them now."""
    began: str = ""
    ended: str = ""


@dataclass
class History:
    """A journal, folded."""

    plan: str = ""
    plan_hash: str = ""
    environment: str = ""
    steps: dict[str, StepHistory] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    heading: Heading | None = None
    """None once it was reached."""
    outcome: str = ""
    """Of the last run that ended: `succeeded`, `rolled back`, `halted`; or what it was reached up to."""
    reason: str = ""
    epoch: int = 0
    started: str = ""
    finished: str = ""
    engine: str = ""

    def step(self, step_id: str) -> StepHistory:
        """The history of a step; a fresh one where nothing happened to it."""
        return self.steps.setdefault(step_id, StepHistory())


def fold(records: Iterable[Record]) -> History:
    """Reads a journal from its start."""
    history = History()
    for record in records:
        add(history, record)
    return history


def add(history: History, record: Record) -> None:
    """Carries one more record into a history."""
    data = record.data
    history.epoch = max(history.epoch, record.epoch)
    match record.kind:
        case "opened":
            history.plan = data["plan"]
            history.plan_hash = data["plan_hash"]
            history.environment = data["environment"]
        case "plan adopted":
            history.plan_hash = data["plan_hash"]
        case "started":
            history.heading = Heading(data["direction"], data["until"], data["cause"])
            history.started = history.started or record.at
            history.engine = data.get("engine", history.engine)
            history.finished = history.outcome = history.reason = ""
        case "intent":
            step = history.step(data["step"])
            forward = data["direction"] == FORWARD
            step.status = Status.BEGUN if forward else Status.UNDO_BEGUN
            step.attempts += 1 if forward else 0
            step.began, step.ended, step.error, step.cut_off = record.at, "", "", False
        case "outcome":
            _outcome(history.step(data["step"]), record)
        case "waiting":
            step = history.step(data["step"])
            step.waiting, step.waiting_since, step.reminders = data["instructions"], record.at, 0
        case "reminder":
            history.step(data["step"]).reminders += 1
        case "approval":
            step = history.step(data["step"])
            step.approval = Approval(
                data["step"], data["by"], data["note"], data["at"], data.get("asked", "")
            )
            step.waiting = ""
        case "fact":
            history.facts[data["name"]] = data["value"]
        case "finished":
            history.outcome, history.reason = data["outcome"], data["reason"]
            history.finished = record.at
            if data["reached"]:
                history.heading = None


def _outcome(step: StepHistory, record: Record) -> None:
    data = record.data
    step.seconds, step.error = data["seconds"], data["error"]
    step.cut_off = data.get("cut_off", False)
    step.evidence = {**step.evidence, **data["evidence"]}
    step.ended, step.waiting = record.at, ""
    forward = data["direction"] == FORWARD
    match data["result"]:
        case "done" if forward:
            step.status = Status.DONE
        case "done":
            step.status = Status.PENDING
            step.rounds += 1
            step.approval = None
        case "failed":
            step.status = Status.FAILED if forward else Status.UNDO_FAILED
        case "blocked":  # a gate did not hold: nothing was begun, the step is as it was before
            pass
