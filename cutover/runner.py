"""The runner: works through a plan, forward or back, and writes down each intent and each outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cutover.actions.base import Companion, Condition, Evidence
from cutover.approvals import Approvals, digest
from cutover.context import Context, Facts
from cutover.decide import Do, Reached, Refuse, TakeBack, decide, stage_before
from cutover.errors import (
    BreachError,
    CutoverError,
    InterruptedRunError,
    JournalError,
    PlanError,
    StepError,
    UnfinishedError,
)
from cutover.history import BACK, FORWARD, OPERATOR, Heading, History, add, fold
from cutover.journal import Journal
from cutover.leased import only_while_held
from cutover.plan import Plan, Step, Undo
from cutover.ports import Approval

LANDS_SECONDS = 2.0
"""By when what a runner had sent before it was killed has landed, or never will."""


@dataclass(frozen=True)
class Result:
    """How a run ended."""

    outcome: str
    """`succeeded`, `rolled back`, `halted`, `interrupted`, or `reached STAGE`."""
    reason: str
    step: str = ""
    """The step that it ended in, if it did not get to the end."""
    breached: bool = False
    """Whether a stage was undone because of what was seen while it soaked."""


class Runner:
    """Runs one plan against one journal. The caller holds the lease."""

    def __init__(self, plan: Plan, journal: Journal, context: Context, approvals: Approvals) -> None:
        self.plan = plan
        self.journal = journal
        self.context = context
        self.history: History = fold(journal.records)
        self._approvals = approvals
        self._say = context.say
        context.facts = Facts(
            self.history.facts, lambda name, value: self._write("fact", name=name, value=value)
        )
        context.approval = self._approval
        context.remind = lambda step, seconds: self._write("reminder", step=step, seconds=round(seconds))
        only_while_held(context, journal.ensure)
        self._beside: tuple[tuple[Companion, str], Callable[[], None]] | None = None
        """What is kept going beside the steps, and how it is ended."""
        self._landed = context.clock.monotonic() + LANDS_SECONDS
        """When all that a runner before this one had sent has landed."""
        self._left_over = False
        """Whether the step at work was ended in the middle before, and nobody has cleared up since."""

    def run(self, heading: Heading) -> Result:
        """Goes on towards a heading until it is reached or something stops it."""
        unfinished = self.history.heading
        if unfinished and unfinished.direction == BACK and heading.direction == FORWARD:
            if unfinished.cause != OPERATOR:
                return self._undone(self._follow(unfinished), unfinished.cause)
            # one that was halted, or refused, may have no way on but ahead: its operator was told and decides
            if self.history.outcome != "halted":
                raise PlanError("a rollback is under way; finish it first with `cutover rollback`")
        return self._follow(heading)

    def _follow(self, heading: Heading) -> Result:
        self._write("started", direction=heading.direction, until=heading.until, cause=heading.cause,
                    engine=self.context.stacks.engine())  # fmt: skip
        step: Step | None = None
        try:
            while True:
                self._check_stopping()
                match decide(self.plan, self.history, heading):
                    case Do(step, look_first, broken_off):
                        self._do(step, look_first, broken_off)
                    case TakeBack(step, broken_off):
                        self._take_back(step, broken_off)
                    case Refuse(reason):
                        return self._finish(heading, Result("halted", reason))
                    case Reached():
                        return self._finish(heading, self._reached(heading), reached=True)
        except BreachError as error:
            return self._undo_stage(step, error)
        except StepError as error:
            return self._finish(heading, Result("halted", str(error), step.id if step else ""))
        except InterruptedRunError as error:
            return self._finish(heading, Result("interrupted", str(error), step.id if step else ""))
        finally:
            self._accompany(None, heading.direction, failing=False)

    def _do(self, step: Step, look_first: bool, broken_off: bool) -> None:
        """Gates, intent, effect, checks, outcome. What may have been done already is looked at first."""
        self._say(f"{step.id}: {step.title}")
        with self._step(step, FORWARD, step.timeout_seconds, broken_off) as evidence:
            self._accompany(step.beside, FORWARD)
            self._repair(step, FORWARD, broken_off)
            if look_first and self._is_done(step, evidence):
                self._write("intent", step=step.id, direction=FORWARD)
            else:
                self._hold(step.gates, evidence, gate_of=None if look_first else step)
                self._write("intent", step=step.id, direction=FORWARD)
                evidence.update(step.action.apply(self.context))
            self._hold(step.checks, evidence)

    def _take_back(self, step: Step, broken_off: bool) -> None:
        """The same the other way; undoing what is undone already is harmless, so it is simply repeated."""
        way_back = step.way_back
        if not isinstance(way_back, Undo):
            self._write("outcome", step=step.id, direction=BACK, result="done", error="", seconds=0.0,
                        evidence={"kept": way_back.reason})  # fmt: skip
            return
        self._say(f"back, {step.id}: {step.title}")
        with self._step(step, BACK, way_back.timeout_seconds, broken_off) as evidence:
            self._accompany(step.beside, BACK)
            self._repair(step, BACK, broken_off)
            self._hold(way_back.gates, evidence)
            self._write("intent", step=step.id, direction=BACK)
            evidence.update(step.action.undo(self.context))
            self._hold(way_back.checks, evidence)

    def _accompany(self, companion: Companion | None, direction: str, *, failing: bool = True) -> None:
        """Ends what was kept going beside the steps before, and begins what this one has.

        `failing`: whether what cannot be ended well is an error; otherwise it is said.
        """
        wanted = (companion, direction) if companion else None
        if self._beside and self._beside[0] != wanted:
            before, self._beside = self._beside, None
            try:
                before[1]()
            except StepError as error:
                if failing:
                    raise
                self._say(f"{before[0][0].describe()}: {error}")
        if wanted and self._beside is None and companion:
            self._beside = (wanted, companion.start(self.context, back=direction == BACK))

    def _repair(self, step: Step, direction: str, broken_off: bool) -> None:
        """Clears away what was left; until it has succeeded, whoever comes next has to."""
        if broken_off:
            self._write("repair", step=step.id, direction=direction)
            # an undo that finds nothing to take back would be overtaken by what is still on its way
            self.context.pause(max(0.0, self._landed - self.context.clock.monotonic()))
            step.action.repair(self.context)
            self._left_over = False

    def _is_done(self, step: Step, evidence: Evidence) -> bool:
        """Looks at the world. Raises StepError where it cannot be told."""
        seen = step.action.observe(self.context)
        self._say(f"{step.id}: was begun before; {seen.state}: {seen.detail}")
        evidence["observed"] = f"{seen.state}: {seen.detail}"
        if seen.state == "unknown":
            raise StepError(f"it cannot be told whether it has taken effect: {seen.detail}")
        return seen.state == "done"

    def _hold(self, conditions: Iterable[Condition], evidence: Evidence, gate_of: Step | None = None) -> None:
        """Waits for each condition. `gate_of`: a step of which nothing was begun, should one not hold."""
        for condition in conditions:
            try:
                found = condition.hold(self.context)
            except StepError as error:
                kind = StepError if not isinstance(error, BreachError) else BreachError
                if gate_of is not None:
                    raise _BlockedError(f"gate: {condition.describe()}: {error}") from error
                raise kind(f"{condition.describe()}: {error}") from error
            evidence.setdefault("held", {})[condition.describe()] = found

    @contextmanager
    def _step(self, step: Step, direction: str, seconds: float, broken_off: bool) -> Iterator[Evidence]:
        """Writes the outcome of what is done inside. `broken_off`: see Do."""
        self._left_over = broken_off
        begun = self.context.clock.monotonic()
        evidence: Evidence = {}
        self.context.step = step.id
        self.context.activity.begin(f"{'' if direction == FORWARD else 'undo '}{step.id}")

        def outcome(result: str, error: Exception | str = "") -> None:
            self._write("outcome", step=step.id, direction=direction, result=result, error=str(error),
                        seconds=round(self.context.clock.monotonic() - begun, 3), evidence=evidence,
                        **({"cut_off": True} if self._left_over or _cut_off(error) else {}))  # fmt: skip

        try:
            with self.context.limit(seconds, f"step {step.id}"):
                yield evidence
        except _BlockedError as error:
            outcome("blocked", error)
            raise
        except JournalError:
            raise
        except CutoverError as error:
            outcome("failed", error)
            raise
        except Exception as error:
            outcome("failed", f"{type(error).__name__}: {error}")
            raise
        else:
            outcome("done")
        finally:
            self.context.step = ""
            self.context.activity.end()

    def _undo_stage(self, step: Step | None, error: BreachError) -> Result:
        """What was seen while a stage soaked went beyond its limits: back to the end of the stage before."""
        if step is None:
            raise error
        stage = self.plan.stage_of(step.id)
        self._say(f"{step.id}: {error}; undoing stage {stage.id}")
        cause = f"{step.id}: {error}; stage {stage.id} is undone"
        return self._undone(self._follow(Heading(BACK, stage_before(self.plan, stage.id), cause)), cause)

    def _undone(self, back: Result, cause: str) -> Result:
        """The result of an automatic undo."""
        if back.outcome in ("halted", "interrupted"):
            return Result(
                back.outcome, f"{cause}, but not to its end: {back.reason}", back.step, breached=True
            )
        return Result("halted", cause, breached=True)

    def _reached(self, heading: Heading) -> Result:
        if heading.direction == FORWARD:
            last = heading.until is None or heading.until == self.plan.stages[-1].id
            return Result("succeeded" if last else f"reached {heading.until}", "")
        reason = "" if heading.cause == OPERATOR else heading.cause
        return Result("rolled back" if heading.until is None else f"rolled back to {heading.until}", reason)

    def _finish(self, heading: Heading, result: Result, *, reached: bool = False) -> Result:
        outcome = "halted" if reached and heading.cause != OPERATOR else result.outcome
        self._write("finished", outcome=outcome, reason=result.reason, step=result.step, reached=reached)
        return result

    def _approval(self, step: str, instructions: str) -> Approval | None:
        """A person's word on what is asked. Until it is given, the journal says what they are to do."""
        history = self.history.step(step)
        if history.approval is not None and history.approval.asked != digest(instructions):
            history.approval = None  # it was given for something else
        if history.approval is None:
            if history.waiting != instructions:
                self._write("waiting", step=step, instructions=instructions)
            given = self._approvals.take(step, instructions, self.plan.hash, history.rounds)
            if given is not None:
                self._write("approval", step=step, by=given.by, note=given.note, at=given.at,
                            asked=given.asked)  # fmt: skip
        return history.approval

    def _check_stopping(self) -> None:
        if self.context.stopping():
            raise InterruptedRunError("stopped at a safe point, between two steps")

    def _write(self, kind: str, **data: object) -> None:
        add(self.history, self.journal.append(kind, data))


def _cut_off(error: BaseException | str | None) -> bool:
    """Whether something was ended in the middle, here or beneath what it was raised from."""
    while isinstance(error, BaseException):
        if isinstance(error, UnfinishedError):
            return True
        error = error.__cause__
    return False


class _BlockedError(StepError):
    """A gate did not hold; nothing of the step was begun."""
