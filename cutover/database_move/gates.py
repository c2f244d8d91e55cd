"""The gate's instances on the target's cluster, each driven through its own pod."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from components.traffic_gate import FOLDER, NAME, RUNTIME_PORT
from cutover.gate import GateInstance, Gates, NoGates, PodChannel
from cutover.ports import Cluster, ObjectKind
from stacks.settings import Environment

_PODS = ObjectKind("v1", "Pod", "pods")
CONTAINER = "haproxy"


def bridge(port: int = RUNTIME_PORT) -> tuple[str, ...]:
    """The command that leads to the runtime API, which listens on the pod's loopback.

    bash opens the connection: the image has no program that does no more than that.
    """
    return ("bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}; cat <&3 & exec cat >&3")


def open_gates(cluster: Cluster, environment: Environment) -> Gates | NoGates:
    """All instances of the gate; a switch by restarts has none. Raises StepError where one is missing."""
    if environment.cutover.database_switch == "restart":
        return NoGates()
    namespaces = dict.fromkeys(domain.service.partition("/")[0] for domain in environment.domains)
    return Gates(
        [
            _instance(cluster, namespace, str(pod["metadata"]["name"]))
            for namespace in namespaces
            for pod in cluster.list(_PODS, namespace)
            if _is_gate(pod)
        ]
    )


def _instance(cluster: Cluster, namespace: str, name: str) -> GateInstance:
    command = partial(cluster.execute, namespace, name, CONTAINER, bridge())
    return GateInstance(f"the gate {namespace}/{name}", lambda: PodChannel(command()), FOLDER)


def _is_gate(pod: Mapping[str, Any]) -> bool:
    metadata = pod["metadata"]
    ready = any(
        item["type"] == "Ready" and item["status"] == "True"
        for item in pod.get("status", {}).get("conditions") or ()
    )
    named = (metadata.get("labels") or {}).get("app.kubernetes.io/name") == NAME
    return named and ready and "deletionTimestamp" not in metadata
