"""What runs 3scale's pods: Deployments, and DeploymentConfigs in versions before 2.15."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cutover.context import Context
from cutover.errors import StepError
from cutover.ports import Cluster, WorkloadState
from stacks.settings import WorkloadName

DEPLOYMENTS = ("apps/v1", "deployments")
CONFIGS = ("apps.openshift.io/v1", "deploymentconfigs")
"""OpenShift's own, which its 3scale used until 2.14."""


@dataclass(frozen=True, kw_only=True)
class Named:
    """A workload by its name; whether it is a Deployment or a DeploymentConfig, its cluster tells."""

    namespace: str
    names: tuple[str, ...]
    """The first is the one of today; others are those of older versions."""

    @property
    def name(self) -> str:
        """Its name today."""
        return self.names[0]

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Controller:
    """A workload that was found on a cluster. Methods raise StepError."""

    cluster: Cluster
    api_version: str
    plural: str
    namespace: str
    name: str

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    def state(self) -> WorkloadState:
        """How many pods it should have and has."""
        if self.plural == DEPLOYMENTS[1]:
            return self.cluster.workload(WorkloadName(namespace=self.namespace, name=self.name))
        found = self.cluster.get(self.api_version, self.plural, self.namespace, self.name)
        if found is None:
            raise StepError(f"cluster {self.cluster.context} has no DeploymentConfig {self.key} any more")
        return _state(found)

    def scale(self, replicas: int) -> None:
        """States its replicas."""
        patch = {"spec": {"replicas": replicas}}
        self.cluster.merge_patch(self.api_version, self.plural, self.namespace, self.name, patch)

    def await_settled(self, context: Context, replicas: int, seconds: float) -> WorkloadState:
        """Waits until it has so many pods and all are ready.

        Raises:
            StepError: somebody else states another number, or it is not so in time.
        """
        state = self.state()

        def look() -> tuple[bool, str]:
            nonlocal state
            state = self.state()
            if state.wanted != replicas:
                raise StepError(
                    f"{self.key} on {self.cluster.context} was set to {replicas} and is at {state.wanted} "
                    "again: somebody else scales it, such as its operator. See who (`oc get "
                    f"{self.plural.removesuffix('s')} {self.name} -n {self.namespace} -o yaml "
                    "--show-managed-fields`), pause them, and go on"
                )
            return state.settled, str(state)

        word = "to end" if replicas == 0 else "to be ready"
        context.wait_for(f"{self.key} on {self.cluster.context} {word}", seconds, look)
        return state


def find(cluster: Cluster, named: Named) -> Controller:
    """The workload of that name. Raises StepError where there is none."""
    for api_version, plural in (DEPLOYMENTS, CONFIGS):
        for name in named.names:
            if cluster.get(api_version, plural, named.namespace, name) is not None:
                return Controller(cluster, api_version, plural, named.namespace, name)
    names = " or ".join(named.names)
    raise StepError(
        f"cluster {cluster.context} has no Deployment and no DeploymentConfig {names} in {named.namespace}"
    )


def _state(found: dict[str, Any]) -> WorkloadState:
    status = found.get("status") or {}
    return WorkloadState(
        wanted=found["spec"].get("replicas", 1),
        total=status.get("replicas", 0),
        updated=status.get("updatedReplicas", 0),
        ready=status.get("readyReplicas", 0),
        observed=status.get("observedGeneration", 0) >= found["metadata"].get("generation", 0),
    )
