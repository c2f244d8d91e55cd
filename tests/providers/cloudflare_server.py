"""A few calls of Cloudflare's API, with failures on request."""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

TOKEN = "the-right-token"
ZONE = "0123456789abcdef0123456789abcdef"


@dataclass
class Answer:
    """A failure to be answered instead of the call's own result. Without a status the connection is
    dropped."""

    status: int | None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


def refusal(code: int, message: str) -> dict[str, Any]:
    return {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}


class CloudflareServer:
    """Records by id, the calls that were made, and the answers to give before real ones."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str, Any]] = []
        self.next: deque[Answer] = deque()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                outer.calls.append((self.command, self.path, body))
                answer = outer.next.popleft() if outer.next else outer.answer(self, body)
                if answer.status is None:
                    self.close_connection = True
                    return
                text = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for name, value in {**answer.headers, "Content-Length": str(len(text))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PATCH = do_DELETE = handle_one  # noqa: N815 - the base class's names

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/client/v4"

    def __enter__(self) -> CloudflareServer:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler, body: Any) -> Answer:
        """What Cloudflare would answer."""
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return Answer(403, refusal(10000, "Authentication error"))
        path = request.path.removeprefix("/client/v4")
        if path.startswith("/zones?") or path == f"/zones/{ZONE}":
            zone = {"id": ZONE, "name": "example.com", "status": "active", "name_servers": ["ns.example.com"]}
            return Answer(200, {"success": True, "result": [zone] if "?" in path else zone})
        start = f"/zones/{ZONE}/dns_records"
        if not path.startswith(start):
            return Answer(404, refusal(7003, f"Could not route to {path}"))
        identity = path.removeprefix(start).strip("/")
        return self._created(body) if request.command == "POST" else self._of(request.command, identity, body)

    def _of(self, method: str, identity: str, body: Any) -> Answer:
        if identity not in self.records:
            return Answer(404, refusal(81044, "Record does not exist."))
        if method == "DELETE":
            return Answer(200, {"success": True, "result": {"id": self.records.pop(identity)["id"]}})
        if method == "PATCH":
            self.records[identity] |= body
        return Answer(200, {"success": True, "result": self.records[identity]})

    def _created(self, body: dict[str, Any]) -> Answer:
        name = body["name"] if body["name"].endswith("example.com") else f"{body['name']}.example.com"
        if any((one["name"], one["content"]) == (name, body["content"]) for one in self.records.values()):
            return Answer(400, refusal(81058, "An identical record already exists."))
        identity = f"{len(self.records):032x}"
        self.records[identity] = {
            "id": identity,
            "proxied": False,
            "proxiable": True,
            "comment": None,
            "tags": [],
            "settings": {},
            "created_on": "2026-01-01T00:00:00Z",
            "modified_on": "2026-01-01T00:00:00Z",
            **body,
            "name": name,
        }
        return Answer(200, {"success": True, "result": self.records[identity]})
