"""A dump of a database into a bucket."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Action, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.transfer.places import DatabasePlace, DumpPlace


@dataclass(frozen=True, kw_only=True)
class DumpDatabase(Action):
    """Dumps a database, MySQL or PostgreSQL, and puts it into a bucket with a manifest."""

    source: DatabasePlace
    dump: DumpPlace
    threads: int = 2
    """Of mydumper or pg_dump, where the tool works in parallel."""

    def describe(self) -> str:
        """See Action."""
        return f"dump {self.source.name} to {self.dump}, with row counts, sizes and checksums"

    def preview(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002 - an interface's method
        """See Action."""
        return (self.describe(),)

    def observe(self, context: Context) -> Observation:  # noqa: ARG002 - an interface's method
        """See Action."""
        return Observation("not done", "looked at anew")

    def apply(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("DumpDatabase is being built")

    def undo(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("DumpDatabase is being built")
