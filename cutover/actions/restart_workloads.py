"""Restarting workloads whose settings were changed: pods read ConfigMaps when they start."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Action, Evidence, Look, Observation
from cutover.context import Context
from cutover.errors import StepError

DATABASE = "landfall.dev/database"
"""The annotation of pods that says which database they were started for; a change of it restarts them."""


@dataclass(frozen=True, kw_only=True)
class RestartWorkloads(Action):
    """Rolls the target's pods of some workloads, which then use its own database."""

    workloads: tuple[str, ...]

    def describe(self) -> str:
        """See Action."""
        return f"restart {', '.join(self.workloads)} on the target, one pod after another"

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        return tuple(f"restart {key}" for key in self._left(context, "target")) or ("no change",)

    def observe(self, context: Context) -> Observation:
        """See Action."""
        left = self._left(context, "target")
        return Observation("not done" if left else "done", f"not restarted: {', '.join(left) or 'none'}")

    def apply(self, context: Context) -> Evidence:
        """See Action."""
        return self.restart(context, "target")

    def restart(self, context: Context, database: str | None) -> Evidence:
        """Rolls those that were not started for that database; None: for the one of before."""
        left = self._left(context, database)
        # All of them are told, as what was read may be of a moment ago; one that is as it should be stays so.
        for key in self.workloads:
            workload = context.environment.workload(key)
            patch = {"spec": {"template": {"metadata": {"annotations": {DATABASE: database}}}}}
            context.clusters["target"].merge_patch(
                "apps/v1", f"{workload.kind.lower()}s", workload.namespace, workload.name, patch
            )
            if key in left:
                context.say(f"{key} on the target is restarted")
        return {"restarted": left}

    def _left(self, context: Context, database: str | None) -> list[str]:
        found = []
        for key in self.workloads:
            workload = context.environment.workload(key)
            item = context.clusters["target"].get(
                "apps/v1", f"{workload.kind.lower()}s", workload.namespace, workload.name
            )
            if item is None:
                raise StepError(f"the target has no {workload.kind} {key}")
            annotations = item["spec"]["template"].get("metadata", {}).get("annotations") or {}
            if annotations.get(DATABASE) != database:
                found.append(key)
        return found


@dataclass(frozen=True, kw_only=True)
class RestartOnTheWayBack(Look):
    """Nothing on the way there; back it rolls what was restarted, once the settings are those of before."""

    workloads: tuple[str, ...]

    def describe(self) -> str:
        """See Action."""
        return (
            f"on the way back: restart {', '.join(self.workloads)} on the target, as their settings name the "
            "source's database again by then"
        )

    def apply(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        return {}

    def undo(self, context: Context) -> Evidence:
        """See Action."""
        return RestartWorkloads(workloads=self.workloads).restart(context, None)
