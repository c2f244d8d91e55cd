"""The gateway: authorizes each request at the backend, which counts it, and passes it on to the API."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from lab.rhoam.threescale.web import Answer, HttpError, Request, Route, Server, serve
from lab.services.variables import Variables

log = logging.getLogger(__name__)

PORT = 8080
MANAGEMENT_PORT = 8090
CALL_SECONDS = 5.0
KEPT_SECONDS = 2.0


class Gateway:
    """One gateway. It asks the system which service a host is of, and keeps the answer for a moment."""

    def __init__(self, portal: str, backend: str) -> None:
        """`portal`: the master's URL with the gateway's token in it."""
        url = urllib.parse.urlsplit(portal)
        self._token = url.username or ""
        self._portal = f"{url.scheme}://{url.hostname}:{url.port or 80}"
        self._backend = backend.rstrip("/")
        self._known: dict[str, tuple[float, Mapping[str, Any]]] = {}
        self._lock = threading.Lock()
        self.routes = (Route("GET", "/{rest}", self._pass),)
        self.management = (Route("GET", "/status/ready", self._ready),)

    def _ready(self, _: Request) -> Answer:
        """Ready where backend and system can be reached."""
        for url in (f"{self._backend}/status", f"{self._portal}/status"):
            with urllib.request.urlopen(url, timeout=CALL_SECONDS):  # noqa: S310 - in the cluster
                pass
        return Answer({"status": "ready"})

    def _pass(self, request: Request) -> Answer:
        config = self._config(request.host)
        key = request.fields.get(str(config["auth_user_key"]), "")
        if not key:
            raise HttpError(403, "Authentication parameters missing")
        asked = {"service_id": str(config["service_id"]), "service_token": str(config["token"])}
        try:
            self._get(
                f"{self._backend}/transactions/authrep.xml", {**asked, "user_key": key, "usage[hits]": "1"}
            )
        except urllib.error.HTTPError as error:
            if error.code in (403, 409):
                raise HttpError(403, "Authentication failed") from error
            raise
        answer = self._get(f"{str(config['api_backend']).rstrip('/')}/{request.path['rest']}", {})
        return Answer(answer.decode(errors="replace"))

    def _config(self, host: str) -> Mapping[str, Any]:
        with self._lock:
            kept, config = self._known.get(host, (0.0, {}))
        if time.monotonic() - kept < KEPT_SECONDS:
            return config
        fields = {"host": host, "access_token": self._token}
        try:
            text = self._get(f"{self._portal}/master/api/proxy/configs/production.json", fields)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                raise HttpError(404, "Service not found") from error
            raise
        found: Mapping[str, Any] = json.loads(text)
        with self._lock:
            self._known[host] = time.monotonic(), found
        return found

    def _get(self, url: str, fields: Mapping[str, str]) -> bytes:
        query = f"?{urllib.parse.urlencode(fields)}" if fields else ""
        with urllib.request.urlopen(f"{url}{query}", timeout=CALL_SECONDS) as answer:  # noqa: S310
            found: bytes = answer.read()
        return found


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Run a gateway."""
    variables = Variables(environment)
    portal, backend = (
        variables.text("THREESCALE_PORTAL_ENDPOINT"),
        variables.text("BACKEND_ENDPOINT_OVERRIDE"),
    )
    variables.check()
    gateway = Gateway(portal, backend)
    servers = [
        Server(PORT, gateway.routes, (OSError,)),
        Server(MANAGEMENT_PORT, gateway.management, (OSError,)),
    ]
    return serve(servers)
