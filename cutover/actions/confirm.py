"""Steps that change nothing: they wait until something holds."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Condition, Evidence, Look
from cutover.context import Context
from cutover.errors import StepError


@dataclass(frozen=True)
class Confirm(Look):
    """Waits until each condition holds."""

    conditions: tuple[Condition, ...]

    def describe(self) -> str:
        """See Action."""
        return "confirm that " + "; ".join(condition.describe() for condition in self.conditions)

    def apply(self, context: Context) -> Evidence:
        """Asks all, so that one run shows every problem. Raises StepError."""
        found, problems = {}, []
        for condition in self.conditions:
            try:
                found[condition.describe()] = condition.hold(context)
            except StepError as error:
                problems.append(f"{condition.describe()}: {error}")
        if problems:
            raise StepError("; ".join(problems))
        return {"confirmed": found}
