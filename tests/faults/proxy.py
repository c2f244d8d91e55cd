"""A proxy before a real API: it carries requests, and lets the one that it is told to go wrong."""

from __future__ import annotations

import http.client
import json
import ssl
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

KINDS = (
    "5xx", "throttled", "forbidden", "partial body", "stale read", "timed out, not executed",
    "timed out, executed", "refused", "blackholed", "one-way",
)  # fmt: skip
"""One call; the last three befall every call from there on, until `calm`: they are partitions."""
PARTITIONS = KINDS[-3:]
SILENT = ("timed out, not executed", "timed out, executed", "blackholed", "one-way")
"""Whoever asks waits until his own limit."""
_SILENT_SECONDS = 30.0
_UPSTREAM_SECONDS = 20.0
Answer = tuple[int, Mapping[str, str], bytes]


@dataclass
class Calls:
    """The requests of a run, over all proxies that share this, and what is to befall one of them."""

    lasting: bool = False
    """Whether it befalls every call from there on."""
    fault: str = ""
    at: int = 0
    """The number of the call, from 1 on."""
    made: list[str] = field(default_factory=list)
    happened: int = 0
    answers: dict[str, list[bytes]] = field(default_factory=dict)
    """What each reading request was answered, without repetitions."""
    over: threading.Event = field(default_factory=threading.Event)
    """Set while nothing is held back any more."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, fault: str = "", at: int = 0, *, lasting: bool = False) -> None:
        """Counts from 1 again."""
        self.calm()
        with self.lock:
            self.fault, self.at, self.lasting = fault, at, lasting or fault in PARTITIONS
            self.made, self.happened, self.answers = [], 0, {}
            self.over = threading.Event()

    def calm(self) -> None:
        """Nothing goes wrong any more; whoever waits for an answer gets none."""
        with self.lock:
            self.fault = ""
            self.over.set()

    def take(self, name: str) -> str:
        """Counts a request; what befalls it."""
        with self.lock:
            self.made.append(name)
            number = len(self.made)
            hit = self.fault and (number == self.at or (self.lasting and number > self.at))
            if hit and self.fault == "stale read" and not self._older(name):
                return ""
            self.happened += bool(hit)
            return self.fault if hit else ""

    def remember(self, name: str, content: bytes) -> None:
        """What a request was answered."""
        with self.lock:
            known = self.answers.setdefault(name, [])
            if not known or known[-1] != content:
                known.append(content)

    def stale(self, name: str) -> bytes:
        """What it was answered before that changed."""
        with self.lock:
            return self._older(name)

    def _older(self, name: str) -> bytes:
        known = self.answers.get(name, [])
        return known[0] if known else b""


class FaultyProxy:
    """Listens on loopback, without TLS."""

    def __init__(
        self,
        upstream: str,
        calls: Calls,
        *,
        context: ssl.SSLContext | None = None,
        refusals: Mapping[str, Answer] | None = None,
        operation: str = "",
    ) -> None:
        """`refusals`: what this API answers, by the fault's kind. `operation`: a header that names a call."""
        self.calls = calls
        self._server = _Listening(("127.0.0.1", 0), _Handler)
        found = urlsplit(upstream)
        answers = {**_REFUSALS, **(refusals or {})}
        self._server.behind = _Behind(  # type: ignore[attr-defined]
            found.hostname or "", found.port or 443, context, calls, answers, operation
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.calls.calm()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _status(code: int, message: str, **more: str) -> Answer:
    content = json.dumps({"kind": "Status", "status": "Failure", "code": code, "message": message}).encode()
    return code, {"Content-Type": "application/json", **more}, content


_REFUSALS: Mapping[str, Answer] = {
    "5xx": _status(503, "the API is overloaded"),
    "throttled": _status(429, "too many requests", **{"Retry-After": "1"}),
    "forbidden": _status(403, "this user may not do that"),
}


def dynamodb(kind: str, code: int = 400) -> Answer:
    """An error as DynamoDB tells it."""
    content = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{kind}", "message": kind}).encode()
    return code, {"Content-Type": "application/x-amz-json-1.0"}, content


DYNAMODB: Mapping[str, Answer] = {
    "5xx": dynamodb("InternalServerError", 500),
    "throttled": dynamodb("ProvisionedThroughputExceededException"),
    "forbidden": dynamodb("AccessDeniedException"),
}


@dataclass(frozen=True)
class _Behind:
    host: str
    port: int
    context: ssl.SSLContext | None
    calls: Calls
    refusals: Mapping[str, Answer]
    operation: str

    def carry(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Asks the API itself."""
        if self.context is None:
            connection = http.client.HTTPConnection(self.host, self.port, timeout=_UPSTREAM_SECONDS)
        else:
            connection = http.client.HTTPSConnection(
                self.host, self.port, timeout=_UPSTREAM_SECONDS, context=self.context
            )
        try:
            kept = {name: value for name, value in headers.items() if name.lower() not in _HOP}
            connection.request(method, path, body or None, {**kept, "Accept-Encoding": "identity"})
            answer = connection.getresponse()
            content = answer.read()
            given = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
            return answer.status, given, content
        finally:
            connection.close()


_HOP = {
    "connection",
    "content-length",
    "transfer-encoding",
    "accept-encoding",
    "keep-alive",
    "server",
    "date",
}


class _Listening(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked has gone, as those do who get no answer; anything else is a fault of ours."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "proxy"
    timeout: ClassVar[float] = 120.0

    def _answer(self) -> None:
        behind: _Behind = self.server.behind  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        operation = self.headers.get(behind.operation, "") if behind.operation else ""
        name = f"{self.command} {operation or self.path.partition('?')[0]}"
        fault = behind.calls.take(name)
        over = behind.calls.over

        def ask() -> Answer:
            headers = {key: value for key, value in self.headers.items() if key.lower() != "host"}
            return behind.carry(self.command, self.path, headers, body)

        if fault == "refused":
            self._hang_up()
        elif fault in SILENT:
            if fault in ("timed out, executed", "one-way"):
                ask()
            over.wait(_SILENT_SECONDS)
            self._hang_up()
        elif fault in behind.refusals:
            self._send(behind.refusals[fault])
        elif fault == "stale read":
            status, headers, content = ask()
            self._send((status, headers, behind.calls.stale(name) or content))
        elif fault == "partial body":
            status, headers, content = ask()
            self._send((status, headers, content), cut=len(content) // 2)
        else:
            status, headers, content = ask()
            if self.command == "GET" and status == 200:
                behind.calls.remember(name, content)
            self._send((status, headers, content))

    def _send(self, answer: Answer, cut: int | None = None) -> None:
        status, headers, content = answer
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content if cut is None else content[:cut])
            if cut is not None:
                self._hang_up()
        except OSError:  # whoever asked has gone: the answer is lost, as it may be
            self.close_connection = True

    def _hang_up(self) -> None:
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its base's
        """Nobody reads it."""


for _method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
    setattr(_Handler, f"do_{_method}", _Handler._answer)
