"""The Kubernetes clusters that small stacks work on."""

from collections.abc import Mapping

import pulumi
from pulumi_kubernetes import Provider

from components.replicas import Replica
from stacks.settings import Environment


def cluster_options(environment: Environment, side: str, context: str) -> pulumi.ResourceOptions:
    """Options that put resources on the cluster of a kubeconfig context.

    The provider updates ConfigMaps in place (otherwise each change deletes and creates them), and is known by
    its side, so that an edit of the kubeconfig replaces nothing.
    """
    provider = Provider(
        side,
        context=context,
        cluster_identifier=f"{environment.name}-{side}",
        enable_config_map_mutable=True,
    )
    return pulumi.ResourceOptions(provider=provider)


def declared_replicas(environment: Environment, counts: Mapping[str, int]) -> list[Replica]:
    """The flip keys' counts with what the settings know of each workload."""
    workloads = ((environment.workload(key), count) for key, count in counts.items())
    return [Replica(found.namespace, found.kind, found.name, count) for found, count in workloads]
