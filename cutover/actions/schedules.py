"""CronJobs and autoscalers: remembered, frozen on one side, and handed over once.

A CronJob that is resumed runs at once what it missed while it was suspended, which is anything since its
`status.lastScheduleTime`. So a hand-over carries that time over to the side that is resumed: what one side
has run the other does not run again, and what neither has run is run once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cutover.actions.base import NO_CHANGE, Action, Evidence, Look, Observation
from cutover.callers.find import Moving
from cutover.context import Context
from cutover.errors import StepError
from cutover.ports import Cluster, ObjectKind, Side

SCHEDULES = "schedules"
"""The fact: the source's CronJobs and autoscalers as they were, by `namespace/name`."""
CRON_JOBS = ObjectKind("batch/v1", "CronJob", "cronjobs")
JOBS = ObjectKind("batch/v1", "Job", "jobs")
AUTOSCALERS = ObjectKind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
_SIDES: tuple[Side, Side] = ("source", "target")
_DISABLED = {"selectPolicy": "Disabled"}


@dataclass(frozen=True)
class RememberSchedules(Look):
    """Writes the source's CronJobs and autoscalers into the journal."""

    @property
    def gives(self) -> tuple[str, ...]:
        """See Action."""
        return (SCHEDULES,)

    def describe(self) -> str:
        """See Action."""
        return "remember the CronJobs and autoscalers of what moves"

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        found = _recorded(context)
        return tuple(
            f"remember {kind} {key}: {value}" for kind, items in found.items() for key, value in items.items()
        )

    def apply(self, context: Context) -> Evidence:
        """Keeps what an earlier attempt remembered of autoscalers: by now they may be frozen."""
        found = _recorded(context)
        before = context.facts.values.get(SCHEDULES, {}).get("autoscalers", {})
        found["autoscalers"] |= {key: value for key, value in before.items() if key in found["autoscalers"]}
        context.facts.remember(SCHEDULES, found)
        for key, value in found["cron_jobs"].items():
            context.say(f"CronJob {key} runs at {value['schedule']!r}")
        return {SCHEDULES: found}


@dataclass(frozen=True)
class FreezeAutoscalers(Action):
    """Keeps the source's autoscalers from changing replica counts, which the cutover owns from now on."""

    @property
    def needs(self) -> tuple[str, ...]:
        """See Action."""
        return (SCHEDULES,)

    def describe(self) -> str:
        """See Action."""
        return "keep the source's autoscalers from changing replica counts"

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        keys = context.facts.values.get(SCHEDULES, _recorded(context))["autoscalers"]
        return tuple(f"HorizontalPodAutoscaler {key}: scaling in no direction" for key in keys) or NO_CHANGE

    def observe(self, context: Context) -> Observation:
        """See Action."""
        for key in self._keys(context):
            item = _get(context.clusters["source"], AUTOSCALERS, key)
            behavior = item["spec"].get("behavior") or {}
            if any((behavior.get(way) or {}).get("selectPolicy") != "Disabled" for way in _ways()):
                return Observation("not done", f"HorizontalPodAutoscaler {key} still scales")
        return Observation("done", "no autoscaler scales")

    def apply(self, context: Context) -> Evidence:
        """See Action."""
        for key in self._keys(context):
            behavior = {way: dict(_DISABLED) for way in _ways()}
            _patch(context.clusters["source"], AUTOSCALERS, key, {"spec": {"behavior": behavior}})
            context.say(f"HorizontalPodAutoscaler {key} scales no more")
        return {"frozen": self._keys(context)}

    def undo(self, context: Context) -> Evidence:
        """See Action."""
        for key, before in context.facts.recall(SCHEDULES)["autoscalers"].items():
            _patch(context.clusters["source"], AUTOSCALERS, key, {"spec": {"behavior": before["behavior"]}})
            context.say(f"HorizontalPodAutoscaler {key} scales again")
        return {"thawed": self._keys(context)}

    @staticmethod
    def _keys(context: Context) -> list[str]:
        return list(context.facts.recall(SCHEDULES)["autoscalers"])


