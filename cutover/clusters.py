"""Kubernetes clusters through the official client; each call has a timeout, each error names its cluster."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import urllib3
from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException
from yaml import YAMLError

from cutover.clock import Clock
from cutover.errors import StepError
from cutover.pod_command import ExecutedCommand
from cutover.pod_status import container_state
from cutover.ports import ObjectKind, PodCommand, PodResult, WorkloadState
from stacks.settings import WorkloadName

CONNECT_SECONDS = 5.0
POD_POLL_SECONDS = 0.3
JSON = "application/json"
MANAGER = "landfall-cutover"
"""The field manager of what the cutover itself changes."""
OWN = {"app.kubernetes.io/managed-by": "landfall", "app.kubernetes.io/component": "probe"}


class KubernetesCluster:
    """One cluster, found by its context in the kubeconfig. Implements ports.Cluster."""

    def __init__(self, context: str, call_seconds: float, clock: Clock) -> None:
        """Raises StepError where the kubeconfig has no such context."""
        self._context = context
        self._timeout = (min(CONNECT_SECONDS, call_seconds), call_seconds)
        self._clock = clock
        try:
            self._client: client.ApiClient = config.new_client_from_config(  # type: ignore[no-untyped-call]
                # the client reads the variable once only, when it is loaded
                config_file=os.environ.get("KUBECONFIG") or None,
                context=context,
                persist_config=False,
            )
        except YAMLError as error:  # which quotes the line, and so perhaps a token
            where = f", line {mark.line + 1}" if (mark := getattr(error, "problem_mark", None)) else ""
            raise StepError(f"the kubeconfig is no YAML{where}") from None
        except (ConfigException, OSError, KeyError) as error:
            raise StepError(f"the kubeconfig has no usable context {context!r}: {error}") from error
        self._client.configuration.retries = urllib3.Retry(2, backoff_factor=0.2)
        self._client.rest_client = client.rest.RESTClientObject(self._client.configuration)

    @property
    def context(self) -> str:
        """See ports.Cluster."""
        return self._context

    def version(self) -> str:
        """See ports.Cluster."""
        return str(self._request("GET", "/version")["gitVersion"])

    def allowed(self, verb: str, group: str, resource: str, namespace: str) -> bool:
        """See ports.Cluster."""
        attributes = {"verb": verb, "group": group, "resource": resource, "namespace": namespace}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = self._request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        return bool(answer["status"].get("allowed"))

    def kinds(self) -> Sequence[ObjectKind]:
        """See ports.Cluster."""
        versions = ["v1"]
        versions += [
            group["preferredVersion"]["groupVersion"] for group in self._request("GET", "/apis")["groups"]
        ]
        found: dict[tuple[str, str], ObjectKind] = {}
        for version in versions:
            for item in self._request("GET", _root(version))["resources"]:
                if item["namespaced"] and {"list", "create", "patch"} <= set(item["verbs"]):
                    kind = ObjectKind(version, item["kind"], item["name"])
                    found.setdefault((kind.kind, version.rpartition("/")[0]), kind)
        return list(found.values())

    def list(self, kind: ObjectKind, namespace: str | None) -> Sequence[dict[str, Any]]:
        """See ports.Cluster."""
        path = _path(kind.api_version, kind.plural, namespace)
        found: list[dict[str, Any]] = []
        query = {"limit": "500"}
        while True:
            answer = self._request("GET", path, query=query)
            found += ({**item, "apiVersion": kind.api_version, "kind": kind.kind} for item in answer["items"])
            if not (more := answer["metadata"].get("continue")):
                return found
            query = {"limit": "500", "continue": more}

    def get(self, api_version: str, plural: str, namespace: str | None, name: str) -> dict[str, Any] | None:
        """See ports.Cluster."""
        return self._find("GET", _path(api_version, plural, namespace, name))

    def server_side_apply(self, plural: str, manifest: Mapping[str, Any], manager: str) -> None:
        """See ports.Cluster."""
        metadata = manifest["metadata"]
        path = _path(manifest["apiVersion"], plural, metadata.get("namespace"), metadata["name"])
        query = {"fieldManager": manager, "force": "false"}
        self._request("PATCH", path, dict(manifest), query, "application/apply-patch+yaml")

    def merge_patch(
        self,
        api_version: str,
        plural: str,
        namespace: str,
        name: str,
        patch: Mapping[str, Any],
        *,
        subresource: str = "",
    ) -> None:
        """See ports.Cluster."""
        path = _path(api_version, plural, namespace, name) + (f"/{subresource}" if subresource else "")
        query = {"fieldManager": MANAGER}
        self._request("PATCH", path, dict(patch), query, "application/merge-patch+json")

    def create(self, plural: str, manifest: Mapping[str, Any]) -> None:
        """See ports.Cluster."""
        path = _path(manifest["apiVersion"], plural, manifest["metadata"]["namespace"])
        status, answer = self._send("POST", path, dict(manifest), {"fieldManager": MANAGER}, JSON)
        if status != 409:
            self._checked("POST", path, status, answer)

    def delete(self, api_version: str, plural: str, namespace: str, name: str) -> None:
        """See ports.Cluster."""
        options = {"propagationPolicy": "Background"}
        self._find("DELETE", _path(api_version, plural, namespace, name), options)

    def logs(self, namespace: str, pod: str, container: str, tail_lines: int) -> Sequence[str]:
        """See ports.Cluster."""
        path = _path("v1", "pods", namespace, pod) + "/log"
        query = {"container": container, "tailLines": str(tail_lines)}
        status, content = self._exchange("GET", path, None, query, JSON)
        if status != 200:
            self._checked("GET", path, status, self._object("GET", path, status, content))
        return content.decode("utf-8", "replace").splitlines()

    def execute(self, namespace: str, pod: str, container: str, command: Sequence[str]) -> PodCommand:
        """See ports.Cluster."""
        path = _path("v1", "pods", namespace, pod) + "/exec"
        return ExecutedCommand(self._client.configuration, self._context, path, container, command)

    def workload(self, name: WorkloadName) -> WorkloadState:
        """See ports.Cluster."""
        plural = f"{name.kind.lower()}s"
        found = self.get("apps/v1", plural, name.namespace, name.name)
        if found is None:
            raise StepError(f"cluster {self.context} has no {name.kind} {name.key}")
        state = self._state(found)
        if state.settled:
            return state
        return replace(state, waiting=tuple(self._waiting(name.namespace, found["spec"], state.wanted)))

    def _waiting(self, namespace: str, spec: Mapping[str, Any], wanted: int) -> Iterator[str]:
        """The pods that a workload waits for, each with the reason."""
        labels = spec.get("selector", {}).get("matchLabels", {})
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())}
        for pod in self._request("GET", _path("v1", "pods", namespace), query=query)["items"]:
            if reason := _unready(pod, wanted):
                yield f"{pod['metadata']['name']}: {reason}"

    @staticmethod
    def _state(found: Mapping[str, Any]) -> WorkloadState:
        status = found.get("status", {})
        return WorkloadState(
            wanted=found["spec"].get("replicas", 1),
            total=status.get("replicas", 0),
            updated=status.get("updatedReplicas", 0),
            ready=status.get("readyReplicas", 0),
            observed=status.get("observedGeneration", 0) >= found["metadata"]["generation"],
        )

    def run_pod(
        self, namespace: str, name: str, image: str, command: Sequence[str], timeout_seconds: float
    ) -> PodResult:
        """See ports.Cluster. The pod ends by itself even if we do not."""
        labels = {**OWN, "app.kubernetes.io/name": name}
        self._remove_pods(namespace, labels)
        pod = _pod(
            namespace,
            f"{name}-{uuid.uuid4().hex[:8]}",
            labels=labels,
            image=image,
            command=command,
            seconds=timeout_seconds,
        )
        path = _path("v1", "pods", namespace)
        self._request("POST", path, pod)
        try:
            return self._pod_result(namespace, pod["metadata"]["name"], timeout_seconds)
        finally:
            self._remove_pods(namespace, labels)

    def _pod_result(self, namespace: str, name: str, timeout_seconds: float) -> PodResult:
        deadline = self._clock.monotonic() + timeout_seconds
        while True:
            found = self.get("v1", "pods", namespace, name)
            if found is None:
                raise StepError(f"pod {namespace}/{name} on {self.context} was removed by somebody else")
            status = found.get("status", {})
            state = container_state(status)
            if ended := state.get("terminated"):
                return PodResult(ended["exitCode"], ended.get("message", ""))
            if status.get("phase") == "Failed" or self._clock.monotonic() > deadline:
                reason = state.get("waiting", {}) or status
                word = reason.get("reason", status.get("phase", "Pending"))
                raise StepError(
                    f"pod {namespace}/{name} on {self.context} did not end within {timeout_seconds:g} s: "
                    f"{word} {reason.get('message', '')}".rstrip()
                )
            self._clock.sleep(POD_POLL_SECONDS)

    def _remove_pods(self, namespace: str, labels: Mapping[str, str]) -> None:
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())}
        for pod in self._request("GET", _path("v1", "pods", namespace), query=query)["items"]:
            self._find(
                "DELETE", _path("v1", "pods", namespace, pod["metadata"]["name"]), {"gracePeriodSeconds": 0}
            )

    def _find(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """A request whose object may be absent."""
        status, answer = self._send(method, path, body, {}, JSON)
        return None if status == 404 else self._checked(method, path, status, answer)

    def _request(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        content_type: str = JSON,
    ) -> dict[str, Any]:
        status, answer = self._send(method, path, body, query or {}, content_type)
        return self._checked(method, path, status, answer)

    def _send(
        self, method: str, path: str, body: dict[str, Any] | None, query: Mapping[str, str], content_type: str
    ) -> tuple[int, dict[str, Any]]:
        status, content = self._exchange(method, path, body, query, content_type)
        return status, self._object(method, path, status, content)

    def _exchange(
        self, method: str, path: str, body: dict[str, Any] | None, query: Mapping[str, str], content_type: str
    ) -> tuple[int, bytes]:
        serialized = self._client.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": JSON, "Content-Type": content_type},
            body=json.dumps(body) if body is not None and "json" not in content_type else body,
            auth_settings=["BearerToken"],
        )
        try:
            response = self._client.call_api(*serialized, _request_timeout=self._timeout)
            content: bytes = response.read()  # type: ignore[no-untyped-call]
        except client.ApiException as error:
            raise StepError(f"cluster {self.context}: {method} {path}: {error.reason or error}") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise StepError(
                f"cluster {self.context} does not answer at {self._client.configuration.host}: {error}"
            ) from error
        return response.status, content

    def _object(self, method: str, path: str, status: int, content: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(content)
        except ValueError as error:
            raise StepError(
                f"cluster {self.context}: {method} {path}: the answer (status {status}) is no JSON"
            ) from error
        if not isinstance(answer, dict):
            raise StepError(f"cluster {self.context}: {method} {path}: the answer is no object")
        return answer

    def _checked(self, method: str, path: str, status: int, answer: dict[str, Any]) -> dict[str, Any]:
        if status in (401, 403):
            raise StepError(
                f"cluster {self.context} refused our credentials for {method} {path}: {_message(answer)}"
            )
        if not 200 <= status < 300:
            raise StepError(f"cluster {self.context}: {method} {path}: status {status}: {_message(answer)}")
        return answer


def _unready(pod: Mapping[str, Any], wanted: int) -> str:
    """Why a pod keeps its workload from being settled; empty where it does not."""
    status = pod.get("status", {})
    if pod["metadata"].get("deletionTimestamp"):
        return "ending"
    if wanted and any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ())):
        return ""
    state = container_state(status)
    for word in ("waiting", "terminated"):
        if word in state:
            return " ".join(filter(None, (state[word].get("reason", word), state[word].get("message", ""))))
    if "running" in state:
        return "not ready" if wanted else "still running"
    return str(status.get("phase", "not scheduled"))


def _message(answer: Mapping[str, Any]) -> str:
    return str(answer.get("message", "no reason given"))[:500]


def _root(api_version: str) -> str:
    return f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"


def _path(api_version: str, plural: str, namespace: str | None, name: str | None = None) -> str:
    parts = [_root(api_version)]
    if namespace is not None:
        parts.append(f"namespaces/{quote(namespace, safe='')}")
    parts.append(plural)
    if name is not None:
        parts.append(quote(name, safe=""))
    return "/".join(parts)


def _pod(
    namespace: str,
    name: str,
    *,
    labels: Mapping[str, str],
    image: str,
    command: Sequence[str],
    seconds: float,
) -> dict[str, Any]:
    container = {
        "name": "look",
        "image": image,
        "command": list(command),
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"cpu": "100m", "memory": "64Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": max(1, int(seconds)),
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
        },
    }
