"""Automata and the invoice exporter: each reads BOSS's new records once a second.

They know BOSS by what is configured when they start. `GET /state` tells how their calls went: 200 while the
last one was answered, 503 while it was not. A call that fails is not repeated; the next one is due anyway.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
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
    """A caller's settings. `interval`: seconds between two calls."""

    serving: ServingSettings
    base: str
    interval: float

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """BOSS by a whole BOSS_URL, or by a BOSS_HOST. Raises SettingsError."""
        variables = Variables(environment)
        url = variables.optional("BOSS_URL")
        settings = cls(
            serving=ServingSettings.from_variables(variables),
            base=url.rstrip("/") if url else base_of(variables.text("BOSS_HOST")),
            interval=variables.number("CALL_INTERVAL_SECONDS", "1"),
        )
        variables.check()
        return settings


def base_of(host: str) -> str:
    """The URL of a host: plain http for a name within a cluster, https for one of the internet."""
    if "://" in host:
        return host.rstrip("/")
    inside = host.count(".") < 2 or host.endswith((".svc", ".cluster.local"))
    return f"{'http' if inside else 'https'}://{host}"


class Caller:
    """One pod of a caller, known to BOSS as `name`."""

    def __init__(self, name: str, settings: Settings) -> None:
        self._name = name
        self._settings = settings
        self._answered = 0
        self._failed = 0
        self._problem = "no call yet"
        self._last = 0.0
        self._seq = 0
        self.service = WebService(
            settings.serving,
            [web.get("/state", self._state)],
            ready=self._look,
            background=self._calling(),
        )

    async def serve(self, ended: asyncio.Event) -> None:
        """Serves and calls until `ended`. Raises OSError where it cannot listen."""
        await self.service.serve(ended)

    async def _look(self) -> None:
        """It is ready as soon as it listens: whether BOSS answers is told by its state."""

    @asynccontextmanager
    async def _calling(self) -> AsyncIterator[None]:
        calls = asyncio.create_task(self._call_for_ever())
        yield
        calls.cancel()
        await asyncio.gather(calls, return_exceptions=True)

    async def _call_for_ever(self) -> None:
        limit = aiohttp.ClientTimeout(total=CALL_SECONDS)
        headers = {"User-Agent": f"{self._name}/1.0"}
        # a connection a call, as programs have it that call seldom; a name that moves is asked for each time
        connector = aiohttp.TCPConnector(force_close=True, use_dns_cache=False)
        async with aiohttp.ClientSession(timeout=limit, headers=headers, connector=connector) as session:
            while True:
                due = time.monotonic() + self._settings.interval
                await self._call(session)
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _call(self, session: aiohttp.ClientSession) -> None:
        url = f"{self._settings.base}/records?after={self._seq}"
        problem = ""
        try:
            async with session.get(url) as response:
                if response.status == 200:
                    found = await response.json()
                    self._seq = found[-1]["seq"] if found else self._seq
                else:
                    problem = f"status {response.status}"
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"
        if problem:
            self._failed += 1
            log.warning("GET %s: %s", url, problem)
        else:
            self._answered += 1
        self._problem, self._last = problem, time.time()

    async def _state(self, _: web.Request) -> web.Response:
        state = {
            "base": self._settings.base,
            "answered": self._answered,
            "failed": self._failed,
            "seq": self._seq,
            "last": round(self._last, 3),
            "problem": self._problem,
        }
        return web.json_response(state, status=503 if self._problem else 200)


async def _main(name: str) -> int:
    caller = Caller(name, Settings.from_environment({"DRAIN_SECONDS": "0.1", **os.environ}))
    await caller.serve(await until_signal())
    return 0


def run(name: str) -> int:
    """Runs one pod; exit code 1 with one line for settings or an address that are wrong."""
    return run_pod(name, lambda: _main(name))
