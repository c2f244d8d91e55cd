"""Pods that run against the target's database and wait: copies of the live ones, beside them.

A copy is made of what runs now, with its ConfigMaps' entries changed and labels of its own, so that no
Service but the gate's own sends to it. It belongs to the cutover, which removes it once the workloads
themselves run against the target's database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cutover.actions.base import Action, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.ports import Cluster
from stacks.settings import Environment, WorkloadName

SUFFIX = "-landfall-armed"
_REFERENCES = ("configMapRef", "configMapKeyRef", "configMap")
NAME_LABEL = "app.kubernetes.io/name"


def armed_name(workload: WorkloadName) -> WorkloadName:
    """The copy's name."""
    return WorkloadName(namespace=workload.namespace, kind="Deployment", name=f"{workload.name}{SUFFIX}")


@dataclass(frozen=True, kw_only=True)
class ArmPods(Action):
    """Starts the copies, or removes them."""

    workloads: tuple[str, ...]
    """Those that serve, as `namespace/name`."""

    def describe(self) -> str:
        """See Action."""
        return (
            f"start copies of {', '.join(self.workloads)} on the target that run against its own database; "
            "they wait, as nobody sends to them"
        )

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        return tuple(
            f"create Deployment {armed_name(context.environment.workload(key)).key}" for key in self.workloads
        )

    def observe(self, context: Context) -> Observation:  # noqa: ARG002 - an interface's method
        """It is repeated: what is there is brought in line."""
        return Observation("not done", "looked at anew")

    def apply(self, context: Context) -> Evidence:
        """See Action."""
        cluster, environment = context.clusters["target"], context.environment
        entries = _entries(context)
        made = []
        for key in self.workloads:
            workload = environment.workload(key)
            live = _deployment(cluster, workload)
            changed = {
                name: values
                for (namespace, name), values in entries.items()
                if namespace == workload.namespace
            }
            for name, values in changed.items():
                _copy_config_map(cluster, workload.namespace, name, values)
            copy = armed_deployment(live, environment, workload, tuple(changed))
            remove(cluster, armed_name(workload), keep=copy)
            cluster.create("deployments", copy)
            context.say(f"{armed_name(workload).key} runs against the target's database")
            made.append(armed_name(workload).key)
        return {"armed": made}

    def undo(self, context: Context) -> Evidence:
        """See Action."""
        return disarm(context, self.workloads)


@dataclass(frozen=True, kw_only=True)
class DisarmPods(Action):
    """The same the other way round: removes the copies, and starts them again on the way back."""

    workloads: tuple[str, ...]

    def describe(self) -> str:
        """See Action."""
        return f"remove the copies of {', '.join(self.workloads)}, to which nobody sends any more"

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        return tuple(
            f"delete Deployment {armed_name(context.environment.workload(key)).key}" for key in self.workloads
        )

    def observe(self, context: Context) -> Observation:  # noqa: ARG002 - an interface's method
        """It is repeated: removing what is gone is harmless."""
        return Observation("not done", "looked at anew")

    def apply(self, context: Context) -> Evidence:
        """See Action."""
        return disarm(context, self.workloads)

    def undo(self, context: Context) -> Evidence:
        """See Action."""
        return ArmPods(workloads=self.workloads).apply(context)


def disarm(context: Context, workloads: tuple[str, ...]) -> Evidence:
    """Removes copies and their ConfigMaps."""
    cluster = context.clusters["target"]
    for key in workloads:
        workload = context.environment.workload(key)
        remove(cluster, armed_name(workload))
        for entry in context.environment.config_entries:
            if entry.namespace == workload.namespace:
                cluster.delete("v1", "configmaps", entry.namespace, f"{entry.config_map}{SUFFIX}")
    return {"disarmed": [armed_name(context.environment.workload(key)).key for key in workloads]}


def remove(cluster: Cluster, name: WorkloadName, keep: Mapping[str, Any] | None = None) -> None:
    """Removes a copy, unless it is as `keep` says."""
    found = cluster.get("apps/v1", "deployments", name.namespace, name.name)
    if found is None:
        return
    if keep is not None and _of(found) == _of(keep):
        return
    cluster.delete("apps/v1", "deployments", name.namespace, name.name)


def armed_deployment(
    live: Mapping[str, Any], environment: Environment, workload: WorkloadName, config_maps: tuple[str, ...]
) -> dict[str, Any]:
    """The copy of a Deployment: its own name, labels and ConfigMaps, all else as it is."""
    name = armed_name(workload)
    labels = {NAME_LABEL: name.name, **environment.armed_labels(workload)}
    template = live["spec"]["template"]
    annotations = dict(template.get("metadata", {}).get("annotations") or {})
    annotations[_OF] = str(live["metadata"].get("generation", 0))
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": name.namespace, "name": name.name, "labels": labels},
        "spec": {
            "replicas": live["spec"].get("replicas", 1),
            "selector": {"matchLabels": {NAME_LABEL: name.name}},
            "strategy": live["spec"].get("strategy") or {},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": _renamed(template["spec"], config_maps),
            },
        },
    }


_OF = "landfall.dev/of-generation"
"""Of which state of the live Deployment it is a copy."""


def _of(deployment: Mapping[str, Any]) -> str:
    annotations = deployment["spec"]["template"].get("metadata", {}).get("annotations") or {}
    return str(annotations.get(_OF, ""))


def _renamed(value: Any, config_maps: tuple[str, ...], under: str = "") -> Any:
    """The same with every reference to one of the ConfigMaps led to its copy."""
    if isinstance(value, Mapping):
        found = {key: _renamed(item, config_maps, str(key)) for key, item in value.items()}
        if under in _REFERENCES and found.get("name") in config_maps:
            found["name"] = f"{found['name']}{SUFFIX}"
        return found
    if isinstance(value, list):
        return [_renamed(item, config_maps) for item in value]
    return value


def _copy_config_map(cluster: Cluster, namespace: str, name: str, values: Mapping[str, str]) -> None:
    live = cluster.get("v1", "configmaps", namespace, name)
    if live is None:
        raise StepError(f"cluster {cluster.context} has no ConfigMap {namespace}/{name}")
    cluster.delete("v1", "configmaps", namespace, f"{name}{SUFFIX}")
    cluster.create(
        "configmaps",
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"namespace": namespace, "name": f"{name}{SUFFIX}"},
            "data": {**(live.get("data") or {}), **values},
        },
    )


def _deployment(cluster: Cluster, workload: WorkloadName) -> Mapping[str, Any]:
    if workload.kind != "Deployment":
        raise StepError(f"{workload.key} is a {workload.kind}: only Deployments can be armed")
    live = cluster.get("apps/v1", "deployments", workload.namespace, workload.name)
    if live is None:
        raise StepError(f"cluster {cluster.context} has no Deployment {workload.key}")
    return live


def _entries(context: Context) -> dict[tuple[str, str], dict[str, str]]:
    """The entries' values for the target's database, by namespace and ConfigMap."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for namespace, config_map, key, value in _values(context):
        found.setdefault((namespace, config_map), {})[key] = value
    return found


def _values(context: Context) -> Iterator[tuple[str, str, str, str]]:
    database = context.environment.database
    host = context.stacks.outputs(context.stack("")).get("database_address")
    if not host:
        raise StepError(f"stack {context.stack('')} has no output 'database_address'")
    for entry in context.environment.config_entries:
        value = entry.value.format(
            database_host=host, database_port=database.port, database_name=database.name
        )
        yield entry.namespace, entry.config_map, entry.key, value
