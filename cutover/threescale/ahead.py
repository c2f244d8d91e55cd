"""What is done a day or more before the migration: noted when it is done, and held to its age."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cutover.actions.base import Condition, Evidence, Look
from cutover.actions.confirm import Confirm
from cutover.context import Context
from cutover.errors import StepError
from cutover.times import duration

AHEAD_DONE = "ahead-done"
"""The fact: when all was done that is done ahead."""


@dataclass(frozen=True, kw_only=True)
class NoteAheadDone(Look):
    """Sees that everything done ahead still holds, and notes when."""

    conditions: tuple[Condition, ...]

    @property
    def gives(self) -> tuple[str, ...]:
        """See Action."""
        return (AHEAD_DONE,)

    def describe(self) -> str:
        """See Action."""
        return "note the time, once more seeing that " + "; ".join(
            item.describe() for item in self.conditions
        )

    def apply(self, context: Context) -> Evidence:
        """A time that was noted stays, as long as what was seen still holds. Raises StepError."""
        found = Confirm(self.conditions).apply(context)
        at = context.clock.now().isoformat(timespec="seconds")
        context.facts.remember(AHEAD_DONE, at)
        return {"at": at, **found}


@dataclass(frozen=True, kw_only=True)
class AheadIsDayOld(Condition):
    """What was done ahead was done long enough ago, and not too long ago."""

    lead_seconds: float
    keep_seconds: float
    conditions: tuple[Condition, ...]
    """What must still hold, looked at again."""

    def describe(self) -> str:
        """See Condition."""
        return (
            f"all that is done ahead was done at least {duration(self.lead_seconds)} and at most "
            f"{duration(self.keep_seconds)} ago, and still holds"
        )

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        noted = datetime.fromisoformat(str(context.facts.recall(AHEAD_DONE)))
        age = (context.clock.now() - noted).total_seconds()
        if age < self.lead_seconds:
            raise StepError(
                f"what is done ahead was finished {duration(max(age, 0))} ago, and the migration begins "
                f"{duration(self.lead_seconds)} after it at the earliest: `cutover run` again in "
                f"{duration(self.lead_seconds - age)}, or agree on another threescale.owners.lead_seconds"
            )
        if age > self.keep_seconds:
            raise StepError(
                f"what is done ahead was finished {duration(age)} ago, and is taken for good for "
                f"{duration(self.keep_seconds)}: `cutover rollback --to` the stage before, and `cutover "
                "run`, which looks at all of it again"
            )
        return {"age_seconds": round(age), **Confirm(self.conditions).apply(context)}
