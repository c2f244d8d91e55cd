"""A Redis from its dump."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Action, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.transfer.places import DumpPlace, RedisPlace


@dataclass(frozen=True, kw_only=True)
class RecoverRedis(Action):
    """Brings a snapshot's keys into a Redis; the append-only trap cannot close."""

    dump: DumpPlace
    target: RedisPlace

    def describe(self) -> str:
        """See Action."""
        return f"recover {self.target.name} from {self.dump}"

    def preview(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002 - an interface's method
        """See Action."""
        return (self.describe(),)

    def observe(self, context: Context) -> Observation:  # noqa: ARG002 - an interface's method
        """See Action."""
        return Observation("not done", "looked at anew")

    def apply(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("RecoverRedis is being built")

    def undo(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("RecoverRedis is being built")


@dataclass(frozen=True, kw_only=True)
class CompareRedis(Action):
    """Compares the number of keys, and sampled keys with type, time to live and value."""

    dump: DumpPlace
    target: RedisPlace
    sample: int = 1000

    def describe(self) -> str:
        """See Action."""
        return f"compare {self.target.name} with {self.dump}: the number of keys, and {self.sample} of them"

    def preview(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002 - an interface's method
        """See Action."""
        return (self.describe(),)

    def observe(self, context: Context) -> Observation:  # noqa: ARG002 - an interface's method
        """See Action."""
        return Observation("not done", "looked at anew")

    def apply(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("CompareRedis is being built")

    def undo(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("CompareRedis is being built")
