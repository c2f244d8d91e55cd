"""Which pods a Service sends to."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Condition, Evidence
from cutover.context import Context
from cutover.ports import ObjectKind, Side

_SLICES = ObjectKind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
_SERVICE_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, kw_only=True)
class ServiceSendsTo(Condition):
    """A Service's ready endpoints are pods of the named workloads, and of no others."""

    side: Side
    service: str
    """`namespace/name`."""
    workloads: tuple[str, ...]
    """Names in the Service's namespace."""
    seconds: float

    def describe(self) -> str:
        """See Condition."""
        return f"Service {self.service} on the {self.side} sends to {', '.join(self.workloads)} alone"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        namespace, _, name = self.service.partition("/")
        prefixes = tuple(f"{workload}-" for workload in self.workloads)

        def look() -> tuple[bool, str]:
            pods = sorted(
                endpoint.get("targetRef", {}).get("name", "an address without a pod")
                for item in context.clusters[self.side].list(_SLICES, namespace)
                if item["metadata"].get("labels", {}).get(_SERVICE_LABEL) == name
                for endpoint in item.get("endpoints") or ()
                if endpoint.get("conditions", {}).get("ready", True)
            )
            return bool(pods) and all(pod.startswith(prefixes) for pod in pods), ", ".join(pods) or "no pod"

        return {"pods": context.wait_for(f"Service {self.service}", self.seconds, look)}
