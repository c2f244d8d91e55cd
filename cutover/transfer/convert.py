"""A MySQL database into PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Action, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.transfer.places import DatabasePlace


@dataclass(frozen=True, kw_only=True)
class ConvertToPostgres(Action):
    """Converts by pgloader; rejected rows stop the plan."""

    source: DatabasePlace
    target: DatabasePlace
    left_out: tuple[str, ...] = ()
    """Tables that are not converted."""

    def describe(self) -> str:
        """See Action."""
        return f"convert {self.source.name} into {self.target.name} by pgloader"

    def preview(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002 - an interface's method
        """See Action."""
        return (self.describe(),)

    def observe(self, context: Context) -> Observation:  # noqa: ARG002 - an interface's method
        """See Action."""
        return Observation("not done", "looked at anew")

    def apply(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("ConvertToPostgres is being built")

    def undo(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("ConvertToPostgres is being built")
