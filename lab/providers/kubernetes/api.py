"""One cluster's API: connection, discovery and calls on any kind, with every failure as a ProviderError."""

from __future__ import annotations

import http
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import urllib3.exceptions
import yaml
from grpc import StatusCode
from kubernetes import config as _config
from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration
from kubernetes.client.exceptions import ApiException

from lab.providers.base import Properties, ProviderError

config: Any = _config  # its functions have no types
CALL_TIMEOUT = (5.0, 30.0)  # seconds to connect and to be answered
MAX_ATTEMPTS = 5  # for a call that the API server asks to repeat

_CODES = {
    400: StatusCode.INVALID_ARGUMENT,
    401: StatusCode.UNAUTHENTICATED,
    403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND,
    409: StatusCode.ABORTED,
    422: StatusCode.INVALID_ARGUMENT,
    429: StatusCode.RESOURCE_EXHAUSTED,
    503: StatusCode.UNAVAILABLE,
}


@dataclass(frozen=True)
class Kind:
    """A kind as a cluster serves it."""

    api_version: str
    name: str
    plural: str
    namespaced: bool

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """The path of an object, or of all of them where `name` is None."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{scope}/{self.plural}" + (f"/{name}" if name else "")


class Cluster:
    """Calls to one cluster. Safe for use by several threads."""

    def __init__(self, client: ApiClient, title: str, namespace: str) -> None:
        self._client = client
        self._kinds: dict[tuple[str, str], Kind] = {}
        self._lock = Lock()
        self.title = title
        self.default_namespace = namespace

    @classmethod
    def connect(cls, settings: Mapping[str, Any]) -> Cluster:
        """The cluster of the provider's settings: `kubeconfig` (text or path, else as kubectl) and `context`.

        Raises ProviderError where there is no such file or context. Nothing is sent yet.
        """
        given, context = settings.get("kubeconfig"), settings.get("context")
        client_settings = Configuration()
        client_settings.retries = urllib3.Retry(total=False, redirect=False)
        try:
            if isinstance(given, str) and "\n" not in given and not given.lstrip().startswith("{"):
                loader_file: str | None = str(Path(given).expanduser())
                document: Any = None
            else:
                loader_file = None
                document = yaml.safe_load(given) if isinstance(given, str) else given
            if document is None:
                config.load_kube_config(
                    config_file=loader_file,
                    context=context,
                    client_configuration=client_settings,
                    persist_config=False,
                )
                contexts, active = config.list_kube_config_contexts(config_file=loader_file)
            else:
                config.load_kube_config_from_dict(
                    document, context=context, client_configuration=client_settings, persist_config=False
                )
                contexts = document.get("contexts", [])
                active = next(
                    (item for item in contexts if item["name"] == document.get("current-context")), {}
                )
        except (_config.ConfigException, OSError, yaml.YAMLError) as error:
            where = f"context {context!r}" if context else "the current context"
            raise ProviderError(
                f"kubernetes provider: cannot use {where} of the kubeconfig: {error}",
                StatusCode.INVALID_ARGUMENT,
            ) from error
        chosen = next((item for item in contexts if item["name"] == context), active) if context else active
        namespace = settings.get("namespace") or chosen.get("context", {}).get("namespace") or "default"
        title = f"cluster {chosen.get('name', context)!r} at {client_settings.host}"
        return cls(ApiClient(client_settings), title, namespace)

    def kind(self, api_version: str, name: str) -> Kind:
        """How the cluster serves a kind, asked once; asked again where it is missing (a new definition)."""
        with self._lock:
            if (api_version, name) not in self._kinds:
                root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
                listing = self._call("GET", root, what=f"kinds of {api_version}")
                for item in listing["resources"]:
                    if "/" not in item["name"]:
                        kind = Kind(api_version, item["kind"], item["name"], item["namespaced"])
                        self._kinds[api_version, item["kind"]] = kind
            try:
                return self._kinds[api_version, name]
            except KeyError:
                raise ProviderError(
                    f"{self.title} serves no {name} in {api_version}", StatusCode.NOT_FOUND
                ) from None

    def get(self, kind: Kind, namespace: str | None, name: str) -> Properties | None:
        """An object, or None where there is none."""
        try:
            return self._call("GET", kind.path(namespace, name), what=_what(kind, namespace, name))
        except ProviderError as error:
            if error.code == StatusCode.NOT_FOUND:
                return None
            raise

    def list(self, kind: Kind, namespace: str, label_selector: str) -> list[Properties]:
        """The objects with these labels."""
        answer = self._call(
            "GET",
            kind.path(namespace),
            query={"labelSelector": label_selector},
            what=f"{kind.plural} of {namespace}",
        )
        return list(answer["items"])

    def apply(
        self, kind: Kind, body: Properties, *, manager: str, force: bool = False, dry_run: bool = False
    ) -> Properties:
        """Server-side apply: `manager` owns exactly the fields of `body` afterwards."""
        metadata = body["metadata"]
        query = {"fieldManager": manager, "force": "true" if force else "false", "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        return self._call(
            "PATCH",
            kind.path(metadata.get("namespace"), metadata["name"]),
            query=query,
            body=body,
            content_type="application/apply-patch+yaml",
            what=_what(kind, metadata.get("namespace"), metadata["name"]),
        )

    def delete(self, kind: Kind, namespace: str | None, name: str, propagation: str) -> bool:
        """Ask for an object's deletion; False where there is none."""
        try:
            self._call(
                "DELETE",
                kind.path(namespace, name),
                body={"propagationPolicy": propagation},
                what=_what(kind, namespace, name),
            )
        except ProviderError as error:
            if error.code == StatusCode.NOT_FOUND:
                return False
            raise
        return True

    def _call(
        self,
        method: str,
        path: str,
        *,
        what: str,
        query: Mapping[str, str] | None = None,
        body: Properties | None = None,
        content_type: str = "application/json",
    ) -> Properties:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        for attempt in range(1, MAX_ATTEMPTS + 1):
            _, url, sent_headers, _, _ = self._client.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params=dict(headers),
                auth_settings=["BearerToken"],
            )
            # The client writes JSON itself, and for any other content type takes the text as it is.
            sent = body if body is None or content_type == "application/json" else json.dumps(body)
            try:
                answer: Any = self._client.call_api(
                    method, url, sent_headers, sent, _request_timeout=CALL_TIMEOUT
                )
                data = answer.read()
            except ApiException as error:
                raise self._unreachable(what, error) from error
            except urllib3.exceptions.HTTPError as error:
                raise self._unreachable(what, error) from error
            if answer.status < 300:
                decoded: Properties = json.loads(data)
                return decoded
            wait = answer.getheader("Retry-After")
            if answer.status in {429, 503} and wait is not None and attempt < MAX_ATTEMPTS:
                time.sleep(min(float(wait), 10.0))
                continue
            break
        raise self._refused(what, answer.status, data)

    def _unreachable(self, what: str, error: Exception) -> ProviderError:
        reason = getattr(error, "reason", None) or error
        return ProviderError(f"{what}: {self.title} does not answer: {reason}", StatusCode.UNAVAILABLE)

    def _refused(self, what: str, status: int, data: bytes) -> ProviderError:
        try:
            message = json.loads(data)["message"]
        except (ValueError, KeyError, TypeError):
            message = data.decode(errors="replace")[:300] or http.HTTPStatus(status).phrase
        return ProviderError(
            f"{what}: {self.title} answers {status}: {message}", _CODES.get(status, StatusCode.UNKNOWN)
        )


def _what(kind: Kind, namespace: str | None, name: str) -> str:
    return f"{kind.name} {namespace}/{name}" if kind.namespaced else f"{kind.name} {name}"
