"""What the lab's web services have in common: serving, a log of requests, a graceful end."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import pymysql
from aiohttp import web
from redis.exceptions import RedisError

from lab.services.variables import SettingsError, Variables

log = logging.getLogger(__name__)

IN_FLIGHT_SECONDS = 15.0
UPSTREAM_FAILURES = (pymysql.MySQLError, RedisError, OSError, TimeoutError)
_PROBES = ("/healthz", "/readyz")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class ServingSettings:
    """Where a pod listens, and how it ends. `drain` in seconds."""

    listen: str
    port: int
    pod: str
    drain: float

    @classmethod
    def from_variables(cls, variables: Variables) -> ServingSettings:
        """From LISTEN_ADDRESS, LISTEN_PORT, POD_NAME and DRAIN_SECONDS."""
        return cls(
            listen=variables.text("LISTEN_ADDRESS", "0.0.0.0"),
            port=int(variables.number("LISTEN_PORT", "8080")),
            pod=variables.text("POD_NAME"),
            drain=variables.number("DRAIN_SECONDS", "5"),
        )


class WebService:
    """One pod's server.

    `background` runs while it serves: entered once it listens, left after the last request was answered.
    On its end it is no longer ready, goes on serving for the drain time and finishes what is in flight.
    """

    def __init__(
        self,
        settings: ServingSettings,
        routes: Iterable[web.RouteDef],
        *,
        ready: Callable[[], Awaitable[None]],
        background: AbstractAsyncContextManager[object],
    ) -> None:
        """`ready` raises one of `UPSTREAM_FAILURES` where the service cannot do its work."""
        self.port = settings.port
        self._settings = settings
        self._look = ready
        self._background = background
        self._draining = False
        own = [web.get("/healthz", self._healthy), web.get("/readyz", self._ready)]
        self._app = web.Application(middlewares=[self._answer])
        self._app.add_routes([*routes, *own])

    async def serve(self, ended: asyncio.Event) -> None:
        """Serves until `ended`, then drains and returns. Raises OSError where it cannot listen."""
        runner = web.AppRunner(
            self._app, access_log=None, shutdown_timeout=IN_FLIGHT_SECONDS, keepalive_timeout=75.0
        )
        await runner.setup()
        await web.TCPSite(runner, self._settings.listen, self._settings.port).start()
        self.port = int(runner.addresses[0][1])
        log.info("%s listens on %s:%s", self._settings.pod, self._settings.listen, self.port)
        async with self._background:
            await ended.wait()
            self._draining = True
            log.info("%s drains for %s s", self._settings.pod, self._settings.drain)
            await asyncio.sleep(self._settings.drain)
            await runner.cleanup()
        log.info("%s ends", self._settings.pod)

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.monotonic()
        try:
            response = await handler(request)
        except UPSTREAM_FAILURES as error:
            log.warning("%s %s: %s: %s", request.method, request.path, type(error).__name__, error)
            response = web.json_response({"error": type(error).__name__}, status=503)
        response.headers["X-Served-By"] = self._settings.pod
        if self._draining:
            response.force_close()  # the proxy must not keep a connection that is about to be closed
        if request.path not in _PROBES:
            sys.stdout.write(access_line(request, response.status, time.monotonic() - began))
        return response

    async def _healthy(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "healthy"})

    async def _ready(self, _: web.Request) -> web.Response:
        if self._draining:
            return web.json_response({"status": "draining"}, status=503)
        await self._look()
        return web.json_response({"status": "ready"})


def access_line(request: web.Request, status: int, seconds: float) -> str:
    """The line of a request in the access log; the path is the route's, so that it shows no token."""
    resource = request.match_info.route.resource
    headers = request.headers
    fields = {
        "moment": round(time.time(), 3),
        "host": headers.get("Host", ""),
        "method": request.method,
        "path": resource.canonical if resource else request.path,
        "status": status,
        "client": request.remote,
        "forwarded_for": headers.get("X-Forwarded-For", ""),
        "agent": headers.get("User-Agent", ""),
        "seconds": round(seconds, 4),
    }
    return json.dumps(fields, separators=(",", ":")) + "\n"


def bad_request(message: str) -> web.HTTPBadRequest:
    """A refusal that says what was expected."""
    return web.HTTPBadRequest(text=json.dumps({"error": message}), content_type="application/json")


async def fields_of(request: web.Request, expected: str, *names: str) -> tuple[Any, ...]:
    """These fields of the JSON object in a request's body. Raises HTTPBadRequest with `expected`."""
    try:
        body = json.loads(await request.read())
        return tuple(body[name] for name in names)
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request(f"expected {expected}") from error


async def until_signal() -> asyncio.Event:
    """An event that is set on SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    return ended


def run_pod(name: str, main: Callable[[], Awaitable[int]]) -> int:
    """Runs one pod; exit code 1 with one line for settings or an address that are wrong."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")

    async def run() -> int:
        return await main()

    try:
        return asyncio.run(run())
    except (SettingsError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
