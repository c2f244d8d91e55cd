"""BOSS, the billing service: a web service on MySQL and Redis. It retries nothing.

`POST /records` commits to MySQL before it answers 201; `POST /usage` answers 202 once Redis holds the
item; `GET /records/{id}` reads; `/healthz` and `/readyz` are the probes. On SIGTERM it is no longer
ready, goes on serving for DRAIN_SECONDS, finishes what is in flight, flushes its buffer and ends.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

import pymysql
import redis.asyncio as redis
from aiohttp import web
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from lab.services.ledger import DatabaseSettings, Ledger, Row
from lab.services.usage import UsageBuffer

log = logging.getLogger(__name__)

READY_SECONDS = 2.0
IN_FLIGHT_SECONDS = 15.0
REDIS_SECONDS = 5
REDIS_CONNECTIONS = 32
UPSTREAM_FAILURES = (pymysql.MySQLError, RedisError, OSError, TimeoutError)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SettingsError(ValueError):
    """A variable of the environment that is absent or wrong."""


@dataclass(frozen=True)
class Settings:
    """BOSS's settings, all from the environment. Times in seconds."""

    listen: str
    port: int
    pod: str
    database: DatabaseSettings
    redis_host: str
    redis_port: int
    commit_interval: float
    drain: float
    flush: float

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Raises SettingsError that names every variable that is absent or wrong."""
        problems: list[str] = []

        def text(name: str, default: str | None = None) -> str:
            value = environment.get(name, default)
            if not value:
                problems.append(f"{name} is not set")
            return value or ""

        def number(name: str, default: str | None = None) -> float:
            value = text(name, default)
            try:
                return float(value or "0")
            except ValueError:
                problems.append(f"{name} must be a number, not {value!r}")
                return 0.0

        settings = cls(
            listen=text("LISTEN_ADDRESS", "0.0.0.0"),
            port=int(number("LISTEN_PORT", "8080")),
            pod=text("POD_NAME"),
            database=DatabaseSettings(
                host=text("DATABASE_HOST"),
                port=int(number("DATABASE_PORT", "3306")),
                name=text("DATABASE_NAME"),
                user=text("DATABASE_USER"),
                password=text("DATABASE_PASSWORD"),
                ca=environment.get("DATABASE_CA") or None,
                connections=int(number("DATABASE_CONNECTIONS", "4")),
            ),
            redis_host=text("REDIS_HOST"),
            redis_port=int(number("REDIS_PORT", "6379")),
            commit_interval=number("COMMIT_INTERVAL_SECONDS", "0.5"),
            drain=number("DRAIN_SECONDS", "5"),
            flush=number("FLUSH_SECONDS", "10"),
        )
        if problems:
            raise SettingsError("; ".join(problems))
        return settings


class Boss:
    """One pod of BOSS."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ledger = Ledger(settings.database)
        # A burst waits for a connection; it is not refused.
        pool = redis.BlockingConnectionPool(
            max_connections=REDIS_CONNECTIONS,
            timeout=REDIS_SECONDS,
            host=settings.redis_host,
            port=settings.redis_port,
            decode_responses=True,
            socket_connect_timeout=REDIS_SECONDS,
            socket_timeout=REDIS_SECONDS,
            retry=Retry(NoBackoff(), 0),  # a push that timed out may have been carried out
        )
        self._redis = redis.Redis.from_pool(pool)
        self._usage = UsageBuffer(self._redis, self._ledger, settings.pod, settings.commit_interval)
        self._draining = False
        self.port = settings.port

    def application(self) -> web.Application:
        """The routes of one pod."""
        app = web.Application(middlewares=[self._answer])
        app.add_routes(
            [
                web.post("/records", self._post_record),
                web.get("/records/{id}", self._get_record),
                web.post("/usage", self._post_usage),
                web.get("/healthz", self._healthy),
                web.get("/readyz", self._ready),
            ]
        )
        return app

    async def serve(self, ended: asyncio.Event) -> None:
        """Serves until `ended`, then drains, flushes and returns. Raises OSError where it cannot listen."""
        runner = web.AppRunner(
            self.application(), access_log=None, shutdown_timeout=IN_FLIGHT_SECONDS, keepalive_timeout=75.0
        )
        await runner.setup()
        await web.TCPSite(runner, self._settings.listen, self._settings.port).start()
        self.port = int(runner.addresses[0][1])
        log.info("%s listens on %s:%s", self._settings.pod, self._settings.listen, self.port)
        stop_committing = asyncio.Event()
        committer = asyncio.create_task(self._usage.commit_until(stop_committing))
        await ended.wait()
        self._draining = True
        log.info("%s drains for %s s", self._settings.pod, self._settings.drain)
        await asyncio.sleep(self._settings.drain)
        await runner.cleanup()
        stop_committing.set()
        await committer
        flushed = await self._usage.flush(self._settings.flush)
        await self._redis.aclose()
        await self._ledger.close()
        log.info("%s ends, buffer %s", self._settings.pod, "empty" if flushed else "NOT empty")

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except UPSTREAM_FAILURES as error:
            log.warning("%s %s: %s: %s", request.method, request.path, type(error).__name__, error)
            response = web.json_response({"error": type(error).__name__}, status=503)
        response.headers["X-Served-By"] = self._settings.pod
        if self._draining:
            response.force_close()  # the proxy must not keep a connection that is about to be closed
        return response

    async def _post_record(self, request: web.Request) -> web.Response:
        row = parse_row(await request.read())
        seq = await self._ledger.add_record(row)
        return web.json_response({"id": row.client_id, "seq": seq}, status=201)

    async def _post_usage(self, request: web.Request) -> web.Response:
        row = parse_row(await request.read())
        await self._usage.push(row)
        return web.json_response({"id": row.client_id}, status=202)

    async def _get_record(self, request: web.Request) -> web.Response:
        client_id = request.match_info["id"]
        found = await self._ledger.find_record(client_id)
        if found is None:
            return web.json_response({"error": "no such record"}, status=404)
        seq, amount = found
        return web.json_response({"id": client_id, "seq": seq, "amount": str(amount)})

    async def _healthy(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "healthy"})

    async def _ready(self, _: web.Request) -> web.Response:
        if self._draining:
            return web.json_response({"status": "draining"}, status=503)
        async with asyncio.timeout(READY_SECONDS):
            await self._usage.ping()
            await self._ledger.prepare()
        return web.json_response({"status": "ready"})


def parse_row(body: bytes) -> Row:
    """The row of a request's body. Raises HTTPBadRequest that says what is wrong."""
    try:
        fields = json.loads(body)
        client_id = str(uuid.UUID(fields["id"]))
        amount = Decimal(fields["amount"])
    except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise _bad_request('expected {"id": "<uuid>", "amount": "<decimal>"}') from error
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -2 or abs(amount) >= Decimal(10**10):
        raise _bad_request("amount must have at most 10 digits before and 2 after the point")
    return Row(client_id, amount)


def _bad_request(message: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=json.dumps({"error": message}), content_type="application/json")


async def _main(settings: Settings) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await Boss(settings).serve(ended)


def main() -> int:
    """Runs one pod; exit code 1 with one line for settings or an address that are wrong."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        asyncio.run(_main(Settings.from_environment(os.environ)))
    except (SettingsError, OSError) as error:
        print(f"boss: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
