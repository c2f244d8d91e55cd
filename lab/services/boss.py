"""BOSS, the billing service: a web service on MySQL and Redis. It retries nothing.

`POST /records` commits to MySQL before it answers 201; `POST /usage` answers 202 once Redis holds the item;
`GET /records/{id}` reads one record, `GET /records?after=<seq>` those that follow; `POST /reports` takes a
day's total of a region. `POST /login` begins a session, which Redis alone holds, and `GET /me` uses it
(`Authorization: Bearer <token>`). `/healthz` and `/readyz` are the probes. On SIGTERM it is no longer ready,
goes on serving for DRAIN_SECONDS, finishes what is in flight, flushes its buffer and ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from aiohttp import web

from lab.services import accounts, ledger
from lab.services.accounts import Accounts
from lab.services.database import DatabaseSettings, Pool
from lab.services.ledger import Ledger, Report, Row
from lab.services.sessions import Sessions, redis_client
from lab.services.usage import UsageBuffer
from lab.services.variables import Variables
from lab.services.web import ServingSettings, WebService, bad_request, fields_of, run_pod, until_signal

log = logging.getLogger(__name__)

READY_SECONDS = 2.0
SESSION_PREFIX = "session:boss:"
MOST_RECORDS = 500
_ROW = '{"id": "<uuid>", "amount": "<decimal>"}'
_REPORT = '{"id": "<uuid>", "day": "<YYYY-MM-DD>", "total": "<decimal>"}'
_LOGIN = '{"user": "<name>", "password": "<password>"}'


@dataclass(frozen=True)
class Settings:
    """BOSS's settings, all from the environment. Times in seconds."""

    serving: ServingSettings
    database: DatabaseSettings
    redis_host: str
    redis_port: int
    session: int
    commit_interval: float
    flush: float

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Raises SettingsError that names every variable that is absent or wrong."""
        variables = Variables(environment)
        settings = cls(
            serving=ServingSettings.from_variables(variables),
            database=DatabaseSettings.from_variables(variables),
            redis_host=variables.text("REDIS_HOST"),
            redis_port=int(variables.number("REDIS_PORT", "6379")),
            session=int(variables.number("SESSION_SECONDS", "3600")),
            commit_interval=variables.number("COMMIT_INTERVAL_SECONDS", "0.5"),
            flush=variables.number("FLUSH_SECONDS", "10"),
        )
        variables.check()
        return settings


class Boss:
    """One pod of BOSS."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool = Pool(settings.database, {**ledger.TABLES, **accounts.TABLES})
        self._ledger = Ledger(self._pool)
        self._accounts = Accounts(self._pool)
        self._redis = redis_client(settings.redis_host, settings.redis_port)
        self._sessions = Sessions(self._redis, SESSION_PREFIX, settings.session)
        pod = settings.serving.pod
        self._usage = UsageBuffer(self._redis, self._ledger, pod, settings.commit_interval)
        routes = [
            web.post("/records", self._post_record),
            web.get("/records", self._get_records),
            web.get("/records/{id}", self._get_record),
            web.post("/usage", self._post_usage),
            web.post("/reports", self._post_report),
            web.post("/login", self._log_in),
            web.get("/me", self._me),
        ]
        self.service = WebService(settings.serving, routes, ready=self._look, background=self._committing())

    async def serve(self, ended: asyncio.Event) -> None:
        """Serves until `ended`, then drains, flushes and returns. Raises OSError where it cannot listen."""
        await self.service.serve(ended)

    @asynccontextmanager
    async def _committing(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        committer = asyncio.create_task(self._usage.commit_until(stop))
        yield
        stop.set()
        await committer
        flushed = await self._usage.flush(self._settings.flush)
        await self._redis.aclose()
        await self._pool.close()
        log.info("%s: buffer %s", self._settings.serving.pod, "empty" if flushed else "NOT empty")

    async def _look(self) -> None:
        async with asyncio.timeout(READY_SECONDS):
            await self._usage.ping()
            await self._pool.prepare()

    async def _post_record(self, request: web.Request) -> web.Response:
        row = await _row(request)
        seq = await self._ledger.add_record(row)
        return web.json_response({"id": row.client_id, "seq": seq}, status=201)

    async def _post_usage(self, request: web.Request) -> web.Response:
        row = await _row(request)
        await self._usage.push(row)
        return web.json_response({"id": row.client_id}, status=202)

    async def _post_report(self, request: web.Request) -> web.Response:
        report = await _report(request)
        await self._ledger.add_report(report)
        return web.json_response({"id": report.id}, status=201)

    async def _get_record(self, request: web.Request) -> web.Response:
        client_id = request.match_info["id"]
        found = await self._ledger.find_record(client_id)
        if found is None:
            return web.json_response({"error": "no such record"}, status=404)
        seq, amount = found
        return web.json_response({"id": client_id, "seq": seq, "amount": str(amount)})

    async def _get_records(self, request: web.Request) -> web.Response:
        try:
            after = int(request.query["after"])
        except (KeyError, ValueError) as error:
            raise bad_request("expected ?after=<seq>") from error
        found = await self._ledger.records_after(after, MOST_RECORDS)
        return web.json_response([{"id": i, "seq": seq, "amount": str(amount)} for seq, i, amount in found])

    async def _log_in(self, request: web.Request) -> web.Response:
        user, password = await fields_of(request, _LOGIN, "user", "password")
        if not await self._accounts.check(str(user), str(password)):
            return web.json_response({"error": "no such user or password"}, status=401)
        return web.json_response({"token": await self._sessions.begin(str(user))}, status=201)

    async def _me(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        user = await self._sessions.find(token)
        if user is None:
            return web.json_response({"error": "no such session"}, status=401)
        return web.json_response({"user": user})


async def _row(request: web.Request) -> Row:
    client_id, amount = await fields_of(request, _ROW, "id", "amount")
    return Row(_uuid(client_id, _ROW), _amount(amount, "amount", _ROW))


async def _report(request: web.Request) -> Report:
    report_id, day, total = await fields_of(request, _REPORT, "id", "day", "total")
    try:
        date.fromisoformat(day)
    except (ValueError, TypeError) as error:
        raise bad_request(f"expected {_REPORT}") from error
    return Report(_uuid(report_id, _REPORT), day, _amount(total, "total", _REPORT))


def _uuid(value: object, expected: str) -> str:
    try:
        return str(uuid.UUID(str(value)))
    except ValueError as error:
        raise bad_request(f"expected {expected}") from error


def _amount(value: object, name: str, expected: str) -> Decimal:
    try:
        amount = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        amount = None
    if amount is None:
        raise bad_request(f"expected {expected}")
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -2 or abs(amount) >= Decimal(10**10):
        raise bad_request(f"{name} must have at most 10 digits before and 2 after the point")
    return amount


async def _main() -> int:
    boss = Boss(Settings.from_environment(os.environ))
    await boss.serve(await until_signal())
    return 0


def main() -> int:
    """Runs one pod; exit code 1 with one line for settings or an address that are wrong."""
    return run_pod("boss", _main)