@dataclass(frozen=True, kw_only=True)
class HandOverSchedules(Action):
    """Suspends the source's CronJobs, waits for what they began, and only then resumes the target's."""

    seconds: float
    """How long a job that runs may take to end."""

    @property
    def needs(self) -> tuple[str, ...]:
        """See Action."""
        return (SCHEDULES,)

    def describe(self) -> str:
        """See Action."""
        return (
            "suspend the source's CronJobs, wait until none of their jobs runs, and resume the target's, "
            "which are told when each ran last"
        )

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        found = context.facts.values.get(SCHEDULES, {}).get("cron_jobs") or _recorded(context)["cron_jobs"]
        lines = []
        for key, before in found.items():
            if not before["suspend"]:
                lines += [
                    f"CronJob {key} on the source: spec.suspend: False -> True",
                    f"CronJob {key} on the target: spec.suspend: True -> False",
                ]
        return tuple(lines) or NO_CHANGE

    def observe(self, context: Context) -> Observation:
        """See Action."""
        for key, before in self._schedules(context).items():
            if not _get(context.clusters["source"], CRON_JOBS, key)["spec"].get("suspend"):
                return Observation("not done", f"CronJob {key} still runs on the source")
            target = bool(_get(context.clusters["target"], CRON_JOBS, key)["spec"].get("suspend"))
            if target != before["suspend"]:
                return Observation("not done", f"CronJob {key} is suspended on the target")
        return Observation("done", "every CronJob runs on the target alone")

    def apply(self, context: Context) -> Evidence:
        """Raises StepError where the CronJobs are not those that were remembered, or a job does not end."""
        schedules = self._schedules(context)
        there = {side: set(_cron_jobs(context, context.clusters[side])) for side in _SIDES}
        problems = [f"{key} came to the source since" for key in sorted(there["source"] - set(schedules))]
        problems += [
            f"{key} is not on the {side}" for side in _SIDES for key in sorted(set(schedules) - there[side])
        ]
        if problems:
            raise StepError(
                f"the CronJobs are not those that were remembered: {'; '.join(problems)}. Bring both sides "
                "in line, those of the target suspended"
            )
        return self._hand_over(context, "source", "target")

    def undo(self, context: Context) -> Evidence:
        """The same in the other direction."""
        return self._hand_over(context, "target", "source")

    def _hand_over(self, context: Context, giving: Side, taking: Side) -> Evidence:
        schedules = self._schedules(context)
        gives, takes = context.clusters[giving], context.clusters[taking]
        for key in schedules:
            _patch(gives, CRON_JOBS, key, {"spec": {"suspend": True}})
        self._await_jobs(context, gives)
        last = {}
        for key, before in schedules.items():
            last[key] = _ran_last(_get(gives, CRON_JOBS, key))
            self._resume(takes, key, last[key], suspend=before["suspend"])
            context.say(f"CronJob {key} runs on {takes.context}; it ran last at {last[key] or 'no time yet'}")
        return {"from": gives.context, "to": takes.context, "ran_last": last}

    @staticmethod
    def _resume(cluster: Cluster, key: str, last: str, *, suspend: bool) -> None:
        found = _get(cluster, CRON_JOBS, key)
        # one that is resumed already has a time of its own; RFC 3339 in UTC sorts as text
        if found["spec"].get("suspend") and last > _ran_last(found):
            _patch(cluster, CRON_JOBS, key, {"status": {"lastScheduleTime": last}}, "status")
        _patch(cluster, CRON_JOBS, key, {"spec": {"suspend": suspend}})

    def _schedules(self, context: Context) -> Mapping[str, Mapping[str, Any]]:
        found: Mapping[str, Mapping[str, Any]] = context.facts.recall(SCHEDULES)["cron_jobs"]
        return found

    def _await_jobs(self, context: Context, cluster: Cluster) -> None:
        moving = Moving(context.environment)

        def look() -> tuple[bool, str]:
            running = sorted(
                f"{namespace}/{item['metadata']['name']}"
                for namespace in moving.namespaces
                for item in cluster.list(JOBS, namespace)
                if moving.along(namespace, item["metadata"]["name"]) and _runs(item)
            )
            return not running, f"{', '.join(running)} still runs" if running else "no job runs"

        context.wait_for(f"jobs on {cluster.context} to end", self.seconds, look)


