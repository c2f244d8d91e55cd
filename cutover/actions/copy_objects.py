"""Bringing the objects of namespaces to the target, at 0 replicas and with CronJobs suspended."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import NO_CHANGE, Action, Evidence, Observation
from cutover.context import Context
from cutover.mover import Selection


@dataclass(frozen=True)
class CopyObjects(Action):
    """Copies what is selected. What it brought stays on a rollback: at 0 replicas it does nothing."""

    selections: tuple[Selection, ...]

    def describe(self) -> str:
        """See Action."""
        parts = [
            selection.namespace
            + (f" (only {', '.join(item.name for item in selection.only)})" if selection.only else "")
            for selection in self.selections
        ]
        return (
            f"copy the objects of {', '.join(parts)} to the target, at 0 replicas and with CronJobs suspended"
        )

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        return tuple(f"copy {name}" for name in self._missing(context)) or NO_CHANGE

    def observe(self, context: Context) -> Observation:
        """See Action."""
        if missing := self._missing(context):
            return Observation(
                "not done", f"not on the target as they are on the source: {', '.join(missing)}"
            )
        return Observation("done", "every object is on the target as it is on the source")

    def apply(self, context: Context) -> Evidence:
        """See Action."""
        source, target = context.clusters["source"], context.clusters["target"]
        copied: list[str] = []
        left: list[str] = []
        for selection in self.selections:
            moved = context.mover.move(source, target, selection)
            context.say(f"{selection.namespace}: {len(moved.copied)} objects are on {target.context}")
            copied += moved.copied
            left += moved.left
        return {"copied": copied, "left": left}

    def _missing(self, context: Context) -> list[str]:
        source, target = context.clusters["source"], context.clusters["target"]
        return [
            name for selection in self.selections for name in context.mover.missing(source, target, selection)
        ]
