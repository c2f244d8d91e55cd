"""When an object has become what was asked for: judgements over its live state, and waiting for them."""

from __future__ import annotations

import time
from collections.abc import Callable

from grpc import StatusCode

from lab.providers.base import Properties, ProviderError
from lab.providers.kubernetes.api import Cluster, Kind

DEFAULT_TIMEOUT = 600.0  # seconds, as the official provider's for most kinds
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0

# None: ready. A text: what is still missing.
Judgement = str | None


class HopelessError(Exception):
    """An object that will not become ready by waiting."""


def _condition(live: Properties, name: str) -> Properties:
    conditions: list[Properties] = live.get("status", {}).get("conditions") or []
    return next((item for item in conditions if item["type"] == name), {})


def deployment(live: Properties) -> Judgement:
    """A Deployment's rollout, as ``kubectl rollout status`` judges it."""
    status, wanted = live.get("status", {}), live["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < live["metadata"]["generation"]:
        return "the controller has not seen the change yet"
    progressing = _condition(live, "Progressing")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        raise HopelessError(progressing.get("message", "progress deadline exceeded"))
    return _replicas(status, wanted, status.get("updatedReplicas", 0))


def stateful_set(live: Properties) -> Judgement:
    """A StatefulSet's rollout."""
    status, wanted = live.get("status", {}), live["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < live["metadata"]["generation"]:
        return "the controller has not seen the change yet"
    updated = status.get("updatedReplicas", 0)
    if wanted and status.get("currentRevision") == status.get("updateRevision"):
        updated = status.get("currentReplicas", updated)
    return _replicas(status, wanted, updated)


def _replicas(status: Properties, wanted: int, updated: int) -> Judgement:
    available = status.get("availableReplicas", 0)
    if updated < wanted:
        return f"{updated} of {wanted} replicas are updated"
    if status.get("replicas", 0) > wanted:
        return f"{status['replicas'] - wanted} old replicas are still there"
    if available < wanted:
        return f"{available} of {wanted} replicas are available"
    return None


def daemon_set(live: Properties) -> Judgement:
    """A DaemonSet's rollout."""
    status = live.get("status", {})
    if status.get("observedGeneration", 0) < live["metadata"]["generation"]:
        return "the controller has not seen the change yet"
    return _replicas(
        {"availableReplicas": status.get("numberAvailable", 0)},
        status.get("desiredNumberScheduled", 0),
        status.get("updatedNumberScheduled", 0),
    )


def pod(live: Properties) -> Judgement:
    """A Pod that serves, or one that has done its work."""
    phase = live.get("status", {}).get("phase", "Pending")
    if phase == "Failed":
        raise HopelessError(live["status"].get("message", "the pod failed"))
    if phase == "Succeeded" or _condition(live, "Ready").get("status") == "True":
        return None
    return f"phase {phase}, not ready"


def job(live: Properties) -> Judgement:
    """A Job that has done its work."""
    failed = _condition(live, "Failed")
    if failed.get("status") == "True":
        raise HopelessError(failed.get("message", "the job failed"))
    return None if _condition(live, "Complete").get("status") == "True" else "not complete"


def persistent_volume_claim(live: Properties) -> Judgement:
    """A claim that is bound."""
    phase = live.get("status", {}).get("phase")
    return None if phase == "Bound" else f"phase {phase}"


JUDGES: dict[str, Callable[[Properties], Judgement]] = {
    "Deployment": deployment,
    "StatefulSet": stateful_set,
    "DaemonSet": daemon_set,
    "Pod": pod,
    "Job": job,
    "PersistentVolumeClaim": persistent_volume_claim,
}


def service(cluster: Cluster, live: Properties) -> Judgement:
    """A Service that somebody answers: an endpoint behind its selector, an address where it wants a load
    balancer."""
    spec = live["spec"]
    if spec.get("type") == "LoadBalancer" and not live.get("status", {}).get("loadBalancer", {}).get(
        "ingress"
    ):
        return "the load balancer has no address"
    if spec.get("type") == "ExternalName" or not spec.get("selector") or spec.get("clusterIP") == "None":
        return None
    slices = cluster.list(
        cluster.kind("discovery.k8s.io/v1", "EndpointSlice"),
        live["metadata"]["namespace"],
        f"kubernetes.io/service-name={live['metadata']['name']}",
    )
    ready = any(
        endpoint.get("conditions", {}).get("ready") is not False
        for each in slices
        for endpoint in each.get("endpoints") or []
    )
    return None if ready else "no endpoint is ready"


def wait_until_ready(cluster: Cluster, kind: Kind, live: Properties, timeout: float) -> Properties:
    """Wait until an object is ready; returns its live state.

    Raises ProviderError (DEADLINE_EXCEEDED, or FAILED_PRECONDITION where waiting is of no use) with what is
    missing.
    """
    metadata = live["metadata"]
    namespace, name = metadata.get("namespace"), metadata["name"]
    title = f"{kind.name} {namespace}/{name}"
    if kind.name not in JUDGES and kind.name != "Service":
        return live
    end, pause = time.monotonic() + timeout, _FIRST_PAUSE
    while True:
        try:
            missing = service(cluster, live) if kind.name == "Service" else JUDGES[kind.name](live)
        except HopelessError as error:
            raise ProviderError(
                f"{title} does not become ready: {error}", StatusCode.FAILED_PRECONDITION
            ) from error
        if missing is None:
            return live
        if time.monotonic() >= end:
            raise ProviderError(
                f"{title} is not ready after {timeout:g} s: {missing}", StatusCode.DEADLINE_EXCEEDED
            )
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
        current = cluster.get(kind, namespace, name)
        if current is None:
            raise ProviderError(f"{title} was deleted while it was waited for", StatusCode.NOT_FOUND)
        live = current


def wait_until_gone(cluster: Cluster, kind: Kind, namespace: str | None, name: str, timeout: float) -> None:
    """Wait until there is no such object; raises ProviderError (DEADLINE_EXCEEDED) with what holds it."""
    end, pause = time.monotonic() + timeout, _FIRST_PAUSE
    while (live := cluster.get(kind, namespace, name)) is not None:
        if time.monotonic() >= end:
            finalizers = ", ".join(live["metadata"].get("finalizers") or ["none"])
            raise ProviderError(
                f"{kind.name} {namespace}/{name} is still there after {timeout:g} s;"
                f" finalizers: {finalizers}",
                StatusCode.DEADLINE_EXCEEDED,
            )
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
