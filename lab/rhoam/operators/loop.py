"""What the operators have in common: a look, over and over, until the pod ends."""

from __future__ import annotations

import base64
import logging
import signal
import threading
import urllib.error
from collections.abc import Callable, Mapping
from typing import Any

from lab.rhoam.threescale.kubernetes import Kubernetes, Object

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.7


def run(reconcile: Callable[[], None]) -> int:
    """Reconcile until SIGTERM. What the API refuses is tried again at the next look."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    while not ended.is_set():
        try:
            reconcile()
        except OSError as error:
            log.warning("%s", _told(error))
        ended.wait(PAUSE_SECONDS)
    return 0


def _told(error: OSError) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"{error}: {error.read(400).decode(errors='replace')}"
    return str(error)


def secret_values(secret: Object | None) -> dict[str, str]:
    """The values of a Secret; none where there is no such."""
    data = (secret or {}).get("data") or {}
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def secret(namespace: str, name: str, values: Mapping[str, str], owner: Object | None = None) -> Object:
    """A Secret, owned by what its operator made it for."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "labels": {"app": "3scale-api-management"},
    }
    if owner is not None:
        metadata["ownerReferences"] = [reference(owner)]
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}


def reference(owner: Object) -> Object:
    """What names an owner."""
    metadata = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
    }


class Cluster:
    """The calls that operators make, by kind."""

    def __init__(self, api: Kubernetes) -> None:
        self.api = api

    def secrets(self, namespace: str) -> dict[str, Object]:
        """By name."""
        found = self.api.list(f"/api/v1/namespaces/{namespace}/secrets")
        return {item["metadata"]["name"]: item for item in found}

    def deployments(self, namespace: str) -> dict[str, Object]:
        """By name."""
        found = self.api.list(f"/apis/apps/v1/namespaces/{namespace}/deployments")
        return {item["metadata"]["name"]: item for item in found}

    def apply(self, path: str, body: Object, manager: str) -> None:
        """See Kubernetes.apply; `path` is the collection's."""
        self.api.apply(f"{path}/{body['metadata']['name']}", body, manager)

    def apply_secret(self, body: Object, manager: str) -> None:
        """Applies a Secret."""
        self.apply(f"/api/v1/namespaces/{body['metadata']['namespace']}/secrets", body, manager)
