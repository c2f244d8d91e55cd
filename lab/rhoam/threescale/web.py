"""Serving HTTP with the standard library alone: these pods start often, and must start fast."""

from __future__ import annotations

import json
import re
import signal
import sys
import threading
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

IDLE_SECONDS = 30.0
LIST_SEPARATOR = ","
"""Between the values of a field whose name ends with `[]`."""


class HttpError(Exception):
    """An answer that is a refusal."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Request:
    """A request: `fields` are those of the query and of a form or JSON body, `path` its matched parts."""

    method: str
    host: str
    path: Mapping[str, str]
    fields: Mapping[str, str]
    headers: Mapping[str, str]

    def field(self, name: str) -> str:
        """Raises HttpError 422 where it is absent."""
        if not self.fields.get(name):
            raise HttpError(422, f"{name} is missing")
        return self.fields[name]


@dataclass(frozen=True)
class Answer:
    """An answer; `content` is JSON unless it is a text."""

    content: object
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Request], Answer]
Failures = tuple[type[Exception], ...]


@dataclass(frozen=True)
class Route:
    """A method and a path such as `/admin/api/accounts/{id}.json`; `{rest}` at its end takes slashes too."""

    method: str
    path: str
    handler: Handler

    def match(self, method: str, path: str) -> Mapping[str, str] | None:
        """The path's parts where it is this one."""
        if self.method not in ("*", method):
            return None
        parts = re.split(r"\{(\w+)\}", self.path)
        pattern = "".join(
            re.escape(part) if number % 2 == 0 else f"(?P<{part}>{'.*' if part == 'rest' else '[^/]+?'})"
            for number, part in enumerate(parts)
        )
        found = re.fullmatch(pattern, path)
        return None if found is None else found.groupdict()


class Server:
    """Serves routes on a port until it is stopped; failures of what it stands on are answered with 503."""

    def __init__(self, port: int, routes: Sequence[Route], failures: Failures = ()) -> None:
        """Raises OSError where it cannot listen."""
        handler = type("Handler", (_Handler,), {"routes": tuple(routes), "failures": failures})
        self._server = ThreadingHTTPServer(("0.0.0.0", port), handler)
        self._server.daemon_threads = False
        self._server.block_on_close = True
        self.port = int(self._server.server_address[1])

    def start(self) -> None:
        """Serve in a thread."""
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def stop(self) -> None:
        """No more is taken; what is in flight is answered."""
        self._server.shutdown()
        self._server.server_close()


def serve(servers: Sequence[Server], stopped: threading.Event | None = None) -> int:
    """Serve until SIGTERM or SIGINT; `stopped` is set then, for threads beside the servers."""
    ended = stopped or threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    for server in servers:
        server.start()
    ended.wait()
    for server in servers:
        server.stop()
    return 0


class _Handler(BaseHTTPRequestHandler):
    routes: Sequence[Route] = ()
    failures: Failures = ()
    timeout = IDLE_SECONDS

    def _answer(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        try:
            answer = self._handle(url)
        except HttpError as error:
            answer = Answer({"error": str(error)}, error.status)
        except self.failures as error:
            sys.stdout.write(f"{self.command} {url.path}: {type(error).__name__}: {error}\n")
            answer = Answer({"error": type(error).__name__}, 503)
        text = answer.content if isinstance(answer.content, str) else json.dumps(answer.content, default=str)
        data = text.encode()
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if not any(name.lower() == "content-type" for name, _ in answer.headers):
            kind = "text/plain" if isinstance(answer.content, str) else "application/json"
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _handle(self, url: urllib.parse.SplitResult) -> Answer:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        for route in self.routes:
            parts = route.match(self.command, url.path)
            if parts is not None:
                fields = _fields(url.query, body, self.headers.get("Content-Type") or "")
                host = (self.headers.get("X-Forwarded-Host") or self.headers.get("Host") or "").partition(
                    ":"
                )[0]
                return route.handler(Request(self.command, host, parts, fields, dict(self.headers)))
        raise HttpError(404, "Not found")

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - the base class looks for these names

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class's name
        """No line a request."""


def _fields(query: str, body: bytes, kind: str) -> dict[str, str]:
    found = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
    if body and kind.startswith("application/json"):
        try:
            read = json.loads(body)
        except ValueError as error:
            raise HttpError(400, f"the body is not JSON: {error}") from error
        if not isinstance(read, dict):
            raise HttpError(400, "the body must be an object")
        found |= {
            str(key): value if isinstance(value, str) else json.dumps(value) for key, value in read.items()
        }
    elif body:
        for name, value in urllib.parse.parse_qsl(body.decode(errors="replace"), keep_blank_values=True):
            several = name.endswith("[]") and name in found
            found[name] = f"{found[name]}{LIST_SEPARATOR}{value}" if several else value
    return found
