"""Corestone, the authentication service: accounts in MySQL, sessions in Redis. It retries nothing.

`POST /sessions` begins a session (201 with its token), `GET /sessions/{token}` tells whose it is (200, or 401
where there is no such session). Each session that began is written to the table `logins`. `/healthz` and
`/readyz` are the probes; on SIGTERM it drains as BOSS does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from aiohttp import web
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from lab.services import accounts
from lab.services.accounts import Accounts
from lab.services.database import DatabaseSettings, Pool
from lab.services.sessions import Sessions, redis_client
from lab.services.variables import Variables
from lab.services.web import ServingSettings, WebService, fields_of, run_pod, until_signal

READY_SECONDS = 2.0
SESSION_PREFIX = "session:"
_LOGIN = '{"user": "<name>", "password": "<password>"}'
_LOGINS = """
CREATE TABLE IF NOT EXISTS logins (
    seq BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    user VARCHAR(64) NOT NULL,
    created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    KEY user (user)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4
"""


@dataclass(frozen=True)
class Settings:
    """Corestone's settings, all from the environment. `session` in seconds."""

    serving: ServingSettings
    database: DatabaseSettings
    redis_host: str
    redis_port: int
    session: int

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
        )
        variables.check()
        return settings


class Corestone:
    """One pod of Corestone."""

    def __init__(self, settings: Settings) -> None:
        self._pool = Pool(settings.database, {**accounts.TABLES, "logins": _LOGINS})
        self._accounts = Accounts(self._pool)
        self._redis = redis_client(settings.redis_host, settings.redis_port)
        self._sessions = Sessions(self._redis, SESSION_PREFIX, settings.session)
        routes = [web.post("/sessions", self._begin), web.get("/sessions/{token}", self._find)]
        self.service = WebService(settings.serving, routes, ready=self._look, background=self._connected())

    async def serve(self, ended: asyncio.Event) -> None:
        """Serves until `ended`, then drains and returns. Raises OSError where it cannot listen."""
        await self.service.serve(ended)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[None]:
        yield
        await self._redis.aclose()
        await self._pool.close()

    async def _look(self) -> None:
        async with asyncio.timeout(READY_SECONDS):
            await self._redis.ping()
            await self._pool.prepare()

    async def _begin(self, request: web.Request) -> web.Response:
        user, password = await fields_of(request, _LOGIN, "user", "password")
        if not await self._accounts.check(str(user), str(password)):
            return web.json_response({"error": "no such user or password"}, status=401)
        await self._pool.run(partial(_insert_login, str(user)))
        return web.json_response({"token": await self._sessions.begin(str(user))}, status=201)

    async def _find(self, request: web.Request) -> web.Response:
        user = await self._sessions.find(request.match_info["token"])
        if user is None:
            return web.json_response({"error": "no such session"}, status=401)
        return web.json_response({"user": user})


def _insert_login(user: str, connection: Connection[Cursor]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO logins (user) VALUES (%s)", (user,))


async def _main() -> int:
    corestone = Corestone(Settings.from_environment(os.environ))
    await corestone.serve(await until_signal())
    return 0


def main() -> int:
    """Runs one pod; exit code 1 with one line for settings or an address that are wrong."""
    return run_pod("corestone", _main)
