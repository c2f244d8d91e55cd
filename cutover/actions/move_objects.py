"""Bringing the selected objects to the target with Velero, at 0 replicas and with CronJobs suspended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cutover.actions.base import NO_CHANGE, Action, Evidence, Observation
from cutover.conditions.objects_arrived import compare_clusters, restores_of
from cutover.context import Context
from cutover.errors import StepError
from cutover.moving import velero
from cutover.moving.arrival import storage_classes
from cutover.moving.selection import Found, Selected, select
from cutover.ports import Cluster, ObjectKind
from stacks.settings import VeleroMove, VeleroSettings

FACT = "velero"
"""The fact: the name of the latest backup, which its restore has too."""
_DOWNLOAD_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class MoveObjects(Action):
    """Backs up on the source and restores on the target; repeated as a whole until both sides compare alike.

    What it brought stays on a rollback: at 0 replicas it does nothing.
    """

    move: VeleroMove
    velero: VeleroSettings
    seconds: float
    """How long a backup, a restore, or the wait between them may take."""

    @property
    def gives(self) -> tuple[str, ...]:
        """See Action."""
        return (FACT,)

    def describe(self) -> str:
        """See Action."""
        parts = [
            namespace.name + (f" (only {', '.join(namespace.only)})" if namespace.only else "")
            for namespace in self.move.namespaces
        ]
        return (
            f"move the objects of {', '.join(parts)} to the target with Velero, at 0 replicas and with "
            "CronJobs suspended"
        )

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        compared, selected = compare_clusters(context, self.move)
        return (*(f"move: {text}" for text in compared.findings),
                *(f"leave {text}" for text in selected.left)) or NO_CHANGE  # fmt: skip

    def observe(self, context: Context) -> Observation:
        """See Action."""
        compared, _ = compare_clusters(context, self.move)
        if compared.findings:
            return Observation("not done", "; ".join(compared.findings))
        return Observation("done", f"{compared.alike} objects are on the target as they should be")

    def apply(self, context: Context) -> Evidence:
        """See Action."""
        if ended := self._await_earlier(context):
            return ended
        selected = select(context.cluster("source"), self.move)
        self._refuse_unmapped(selected.moving)
        for text in selected.left:
            context.say(f"stays behind: {text}")
        name = f"{restores_of(context)}{context.clock.now():%Y%m%d%H%M%S}"
        context.facts.remember(FACT, name)
        evidence: Evidence = {"name": name, "objects": len(selected.moving), "left": list(selected.left)}
        evidence["backup_warnings"] = self._back_up(context, name, selected)
        self._make_known(context, name)
        evidence |= self._restore(context, name, selected)
        return evidence

    def _await_earlier(self, context: Context) -> Evidence:
        """Waits for what an earlier runner began: two never run at once. Its evidence if it sufficed."""
        name = context.facts.values.get(FACT)
        if name is None:
            return {}
        for side, kind in (("source", velero.BACKUPS), ("target", velero.RESTORES)):
            found = self._find(context.cluster(side), kind, name)
            if found is None or _phase(found) in velero.FINAL:
                continue
            context.say(f"{kind.kind} {name} was begun before and is still running")
            self._await_end(context, context.cluster(side), kind, name)
            if kind is velero.RESTORES and self.observe(context).state == "done":
                return {"name": name, "objects": compare_clusters(context, self.move)[0].alike}
        return {}

    def _refuse_unmapped(self, moving: Iterable[Found]) -> None:
        """A claim's data does not move: its owner says by the mapping what is made in its place."""
        unmapped = [
            f"{found} asks for the storage class {name}"
            for found in moving
            for name in storage_classes(found.item)
            if name not in self.move.storage_classes
        ]
        if unmapped:
            raise StepError(
                f"{'; '.join(unmapped)}, which move.velero.storage_classes does not map. Velero cannot move "
                "another cloud's volume: an empty one is made, of the class that the settings name"
            )

    def _back_up(self, context: Context, name: str, selected: Selected) -> list[str]:
        """Backs up; returns the warnings. Raises StepError that names what is missing."""
        source, place = context.cluster("source"), self.velero.namespace
        policy = velero.selection_policy(name, place, selected.moving)
        source.create("configmaps", policy)
        days = self.velero.retention_days
        source.create("backups", velero.backup(name, place, selected.moving, name, days))
        found = self._await_end(context, source, velero.BACKUPS, name)
        warnings = self._judge(context, source, velero.BACKUPS, found)
        listed = self._file(context, source, "BackupResourceList", name)
        if missing := velero.not_backed_up(listed, selected.moving):
            raise StepError(
                f"Velero's backup {name} on {source.context} left out {', '.join(missing)}. Look for the "
                "label velero.io/exclude-from-backup on them; then `cutover run` makes a new backup"
            )
        source.delete("v1", "configmaps", place, name)
        return warnings

    def _make_known(self, context: Context, name: str) -> None:
        """Tells the target's Velero of the backup in the bucket; by itself it looks there once a minute."""
        source, target = context.cluster("source"), context.cluster("target")
        found = self._find(source, velero.BACKUPS, name)
        if found is None:
            raise StepError(f"the backup {name} on {source.context} has gone: `cutover run` makes a new one")
        target.create("backups", velero.known_elsewhere(found))

    def _restore(self, context: Context, name: str, selected: Selected) -> Evidence:
        """Restores; returns what came along and the warnings. Raises StepError that names what went wrong."""
        target, place = context.cluster("target"), self.velero.namespace
        target.create("configmaps", velero.modifiers(name, place, selected.moving, self.move))
        target.create("restores", velero.restore(name, place, name, name))
        found = self._await_end(context, target, velero.RESTORES, name)
        warnings = self._judge(context, target, velero.RESTORES, found)
        needed, strange = velero.came_along(
            self._file(context, target, "RestoreResourceList", name), selected.moving
        )
        if strange:
            raise StepError(
                f"Velero's restore {name} brought to {target.context} what should not move: "
                f"{', '.join(strange)}. Delete it there; then `cutover run` goes on"
            )
        target.delete("v1", "configmaps", place, name)
        return {"restore_warnings": warnings, "came_along": needed}

    def _judge(
        self, context: Context, cluster: Cluster, kind: ObjectKind, found: dict[str, Any]
    ) -> list[str]:
        """The warnings of what has ended. Raises StepError with the errors where it did not end well."""
        name, status = found["metadata"]["name"], found.get("status", {})
        what = f"Velero's {kind.kind.lower()} {name} on {cluster.context}"
        results: dict[str, Any] = {}
        if status.get("errors") or status.get("warnings"):
            results = self._file(context, cluster, f"{kind.kind}Results", name)
        errors = velero.messages(results, "errors")
        if _phase(found) != velero.COMPLETED or errors:
            reasons = "; ".join(errors) or velero.progress(found)
            raise StepError(
                f"{what} ended as {_phase(found)}: {reasons}. Put it right; then `cutover run` tries anew"
            )
        warnings = velero.messages(results, "warnings")
        for text in warnings:
            context.say(f"{what} warns: {text}")
        return warnings

    def _await_end(self, context: Context, cluster: Cluster, kind: ObjectKind, name: str) -> dict[str, Any]:
        last: dict[str, Any] = {}

        def look() -> tuple[bool, str]:
            found = self._find(cluster, kind, name)
            if found is None:
                raise StepError(f"{kind.kind} {name} on {cluster.context} was removed by somebody else")
            last.clear()
            last.update(found)
            return _phase(found) in velero.FINAL, velero.progress(found)

        context.wait_for(f"Velero's {kind.kind.lower()} {name} on {cluster.context}", self.seconds, look)
        return last

    def _file(self, context: Context, cluster: Cluster, kind: str, of: str) -> Any:
        """A file that Velero keeps beside a backup or restore."""
        name = f"{of}-{kind.lower()}-{context.clock.now():%H%M%S%f}"
        cluster.create("downloadrequests", velero.download(name, self.velero.namespace, kind, of))
        address = ""

        def look() -> tuple[bool, str]:
            nonlocal address
            found = self._find(cluster, velero.DOWNLOADS, name) or {}
            address = found.get("status", {}).get("downloadURL", "")
            return bool(address), "answered" if address else "not answered yet"

        what = f"{kind} of {of}"
        context.wait_for(f"Velero on {cluster.context} to give the {what}", _DOWNLOAD_SECONDS, look)
        data = context.web.fetch(address, context.environment.cutover.timeouts.call)
        cluster.delete(velero.API, "downloadrequests", self.velero.namespace, name)
        return velero.contents(data, what)

    def _find(self, cluster: Cluster, kind: ObjectKind, name: str) -> dict[str, Any] | None:
        return cluster.get(kind.api_version, kind.plural, self.velero.namespace, name)


def _phase(found: dict[str, Any]) -> str:
    return str(found.get("status", {}).get("phase") or "New")
