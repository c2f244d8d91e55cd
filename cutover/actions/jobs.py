"""Jobs that are made from a CronJob by hand, as `kubectl create job --from` does."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from cutover.actions.base import Evidence
from cutover.context import Context
from cutover.errors import StepError
from cutover.ports import Cluster
from stacks.settings import CronJobReport

_OWN = {"app.kubernetes.io/managed-by": "landfall", "app.kubernetes.io/name": "landfall-report"}
_LONGEST_NAME = 52


def find_cron_job(context: Context, report: CronJobReport) -> dict[str, Any]:
    """The CronJob that reports. Raises StepError where it is absent."""
    cluster = context.cluster(report.cluster)
    found = cluster.get("batch/v1", "cronjobs", report.namespace, report.cron_job)
    if found is None:
        raise StepError(
            f"{report.name}: cluster {cluster.context} has no CronJob {report.namespace}/{report.cron_job}"
        )
    return found


def schedule_of(cron_job: Mapping[str, Any], report: CronJobReport, texts: Mapping[str, str]) -> Evidence:
    """When a CronJob runs, and what it does after a failure. `texts`: its environment, as far as known."""
    spec = cron_job["spec"]
    return {
        "schedule": spec["schedule"],
        "time_zone": spec.get("timeZone", "that of the cluster's controller, usually UTC"),
        "suspended": bool(spec.get("suspend")),
        "ran_last": (cron_job.get("status") or {}).get("lastScheduleTime", "not yet"),
        "backoff_limit": spec["jobTemplate"]["spec"].get("backoffLimit", 6),
        "retries": texts.get(report.retries_env or "", "not declared"),
        "retry_seconds": texts.get(report.retry_seconds_env or "", "not declared"),
    }


def job_of(cron_job: Mapping[str, Any], name: str, seconds: float) -> dict[str, Any]:
    """A Job as the CronJob would make it, under a name of ours."""
    template = copy.deepcopy(cron_job["spec"]["jobTemplate"])
    metadata = cron_job["metadata"]
    labels = {**(template.get("metadata", {}).get("labels") or {}), **_OWN}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "namespace": metadata["namespace"],
            "name": name[:_LONGEST_NAME],
            "labels": labels,
            "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
        },
        "spec": {**template["spec"], "activeDeadlineSeconds": max(1, int(seconds))},
    }


def run_job(context: Context, cluster: Cluster, job: Mapping[str, Any], seconds: float) -> tuple[bool, str]:
    """Runs a Job to its end and removes it; one that a killed runner left behind is awaited, not repeated.

    Returns whether it succeeded, and what was seen. One that failed stays, so that its log can be read.
    Raises StepError where it does not end.
    """
    namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
    place = f"Job {namespace}/{name} on {cluster.context}"
    found = cluster.get("batch/v1", "jobs", namespace, name)
    if found is not None and _ended(found) == "Failed":
        remove_job(context, cluster, namespace, name)
        found = None
    if found is None:
        cluster.create("jobs", job)

    def look() -> tuple[bool, str]:
        now = cluster.get("batch/v1", "jobs", namespace, name)
        if now is None:
            raise StepError(f"{place} was removed by somebody else")
        status = now.get("status") or {}
        seen = ", ".join(
            f"{status[key]} {key}" for key in ("active", "succeeded", "failed") if status.get(key)
        )
        return bool(_ended(now)), seen or "nothing yet"

    seen = context.wait_for(f"{place} to end", seconds, look)
    succeeded = _ended(cluster.get("batch/v1", "jobs", namespace, name) or {}) == "Complete"
    if succeeded:
        remove_job(context, cluster, namespace, name)
    return succeeded, seen


def remove_job(context: Context, cluster: Cluster, namespace: str, name: str) -> None:
    """Deletes a Job and waits until it is gone. Raises StepError."""
    cluster.delete("batch/v1", "jobs", namespace, name)
    context.wait_for(
        f"Job {namespace}/{name} on {cluster.context} to be gone",
        60,
        lambda: (cluster.get("batch/v1", "jobs", namespace, name) is None, "still there"),
    )


def _ended(job: Mapping[str, Any]) -> str:
    for item in (job.get("status") or {}).get("conditions") or ():
        if item["type"] in ("Complete", "Failed") and item["status"] == "True":
            return str(item["type"])
    return ""
