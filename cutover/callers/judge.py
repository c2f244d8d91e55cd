"""Which callers are known, and which still hold to the source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cutover.callers import objects
from cutover.callers.find import Caller, Found
from cutover.callers.objects import Item
from cutover.ports import Cluster, ObjectKind
from stacks.settings import CronJobReport, Environment

_WORKLOADS: dict[str, ObjectKind] = {kind.kind: kind for kind in objects.WORKLOADS}


def unknown(callers: Iterable[Caller], environment: Environment) -> list[Caller]:
    """The callers that the settings do not name."""
    named = {f"{item.cluster}/{item.key}" for item in (*environment.callers, *environment.accepted_callers)}
    namespaces = set()
    for item in environment.verifications:
        if isinstance(item, CronJobReport):
            named.add(f"{item.cluster}/{item.namespace}/{item.cron_job}")
        else:
            namespaces.add((item.cluster, item.namespace))
    return [
        caller
        for caller in callers
        if caller.key not in named and (caller.cluster, caller.namespace) not in namespaces
    ]


def holding(callers: Iterable[Caller], environment: Environment) -> list[Caller]:
    """Those that lead to the source's Services and nowhere else, and of which nobody accepted that."""
    accepted = {f"{item.cluster}/{item.key}" for item in environment.accepted_callers}
    return [caller for caller in callers if caller.way == "in-cluster" and caller.key not in accepted]


def stale(
    before: Iterable[Mapping[str, Any]], now: Found, environment: Environment, clusters: Mapping[str, Cluster]
) -> list[tuple[Caller, str]]:
    """Callers that were told of something else meanwhile, but whose pods read it before.

    A pod reads an environment once. So a pod that is older than the last change of what it reads may still
    call the source. Raises StepError where a cluster does not answer.
    """
    told = {caller.key for caller in now.callers if caller.way == "in-cluster"}
    found = []
    for caller in holding((Caller(**item) for item in before), environment):
        if caller.key in told or caller.kind not in _WORKLOADS or caller.kind == "CronJob":
            continue
        if reason := _older_pods(caller, clusters[caller.cluster]):
            found.append((caller, reason))
    return list(dict.fromkeys(found))


def _older_pods(caller: Caller, cluster: Cluster) -> str:
    kind = _WORKLOADS[caller.kind]
    workload = cluster.get(kind.api_version, kind.plural, caller.namespace, caller.name)
    if workload is None:
        return ""
    labels = workload["spec"]["selector"].get("matchLabels", {})
    changes = {
        str(source): _changed(item)
        for source in objects.read_by(objects.pod_template(workload))
        if (item := _read(cluster, source, caller.namespace)) is not None
    }
    for source, changed in sorted(changes.items()):
        old = [
            pod["metadata"]["name"]
            for pod in cluster.list(objects.PODS, caller.namespace)
            if labels.items() <= (pod["metadata"].get("labels") or {}).items()
            and pod["metadata"].get("creationTimestamp", "") < changed
            and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
        ]
        if source in caller.where and old:
            return (
                f"{', '.join(sorted(old))} began before {source} changed at {changed}: restart "
                f"{caller.kind} {caller.namespace}/{caller.name}"
            )
    return ""


def _read(cluster: Cluster, source: objects.Source, namespace: str) -> Item | None:
    kind = objects.CONFIG_MAPS if source.kind == "ConfigMap" else objects.SECRETS
    return cluster.get(kind.api_version, kind.plural, namespace, source.name)


def _changed(item: Item) -> str:
    """When an object's content was changed last; RFC 3339 in UTC, which sorts as text."""
    metadata = item["metadata"]
    times: list[str] = [field["time"] for field in metadata.get("managedFields") or () if field.get("time")]
    return max(times, default=str(metadata.get("creationTimestamp", "")))
