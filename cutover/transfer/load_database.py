"""A dump into a database of the same kind."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Action, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.transfer.places import DatabasePlace, DumpPlace


@dataclass(frozen=True, kw_only=True)
class LoadDatabase(Action):
    """Loads a dump, and compares what is there then with the manifest."""

    dump: DumpPlace
    target: DatabasePlace
    threads: int = 2

    def describe(self) -> str:
        """See Action."""
        return f"load {self.dump} into {self.target.name}, and compare with its manifest"

    def preview(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002 - an interface's method
        """See Action."""
        return (self.describe(),)

    def observe(self, context: Context) -> Observation:  # noqa: ARG002 - an interface's method
        """See Action."""
        return Observation("not done", "looked at anew")

    def apply(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("LoadDatabase is being built")

    def undo(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("LoadDatabase is being built")
