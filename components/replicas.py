"""Replica counts of workloads that landfall did not create."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
from pulumi_kubernetes.apps.v1 import DeploymentPatch, StatefulSetPatch

from components.patching import patch_metadata, patch_options


@dataclass(frozen=True)
class Replica:
    """How many pods a workload should have."""

    namespace: str
    kind: Literal["Deployment", "StatefulSet"]
    name: str
    count: int


class Replicas(pulumi.ComponentResource):
    """States the replica counts of existing workloads and nothing else of them."""

    def __init__(
        self, name: str, replicas: Sequence[Replica], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("landfall:kubernetes:Replicas", name, None, opts)
        for replica in replicas:
            patch = DeploymentPatch if replica.kind == "Deployment" else StatefulSetPatch
            patch(
                f"{replica.namespace}/{replica.name}",
                metadata=patch_metadata(replica.namespace, replica.name),
                spec={"replicas": replica.count},
                opts=patch_options(self),
            )
        self.register_outputs({})
