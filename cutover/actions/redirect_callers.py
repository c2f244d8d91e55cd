"""Telling callers on another cluster where the services are: their ConfigMaps' entries, then a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cutover.actions.base import Action, Evidence, Observation
from cutover.actions.flip_stack import FlipStack
from cutover.context import Context
from cutover.errors import StepError
from stacks.settings import CallerSettings

CALLS = "landfall.dev/calls"
"""The annotation of a caller's pods that says where they call; a change of it restarts them."""
_RESTARTED = ("Deployment", "StatefulSet", "DaemonSet")


@dataclass(frozen=True, kw_only=True)
class RedirectCallers(Action):
    """Flips the entries, then rolls the pods, which read them when they start; the same on the way back."""

    cluster: str
    flip: FlipStack
    callers: tuple[CallerSettings, ...]

    @property
    def needs(self) -> tuple[str, ...]:
        """See Action."""
        return self.flip.needs

    def describe(self) -> str:
        """See Action."""
        names = ", ".join(caller.key for caller in self.callers)
        return (
            f"{self.flip.describe()}; then restart {names} on {self.cluster}, which read them when they start"
        )

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        restarts = [f"restart {caller.kind} {caller.key}" for caller in self._to_restart(context, "target")]
        changes = self.flip.preview(context)
        return (*(change for change in changes if change != "no change"), *restarts) or changes

    def observe(self, context: Context) -> Observation:
        """See Action."""
        seen = self.flip.observe(context)
        if seen.state != "done":
            return seen
        if left := self._to_restart(context, "target"):
            return Observation("not done", f"not restarted yet: {', '.join(caller.key for caller in left)}")
        return seen

    def apply(self, context: Context) -> Evidence:
        """See Action."""
        return {**self.flip.apply(context), "restarted": self._restart(context, "target")}

    def undo(self, context: Context) -> Evidence:
        """See Action."""
        return {**self.flip.undo(context), "restarted": self._restart(context, None)}

    def repair(self, context: Context) -> None:
        """See Action."""
        self.flip.repair(context)

    def _restart(self, context: Context, calls: str | None) -> list[str]:
        restarted = []
        for caller in self._to_restart(context, calls):
            template = {"metadata": {"annotations": {CALLS: calls}}}
            context.cluster(self.cluster).merge_patch(
                "apps/v1", _plural(caller), caller.namespace, caller.name, {"spec": {"template": template}}
            )
            context.say(f"{caller.kind} {caller.key} on {self.cluster} is restarted")
            restarted.append(caller.key)
        return restarted

    def _to_restart(self, context: Context, calls: str | None) -> list[CallerSettings]:
        """Those whose pods do not say yet that they call there. Raises StepError where one is absent."""
        found = []
        for caller in self.callers:
            if caller.kind not in _RESTARTED:
                continue
            item = context.cluster(self.cluster).get(
                "apps/v1", _plural(caller), caller.namespace, caller.name
            )
            if item is None:
                raise StepError(f"cluster {self.cluster} has no {caller.kind} {caller.key}")
            if _annotations(item).get(CALLS) != calls:
                found.append(caller)
        return found


def _annotations(item: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = item["spec"]["template"].get("metadata", {}).get("annotations") or {}
    return found


def _plural(caller: CallerSettings) -> str:
    return f"{caller.kind.lower()}s"
