"""A pod that does one thing in a cluster and is removed: what it is given, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cutover.context import Context
from cutover.errors import StepError
from cutover.pod_status import container_state
from cutover.ports import Cluster

LABELS = {"app.kubernetes.io/managed-by": "landfall", "app.kubernetes.io/component": "throwaway"}
LOG_LINES = 200
_GONE_SECONDS = 60.0


@dataclass(frozen=True)
class ThrowawayPod:
    """A pod with one container, which has no rights in its cluster and a deadline."""

    namespace: str
    name: str
    image: str
    command: Sequence[str]
    """As it is run: a shell's own variables are the shell's to expand."""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Environment variables that are kept in a Secret of its own, made and removed with it."""
    from_secrets: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Environment variables from keys of Secrets that are there: variable -> (Secret, key)."""
    deadline_seconds: float = 600
    scratch: str = ""
    """The size of an empty folder /scratch, such as `20Gi`; empty: none."""
    cpu: str = "1"
    memory: str = "512Mi"


@dataclass(frozen=True)
class Ended:
    """How a throwaway pod ended."""

    exit_code: int
    message: str
    """What it wrote to its termination log."""
    log: tuple[str, ...]
    """Its last lines."""


def run_throwaway(
    context: Context,
    cluster: Cluster,
    pod: ThrowawayPod,
    watch: Callable[[Sequence[str]], None] | None = None,
) -> Ended:
    """Starts the pod, waits for its end and removes it with its Secret and ServiceAccount.

    What an earlier attempt left is removed first. `watch` sees the last lines of its log now and then.

    Raises:
        StepError: it could not be started, did not end in time, or was removed by somebody else.
    """
    remove_throwaway(context, cluster, pod.namespace, pod.name)
    with _made(context, cluster, pod):
        state = _await_end(context, cluster, pod, watch)
        log = tuple(cluster.logs(pod.namespace, pod.name, "work", LOG_LINES))
        return Ended(int(state["exitCode"]), str(state.get("message", "")), log)


def remove_throwaway(context: Context, cluster: Cluster, namespace: str, name: str) -> None:
    """Removes a pod with what was made for it, and waits until it is gone. Raises StepError."""
    for plural in ("pods", "secrets", "serviceaccounts"):
        cluster.delete("v1", plural, namespace, name)

    def gone() -> tuple[bool, str]:
        there = cluster.get("v1", "pods", namespace, name) is not None
        return not there, "it is still there" if there else "it is gone"

    context.wait_for(f"the end of pod {namespace}/{name} on {cluster.context}", _GONE_SECONDS, gone)


@contextmanager
def _made(context: Context, cluster: Cluster, pod: ThrowawayPod) -> Iterator[None]:
    try:
        for plural, manifest in manifests(pod):
            cluster.create(plural, manifest)
        yield
    finally:
        for plural in ("pods", "secrets", "serviceaccounts"):
            cluster.delete("v1", plural, pod.namespace, pod.name)
        context.activity.note(f"pod {pod.namespace}/{pod.name} is removed")


def _await_end(
    context: Context, cluster: Cluster, pod: ThrowawayPod, watch: Callable[[Sequence[str]], None] | None
) -> Mapping[str, Any]:
    place = f"pod {pod.namespace}/{pod.name} on {cluster.context}"
    until = context.clock.monotonic() + pod.deadline_seconds
    while True:
        found = cluster.get("v1", "pods", pod.namespace, pod.name)
        if found is None:
            raise StepError(f"{place} was removed by somebody else; `cutover run` starts it again")
        status = found.get("status", {})
        state = container_state(status)
        if ended := state.get("terminated"):
            return dict(ended)
        late = context.clock.monotonic() > until
        if status.get("phase") == "Failed" or late:
            reason = state.get("waiting", {}) or status
            word = reason.get("reason", status.get("phase", "Pending"))
            raise StepError(
                f"{place} did not end within {pod.deadline_seconds:g} s: {word} "
                f"{reason.get('message', '')}".rstrip()
            )
        if "running" in state and watch is not None:
            watch(cluster.logs(pod.namespace, pod.name, "work", 3))
        waiting = state.get("waiting", {}).get("reason", "")
        context.activity.note(f"{place}: {waiting or status.get('phase', 'Pending')}")
        context.pause()


def manifests(pod: ThrowawayPod) -> list[tuple[str, dict[str, Any]]]:
    """What is made for it: a ServiceAccount without any right and without a token, a Secret, the pod."""
    metadata = {"name": pod.name, "namespace": pod.namespace, "labels": dict(LABELS)}
    made: list[tuple[str, dict[str, Any]]] = [
        (
            "serviceaccounts",
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": metadata,
                "automountServiceAccountToken": False,
            },
        )
    ]
    if pod.secrets:
        made.append(
            (
                "secrets",
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": metadata,
                    "type": "Opaque",
                    "stringData": dict(pod.secrets),
                },
            )
        )
    named = {**{name: (pod.name, name) for name in pod.secrets}, **pod.from_secrets}
    volumes = [{"name": "scratch", "emptyDir": {"sizeLimit": pod.scratch}}] if pod.scratch else []
    container = {
        "name": "work",
        "image": pod.image,
        # the kubelet takes $(NAME) for a variable of its own, and $$ for one $
        "command": [word.replace("$", "$$") for word in pod.command],
        "env": [
            {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
            for variable, (secret, key) in sorted(named.items())
        ],
        "resources": {
            "requests": {"cpu": "50m", "memory": "64Mi"},
            "limits": {"cpu": pod.cpu, "memory": pod.memory},
        },
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}] if pod.scratch else [],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    made.append(
        (
            "pods",
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": metadata,
                "spec": {
                    "restartPolicy": "Never",
                    "activeDeadlineSeconds": max(1, int(pod.deadline_seconds)),
                    "serviceAccountName": pod.name,
                    "automountServiceAccountToken": False,
                    "terminationGracePeriodSeconds": 1,
                    "volumes": volumes,
                    "containers": [container],
                },
            },
        )
    )
    return made
