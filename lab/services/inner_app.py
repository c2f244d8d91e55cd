"""The inner app of a truewatch cluster: its users are whom Corestone says they are.

`GET /login-check` begins a session at Corestone and reads it: 200 where both worked, else 503 with what went
wrong. Apart from that it does the same every CHECK_INTERVAL_SECONDS, as its users would.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from lab.services.variables import Variables
from lab.services.web import ServingSettings, WebService, run_pod, until_signal

log = logging.getLogger(__name__)

CALL_SECONDS = 5.0


@dataclass(frozen=True)
class Settings:
    """The inner app's settings. `interval` in seconds."""

    serving: ServingSettings
    corestone: str
    user: str
    password: str
    interval: float

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Raises SettingsError that names every variable that is absent or wrong."""
        variables = Variables(environment)
        settings = cls(
            serving=ServingSettings.from_variables(variables),
            corestone=variables.text("CORESTONE_URL").rstrip("/"),
            user=variables.text("CORESTONE_USER"),
            password=variables.text("CORESTONE_PASSWORD"),
            interval=variables.number("CHECK_INTERVAL_SECONDS", "2"),
        )
        variables.check()
        return settings


class InnerApp:
    """One pod of the inner app."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._answered = 0
        self._failed = 0
        routes = [web.get("/login-check", self._login_check), web.get("/state", self._state)]
        self.service = WebService(settings.serving, routes, ready=self._look, background=self._checking())

    async def serve(self, ended: asyncio.Event) -> None:
        """Serves until `ended`. Raises OSError where it cannot listen."""
        await self.service.serve(ended)

    async def _look(self) -> None:
        """It is ready as soon as it listens: whether Corestone answers is told by its checks."""

    @asynccontextmanager
    async def _checking(self) -> AsyncIterator[None]:
        checks = asyncio.create_task(self._check_for_ever())
        yield
        checks.cancel()
        await asyncio.gather(checks, return_exceptions=True)

    async def _check_for_ever(self) -> None:
        while True:
            if problem := await self._check():
                self._failed += 1
                log.warning("%s: %s", self._settings.corestone, problem)
            else:
                self._answered += 1
            await asyncio.sleep(self._settings.interval)

    async def _check(self) -> str:
        """What went wrong; empty where a session could be begun and read."""
        settings = self._settings
        limit = aiohttp.ClientTimeout(total=CALL_SECONDS)
        login = {"user": settings.user, "password": settings.password}
        headers = {"User-Agent": "inner-app/1.0"}
        try:
            async with aiohttp.ClientSession(timeout=limit, headers=headers) as session:
                async with session.post(f"{settings.corestone}/sessions", json=login) as response:
                    if response.status != 201:
                        return f"a session could not be begun: status {response.status}"
                    token = (await response.json())["token"]
                async with session.get(f"{settings.corestone}/sessions/{token}") as response:
                    found = await response.json() if response.status == 200 else {}
                    if found.get("user") != settings.user:
                        return f"the session could not be read: status {response.status}"
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError) as error:
            return f"{type(error).__name__}: {error}"
        return ""

    async def _login_check(self, _: web.Request) -> web.Response:
        problem = await self._check()
        return web.json_response({"problem": problem}, status=503 if problem else 200)

    async def _state(self, _: web.Request) -> web.Response:
        return web.json_response({"answered": self._answered, "failed": self._failed})


async def _main() -> int:
    app = InnerApp(Settings.from_environment({"DRAIN_SECONDS": "0.1", **os.environ}))
    await app.serve(await until_signal())
    return 0


def main() -> int:
    """Runs one pod; exit code 1 with one line for settings or an address that are wrong."""
    return run_pod("inner-app", _main)
