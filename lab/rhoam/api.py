"""A client of 3scale's API, for the lab's own people, its traffic and its judge."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CALL_SECONDS = 10.0


class ApiError(Exception):
    """An answer that was not the expected one, or none at all."""


@dataclass(frozen=True)
class Reply:
    """An answer: its status, headers and body."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body. Raises ApiError where it is no JSON."""
        try:
            return json.loads(self.text)
        except ValueError as error:
            raise ApiError(f"status {self.status}: {self.text[:200]!r} is no JSON") from error


class _Fixed(http.client.HTTPSConnection):
    """A connection to a host that is told where the host is."""

    def __init__(self, host: str, address: str, tls: ssl.SSLContext) -> None:
        super().__init__(host, timeout=CALL_SECONDS, context=tls)
        self._address = address
        self._tls = tls

    def connect(self) -> None:
        """See HTTPSConnection."""
        plain = socket.create_connection((self._address, 443), timeout=CALL_SECONDS)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


class Web:
    """HTTPS, checked against `authority`, a PEM file; connections are kept, so one for each thread.

    `address`: where every host is, for who does not ask the lab's DNS.
    """

    def __init__(self, authority: Path, address: str | None = None) -> None:
        self._address = address
        self._tls = ssl.create_default_context(cafile=str(authority))
        self._open: dict[str, http.client.HTTPSConnection] = {}

    def call(
        self,
        method: str,
        host: str,
        path: str,
        fields: Mapping[str, str] | None = None,
        *,
        token: str = "",
        cookie: str = "",
    ) -> Reply:
        """One request, never repeated. Raises ApiError where no answer comes."""
        headers = {"Host": host, "User-Agent": "landfall-lab"}
        if token:
            headers["Authorization"] = "Basic " + base64.b64encode(f":{token}".encode()).decode()
        if cookie:
            headers["Cookie"] = cookie
        body = urllib.parse.urlencode(fields or {})
        if method == "GET":
            path, body = f"{path}?{body}" if body else path, ""
        else:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = self._open.pop(host, None)
        if connection is None or connection.sock is None:
            connection = self._connection(host)
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ApiError(f"{method} https://{host}{path}: {type(error).__name__}: {error}") from error
        self._open[host] = connection
        return Reply(answer.status, dict(answer.getheaders()), text)

    def _connection(self, host: str) -> http.client.HTTPSConnection:
        if self._address is not None:
            return _Fixed(host, self._address, self._tls)
        return http.client.HTTPSConnection(host, timeout=CALL_SECONDS, context=self._tls)


class Admin:
    """The admin API of one account, at its host."""

    def __init__(self, web: Web, host: str, token: str) -> None:
        self._web = web
        self.host = host
        self._token = token

    def get(self, path: str, **fields: str) -> Any:
        """JSON. Raises ApiError."""
        return self._ask("GET", path, fields)

    def post(self, path: str, **fields: str) -> Any:
        """JSON. Raises ApiError."""
        return self._ask("POST", path, fields)

    def put(self, path: str, **fields: str) -> Any:
        """JSON. Raises ApiError."""
        return self._ask("PUT", path, fields)

    def _ask(self, method: str, path: str, fields: Mapping[str, str]) -> Any:
        reply = self._web.call(method, self.host, path, fields, token=self._token)
        if reply.status not in (200, 201):
            raise ApiError(f"{method} https://{self.host}{path}: status {reply.status}: {reply.text[:200]}")
        return reply.json
