"""MySQL and PostgreSQL compared."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Action, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.transfer.places import DatabasePlace


@dataclass(frozen=True, kw_only=True)
class CompareAcross(Action):
    """Compares everything: rows, values, sequences, indexes, keys."""

    source: DatabasePlace
    target: DatabasePlace
    left_out: tuple[str, ...] = ()

    def describe(self) -> str:
        """See Action."""
        return f"compare {self.source.name} with {self.target.name}: rows, values, sequences, indexes, keys"

    def preview(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002 - an interface's method
        """See Action."""
        return (self.describe(),)

    def observe(self, context: Context) -> Observation:  # noqa: ARG002 - an interface's method
        """See Action."""
        return Observation("not done", "looked at anew")

    def apply(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("CompareAcross is being built")

    def undo(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("CompareAcross is being built")
