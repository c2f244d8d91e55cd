"""The Kubernetes clusters that small stacks work on."""

from collections.abc import Mapping
from typing import Literal

import pulumi
from pulumi_kubernetes import Provider

from components.replicas import Replica
from stacks.settings import Environment


def cluster_options(environment: Environment, cluster: str) -> pulumi.ResourceOptions:
    """Options that put resources on a cluster: `source`, `target`, or another that the settings name.

    The provider updates ConfigMaps in place (otherwise each change deletes and creates them), and is known by
    the cluster's name, so that an edit of the kubeconfig replaces nothing.
    """
    provider = Provider(
        cluster,
        context=environment.contexts[cluster],
        cluster_identifier=f"{environment.name}-{cluster}",
        enable_config_map_mutable=True,
    )
    return pulumi.ResourceOptions(provider=provider)


def declared_replicas(environment: Environment, counts: Mapping[str, int]) -> list[Replica]:
    """The flip keys' counts with what the settings know of each workload."""
    workloads = ((environment.workload(key), count) for key, count in counts.items())
    return [Replica(found.namespace, found.kind, found.name, count) for found, count in workloads]


def caller_entries(
    environment: Environment, cluster: str, sides: Mapping[str, Literal["source", "target"]]
) -> dict[tuple[str, str], dict[str, pulumi.Input[str]]]:
    """The values of the entries of callers on a cluster, by namespace and ConfigMap.

    Args:
        sides: which side each caller is told of; one that is absent keeps what it has.
    """
    entries: dict[tuple[str, str], dict[str, pulumi.Input[str]]] = {}
    for caller in environment.callers_on(cluster):
        side = sides.get(caller.key)
        if side is None:
            continue
        for entry in caller.entries:
            value = entry.source if side == "source" else entry.target
            entries.setdefault((caller.namespace, entry.config_map), {})[entry.key] = value
    return entries
