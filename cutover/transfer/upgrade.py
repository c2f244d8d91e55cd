"""A database to a later major version."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Action, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.transfer.places import StackDatabase


@dataclass(frozen=True, kw_only=True)
class UpgradeDatabase(Action):
    """Upgrades a managed database along the path that AWS allows, with a snapshot first."""

    database: StackDatabase
    to: str
    """The major version, such as `8.0`."""

    def describe(self) -> str:
        """See Action."""
        return f"upgrade {self.database.name} to {self.to}, with a snapshot first"

    def preview(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002 - an interface's method
        """See Action."""
        return (self.describe(),)

    def observe(self, context: Context) -> Observation:  # noqa: ARG002 - an interface's method
        """See Action."""
        return Observation("not done", "looked at anew")

    def apply(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("UpgradeDatabase is being built")

    def undo(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("UpgradeDatabase is being built")
