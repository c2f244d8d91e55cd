"""The page's server: loopback alone, and for nobody without the link.

The link carries a token; the first page that it opens sets a cookie from it, so that the token does not stay
in the address. Host and Origin must be this server's, so that no other site's page, and no name that somebody
points at loopback, gets anything. Effects are POSTs with a token that only the page knows.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from html import escape
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cutover.errors import CutoverError
from cutover.measure.metrics import CONTENT_TYPE
from cutover.watch.deeds import Deeds
from cutover.watch.feed import Feed

LOOPBACK = "127.0.0.1"
MOST_CONNECTIONS = 128
"""Of all pages together; what comes beyond is turned away at once, so that a flood costs little."""
BEAT_SECONDS = 5.0
"""How often a page hears something, so that it notices a connection that is lost."""
_IDLE_SECONDS = 20.0
_PAUSE_SECONDS = 0.2
_LARGEST_BODY = 16_384
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_FILES = {
    "/page.js": "text/javascript",
    "/show.js": "text/javascript",
    "/measures.js": "text/javascript",
    "/page.css": "text/css",
    "/icon.svg": "image/svg+xml",
}


class Page(ThreadingHTTPServer):
    """Serves one cutover. `link` is what a person opens."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, feed: Feed, deeds: Deeds, port: int = 0) -> None:
        """Raises OSError where the port is taken."""
        self.feed = feed
        self.deeds = deeds
        self.token = secrets.token_urlsafe(32)
        self.csrf = hmac.digest(self.token.encode(), b"csrf", hashlib.sha256).hex()
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__((LOOPBACK, port), _Handler)
        self.hosts = {f"{name}:{self.server_port}" for name in (LOOPBACK, "localhost")}
        self.files = {
            name: (resources.files("cutover.watch") / "page" / name[1:]).read_bytes()
            for name in (*_FILES, "/index.html")
        }

    @property
    def link(self) -> str:
        """With the token."""
        return f"http://{LOOPBACK}:{self.server_port}/?token={self.token}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Takes a connection if there are not too many."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One connection, to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A page that went away in the middle is nothing to tell anybody."""


class _Handler(BaseHTTPRequestHandler):
    server: Page
    protocol_version = "HTTP/1.1"
    server_version = "landfall"
    sys_version = ""
    timeout = _IDLE_SECONDS

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - an interface's name
        """Nothing is logged: the first request's path holds the token."""

    def do_GET(self) -> None:
        """The page, its files, the plan, and the events."""
        parts = urlsplit(self.path)
        if not self._from_here():
            return
        if parts.path == "/":
            self._index(parse_qs(parts.query).get("token", [""])[0])
        elif parts.path == "/metrics":  # figures alone, for a collector, which has no cookie
            self._answer(200, self.server.feed.metrics().encode(), CONTENT_TYPE)
        elif not self._known():
            self._refuse(403, "open the link that `cutover watch` printed")
        elif parts.path in _FILES:
            self._answer(200, self.server.files[parts.path], _FILES[parts.path])
        elif parts.path == "/plan":
            self._answer(200, self.server.feed.plan_json, "application/json")
        elif parts.path == "/events":
            self._events()
        else:
            self._refuse(404, "there is no such page")

    def do_POST(self) -> None:
        """What changes something."""
        deeds: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
            "/approve": self.server.deeds.approve,
            "/rollback": self.server.deeds.roll_back,
        }
        self.close_connection = True  # a body that is refused unread must not be taken for a request
        if not self._from_here(strictly=True):
            return
        if not self._known() or not _same(self.headers.get("X-CSRF-Token", ""), self.server.csrf):
            self._refuse(403, "open the link that `cutover watch` printed")
            return
        deed = deeds.get(urlsplit(self.path).path)
        if deed is None:
            self._refuse(404, "there is no such deed")
            return
        try:
            size = int(self.headers.get("Content-Length", "-1"))
        except ValueError:
            size = -1
        if not 0 <= size <= _LARGEST_BODY or self.headers.get_content_type() != "application/json":
            self._refuse(400, f"expected JSON of at most {_LARGEST_BODY} bytes")
            return
        try:
            given = json.loads(self.rfile.read(size))
        except ValueError as error:
            self._refuse(400, f"expected JSON: {error}")
            return
        if not isinstance(given, dict):
            self._refuse(400, "expected a JSON object")
            return
        try:
            said = deed(given)
        except CutoverError as error:
            self._refuse(409, str(error))
        else:
            self._answer(200, json.dumps({"said": said}).encode(), "application/json")

    def _from_here(self, *, strictly: bool = False) -> bool:
        """Whether Host and Origin are this server's; answers where they are not."""
        if self.headers.get("Host", "") not in self.server.hosts:
            self._refuse(421, "this page is served on loopback, under its own address alone")
            return False
        origin = self.headers.get("Origin")
        if (origin is None and strictly) or (
            origin is not None and origin not in {f"http://{host}" for host in self.server.hosts}
        ):
            self._refuse(403, "the request comes from another site's page")
            return False
        return True

    def _known(self) -> bool:
        """Whether the cookie is the one that the link gave."""
        try:
            found = SimpleCookie(self.headers.get("Cookie", "")).get(self._cookie)
        except CookieError:
            return False
        return found is not None and _same(found.value, self.server.token)

    @property
    def _cookie(self) -> str:
        """Ports share their cookies, so each server's has a name of its own."""
        return f"landfall-{self.server.server_port}"

    def _index(self, token: str) -> None:
        given = _same(token, self.server.token)
        if not given and not self._known():
            self._refuse(403, "open the link that `cutover watch` printed")
            return
        page = self.server.files["/index.html"].replace(b"{{csrf}}", escape(self.server.csrf).encode())
        cookie = f"{self._cookie}={self.server.token}; HttpOnly; SameSite=Strict; Path=/"
        self._answer(200, page, "text/html", {"Set-Cookie": cookie})

    def _events(self) -> None:
        self.close_connection = True
        self._head(200, "text/event-stream", {"Connection": "close"})
        feed, seen, generation = self.server.feed, None, -1
        while not feed.closed:
            moment = feed.wait(generation, BEAT_SECONDS)
            if moment.generation == generation:
                self._event("beat", b"{}")
                continue
            name, data = feed.message(moment, seen)
            self._event(name, data)
            generation, seen = moment.generation, len(moment.contents.records)
            time.sleep(_PAUSE_SECONDS)  # what comes in quick succession is told together

    def _event(self, name: str, data: bytes) -> None:
        self.wfile.write(b"event: %s\ndata: %s\n\n" % (name.encode(), data))
        self.wfile.flush()

    def _refuse(self, code: int, text: str) -> None:
        self.close_connection = True
        self._answer(code, json.dumps({"error": text}).encode(), "application/json")

    def _answer(self, code: int, body: bytes, kind: str, more: Mapping[str, str] | None = None) -> None:
        self._head(code, kind, {"Content-Length": str(len(body)), **(more or {})})
        self.wfile.write(body)

    def _head(self, code: int, kind: str, more: Mapping[str, str]) -> None:
        self.send_response(code)
        headers = {
            "Content-Type": kind if "charset" in kind else f"{kind}; charset=utf-8",
            "Content-Security-Policy": _POLICY,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cache-Control": "no-store",
            **more,
        }
        if self.close_connection:
            headers["Connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def serve(page: Page) -> None:
    """Serves until somebody calls `shutdown` or Ctrl-C is pressed."""
    page.feed.start()
    try:
        page.serve_forever(poll_interval=0.2)
    finally:
        page.feed.close()
        page.server_close()
