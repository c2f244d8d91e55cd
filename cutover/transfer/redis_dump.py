"""A dump of Redis."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Action, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.transfer.places import DumpPlace, RedisPlace


@dataclass(frozen=True, kw_only=True)
class DumpRedis(Action):
    """Takes a snapshot of a Redis into a bucket, with the number of its keys."""

    source: RedisPlace
    dump: DumpPlace

    def describe(self) -> str:
        """See Action."""
        return f"snapshot {self.source.name} to {self.dump}"

    def preview(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002 - an interface's method
        """See Action."""
        return (self.describe(),)

    def observe(self, context: Context) -> Observation:  # noqa: ARG002 - an interface's method
        """See Action."""
        return Observation("not done", "looked at anew")

    def apply(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("DumpRedis is being built")

    def undo(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("DumpRedis is being built")
