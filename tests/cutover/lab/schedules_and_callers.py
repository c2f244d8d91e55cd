"""Run in a world by test_schedules_in_the_lab: two real clusters, whose controllers run CronJobs."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cutover.actions.schedules import (
    CRON_JOBS,
    JOBS,
    FreezeAutoscalers,
    HandOverSchedules,
    RememberSchedules,
)
from cutover.callers import objects
from cutover.callers.find import find_callers
from cutover.context import Context
from cutover.errors import StepError
from cutover.ports import Cluster
from tests.cutover.lab.real_clusters import context_of
from tests.cutover.objects import cron_job, manifest, workload
from tests.setup.clusters import two_clusters

NAMESPACE = "billing-guance-intl"
SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
INSIDE = f"webportal.{NAMESPACE}.svc.cluster.local"


@contextmanager
def pods_end_well(context: Context) -> Iterator[None]:
    """In place of nodes: every pod of a Job succeeds as soon as it is there."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(0.5):
            for cluster in context.clusters.values():
                try:
                    end_pods(cluster)
                except StepError as error:  # a busy machine answers the next time
                    print(error, file=sys.stderr)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def end_pods(cluster: Cluster) -> None:
    """Ends every pod of a Job that waits for a node. Raises StepError."""
    for pod in cluster.list(objects.PODS, NAMESPACE):
        metadata = pod["metadata"]
        if pod.get("status", {}).get("phase") == "Pending" and "job-name" in metadata["labels"]:
            done = {"status": {"phase": "Succeeded"}}
            cluster.merge_patch("v1", "pods", NAMESPACE, metadata["name"], done, subresource="status")


def runs(context: Context, side: str, name: str) -> list[str]:
    """The times that a CronJob's jobs were due at."""
    return sorted(
        job["metadata"]["annotations"][SCHEDULED]
        for job in context.clusters[side].list(JOBS, NAMESPACE)
        if any(owner["name"] == name for owner in job["metadata"].get("ownerReferences", ()))
    )


def ran_last(context: Context, side: str, name: str) -> str:
    """A CronJob's own word."""
    found = context.clusters[side].get("batch/v1", CRON_JOBS.plural, NAMESPACE, name) or {}
    return str((found.get("status") or {}).get("lastScheduleTime") or "")


def until(what: str, seconds: float, look: Callable[[], object]) -> None:
    """Waits for something true."""
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {seconds} s for {what}")
        time.sleep(0.5)


def schedules(context: Context) -> dict[str, Any]:
    """Hands two schedules over: one as the plan does it, one by merely resuming it on the other side."""
    source, target = context.clusters["source"], context.clusters["target"]
    for name in ("settlement", "careless"):
        item = cron_job(NAMESPACE, name)
        item["spec"]["successfulJobsHistoryLimit"] = 10
        item["spec"]["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] = "Never"
        source.create("cronjobs", item)
        item["spec"]["suspend"] = True
        target.create("cronjobs", item)
    RememberSchedules().apply(context)
    until("a run on the source", 100, lambda: ran_last(context, "source", "settlement"))
    until("a run on the source", 20, lambda: ran_last(context, "source", "careless"))
    for name, side, suspend in (("careless", "source", True), ("careless", "target", False)):
        change = {"spec": {"suspend": suspend}}
        context.clusters[side].merge_patch("batch/v1", "cronjobs", NAMESPACE, name, change)
    done = HandOverSchedules(seconds=100).apply(context)
    until("the careless one to repeat a run", 20, lambda: runs(context, "target", "careless"))
    time.sleep(3)
    at_once = runs(context, "target", "settlement")
    until("a run on the target", 100, lambda: runs(context, "target", "settlement"))
    there = {
        name: [runs(context, side, name) for side in ("source", "target")]
        for name in ("settlement", "careless")
    }
    HandOverSchedules(seconds=100).undo(context)
    time.sleep(3)
    return {
        "ran_last": done["ran_last"],
        "at_once": at_once,
        "there": there,
        "back": [runs(context, side, "settlement") for side in ("source", "target")],
        "suspended": {
            side: bool(
                (cluster.get("batch/v1", "cronjobs", NAMESPACE, "settlement") or {})["spec"].get("suspend")
            )
            for side, cluster in context.clusters.items()
        },
        "observed": HandOverSchedules(seconds=100).observe(context).state,
    }


def autoscalers(context: Context) -> dict[str, Any]:
    """Freezes an autoscaler, and thaws it."""
    source = context.clusters["source"]
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "boss"},
        "minReplicas": 2,
        "maxReplicas": 5,
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
    }
    source.create(
        "horizontalpodautoscalers", manifest("HorizontalPodAutoscaler", NAMESPACE, "boss", spec=spec)
    )

    def behavior() -> Any:
        found = source.get("autoscaling/v2", "horizontalpodautoscalers", NAMESPACE, "boss") or {}
        return found["spec"]["behavior"]

    before = behavior()
    RememberSchedules().apply(context)
    FreezeAutoscalers().apply(context)
    frozen, observed = behavior(), FreezeAutoscalers().observe(context).state
    FreezeAutoscalers().undo(context)
    return {
        "before": before,
        "frozen": {way: frozen[way]["selectPolicy"] for way in ("scaleUp", "scaleDown")},
        "observed": observed,
        "after": behavior(),
    }


def callers(context: Context) -> list[list[str]]:
    """Finds a caller through the real API."""
    source = context.clusters["source"]
    exporter = workload("ops-tools", "exporter")
    exporter["spec"]["template"]["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "told"}}]
    source.create("deployments", exporter)
    source.create("configmaps", manifest("ConfigMap", "ops-tools", "told", data={"BOSS": f"http://{INSIDE}"}))
    service = manifest(
        "Service", NAMESPACE, "webportal", spec={"selector": {"app": "boss"}, "ports": [{"port": 80}]}
    )
    source.create("services", service)
    found = find_callers(context.environment, context.clusters)
    return [[caller.cluster, caller.key, caller.way, caller.where, caller.says] for caller in found.callers]


def main(folder: Path) -> None:
    """Prints what was seen, in one line."""
    with two_clusters(folder) as clusters:
        context = context_of(folder, clusters, call_seconds=30)
        for cluster in context.clusters.values():
            for name in (NAMESPACE, "ops-tools"):
                namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
                cluster.server_side_apply("namespaces", namespace, "test")
        with pods_end_well(context):
            seen = {
                "callers": callers(context),
                "autoscalers": autoscalers(context),
                "schedules": schedules(context),
            }
    print(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
