"""The cluster's own API, from inside a pod, as its service account."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_CALL_SECONDS = 10.0

Object = dict[str, Any]


class Kubernetes:
    """A few calls. Methods raise OSError where the API refuses or is not there."""

    def __init__(self) -> None:
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        self._server = f"https://{host}:{port}"
        self._tls = ssl.create_default_context(cafile=str(_ACCOUNT / "ca.crt"))
        self.namespace = (_ACCOUNT / "namespace").read_text().strip()

    def list(self, path: str, **parameters: str) -> list[Object]:
        """The objects of a collection."""
        query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
        found: list[Object] = self._call("GET", f"{path}{query}")["items"]
        return found

    def apply(self, path: str, body: Mapping[str, Any], manager: str) -> None:
        """Server-side apply, with force."""
        query = urllib.parse.urlencode({"fieldManager": manager, "force": "true"})
        self._call("PATCH", f"{path}?{query}", body, "application/apply-patch+yaml")

    def find(self, path: str) -> Object | None:
        """One object, or None."""
        try:
            return self._call("GET", path)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def merge(self, path: str, body: Mapping[str, Any]) -> None:
        """A JSON merge patch."""
        self._call("PATCH", path, body, "application/merge-patch+json")

    def create(self, path: str, body: Mapping[str, Any]) -> None:
        """Creates an object; one that is there already stays as it is."""
        try:
            self._call("POST", path, body)
        except urllib.error.HTTPError as error:
            if error.code != 409:
                raise

    def delete(self, path: str) -> None:
        """Deletes an object; one that is gone is fine."""
        try:
            self._call("DELETE", path)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, kind: str = "application/json"
    ) -> Object:
        token = (_ACCOUNT / "token").read_text().strip()
        request = urllib.request.Request(  # noqa: S310 - the cluster's own API
            f"{self._server}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": kind},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=_CALL_SECONDS, context=self._tls) as answer:  # noqa: S310
            found: Object = json.loads(answer.read())
        return found