@dataclass(frozen=True, kw_only=True)
class HoldSchedules(HandOverSchedules):
    """Suspends the target's CronJobs for a while and waits for what they began; `resume`: lets them go on."""

    resume: bool = False

    def describe(self) -> str:
        """See Action."""
        if self.resume:
            return "let the target's CronJobs run again"
        return "suspend the target's CronJobs, and wait until none of their jobs runs"

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        return tuple(
            f"CronJob {key} on the target: spec.suspend: {not self._held(before)} -> {self._held(before)}"
            for key, before in self._schedules(context).items()
            if not before["suspend"]
        )

    def observe(self, context: Context) -> Observation:  # noqa: ARG002 - an interface's method
        """It is repeated: suspending what is suspended is harmless."""
        return Observation("not done", "looked at anew")

    def apply(self, context: Context) -> Evidence:
        """See Action."""
        return self._set(context, held=not self.resume)

    def undo(self, context: Context) -> Evidence:
        """See Action."""
        return self._set(context, held=self.resume)

    def _held(self, before: Mapping[str, Any]) -> bool:
        return not self.resume or bool(before["suspend"])

    def _set(self, context: Context, *, held: bool) -> Evidence:
        target = context.clusters["target"]
        schedules = self._schedules(context)
        for key, before in schedules.items():
            _patch(target, CRON_JOBS, key, {"spec": {"suspend": held or before["suspend"]}})
        if held:
            self._await_jobs(context, target)
        return {"suspended" if held else "resumed": list(schedules)}


def suspended(context: Context, side: Side) -> tuple[bool, str]:
    """Whether every CronJob of what moves is suspended on a side, and which is not."""
    running = [
        key
        for key, item in _cron_jobs(context, context.clusters[side]).items()
        if not item["spec"].get("suspend")
    ]
    return not running, f"not suspended: {', '.join(running)}" if running else "all CronJobs are suspended"


def _recorded(context: Context) -> dict[str, dict[str, Any]]:
    source = context.clusters["source"]
    moving = Moving(context.environment)
    workloads = {item.key for item in context.environment.all_workloads}
    autoscalers = {}
    for namespace in moving.namespaces:
        for item in source.list(AUTOSCALERS, namespace):
            key = f"{namespace}/{item['metadata']['name']}"
            if f"{namespace}/{item['spec']['scaleTargetRef']['name']}" in workloads:
                autoscalers[key] = {"behavior": item["spec"].get("behavior")}
    return {
        "cron_jobs": {
            key: {
                "schedule": item["spec"]["schedule"],
                "suspend": bool(item["spec"].get("suspend")),
            }
            for key, item in _cron_jobs(context, source).items()
        },
        "autoscalers": autoscalers,
    }


def _cron_jobs(context: Context, cluster: Cluster) -> dict[str, dict[str, Any]]:
    moving = Moving(context.environment)
    return {
        f"{namespace}/{item['metadata']['name']}": item
        for namespace in moving.namespaces
        for item in cluster.list(CRON_JOBS, namespace)
        if moving.along(namespace, item["metadata"]["name"])
    }


def _get(cluster: Cluster, kind: ObjectKind, key: str) -> dict[str, Any]:
    namespace, _, name = key.partition("/")
    found = cluster.get(kind.api_version, kind.plural, namespace, name)
    if found is None:
        raise StepError(f"cluster {cluster.context} has no {kind.kind} {key}")
    return found


def _patch(
    cluster: Cluster, kind: ObjectKind, key: str, patch: Mapping[str, Any], subresource: str = ""
) -> None:
    namespace, _, name = key.partition("/")
    cluster.merge_patch(kind.api_version, kind.plural, namespace, name, patch, subresource=subresource)


def _ran_last(cron_job: Mapping[str, Any]) -> str:
    return str((cron_job.get("status") or {}).get("lastScheduleTime") or "")


def _runs(job: Mapping[str, Any]) -> bool:
    status = job.get("status") or {}
    ended = any(
        item["type"] in ("Complete", "Failed") and item["status"] == "True"
        for item in status.get("conditions") or ()
    )
    return not ended and not (job["spec"].get("suspend") and not status.get("active"))


def _ways() -> tuple[str, str]:
    return "scaleUp", "scaleDown"
