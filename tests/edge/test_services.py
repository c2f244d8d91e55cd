"""Corestone, the inner app, the callers of BOSS and Kodo, on real databases and over real connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import aiohttp
import pytest
import redis.asyncio as redis
from aiohttp import web

from lab.database import Login, connect
from lab.services import caller, corestone, inner_app, kodo
from lab.services.accounts import create_accounts
from lab.services.database import DatabaseSettings
from lab.services.variables import SettingsError, Variables
from tests.edge.conftest import free_port
from tests.edge.support import LOOPBACK, eventually, run


class Served(Protocol):
    """A service of the lab."""

    async def serve(self, ended: asyncio.Event) -> None: ...


@asynccontextmanager
async def serving(make: Callable[[Mapping[str, str]], Served], **variables: str) -> AsyncIterator[str]:
    """The URL of a running pod."""
    port = free_port()
    given = {"LISTEN_ADDRESS": LOOPBACK, "LISTEN_PORT": str(port), "POD_NAME": "p", "DRAIN_SECONDS": "0.01"}
    ended = asyncio.Event()
    task = asyncio.create_task(make({**given, **variables}).serve(ended))
    base = f"http://{LOOPBACK}:{port}"
    try:
        while True:
            assert not task.done(), task.exception()
            try:
                await ask(f"{base}/healthz")
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.01)
            else:
                break
        yield base
    finally:
        ended.set()
        await task


async def ask(url: str, body: object = None) -> tuple[int, Any]:
    """Status and JSON of an answer."""
    async with aiohttp.ClientSession() as session:
        call = session.get(url) if body is None else session.post(url, json=body)
        async with call as response:
            return response.status, await response.json()


def make_corestone(environment: Mapping[str, str]) -> Served:
    return corestone.Corestone(corestone.Settings.from_environment(environment))


def make_inner_app(environment: Mapping[str, str]) -> Served:
    return inner_app.InnerApp(inner_app.Settings.from_environment(environment))


def make_automata(environment: Mapping[str, str]) -> Served:
    return caller.Caller("automata", caller.Settings.from_environment(environment))


def corestone_variables(database: Login, redis_port: int) -> dict[str, str]:
    return {
        "DATABASE_URL": f"mysql://{database.host}:{database.port}/{database.name}",
        "DATABASE_USER": database.user,
        "DATABASE_PASSWORD": database.password,
        "REDIS_HOST": LOOPBACK,
        "REDIS_PORT": str(redis_port),
    }


def test_corestone_begins_sessions_and_the_inner_app_lives_on_them(database: Login, redis_port: int) -> None:
    with connect(database) as connection:
        create_accounts(connection, database.name, {"inner-app": "right"})
    given = corestone_variables(database, redis_port)

    async def test() -> None:
        async with serving(make_corestone, **given) as base:
            assert (await ask(f"{base}/readyz"))[0] == 200
            right = {"user": "inner-app", "password": "right"}
            assert (await ask(f"{base}/sessions", {**right, "password": "wrong"}))[0] == 401
            status, begun = await ask(f"{base}/sessions", right)
            assert status == 201
            path = f"{base}/sessions/{begun['token']}"
            assert await ask(path) == (200, {"user": "inner-app"})
            async with redis.Redis(host=LOOPBACK, port=redis_port) as client:
                assert await client.exists(f"session:{begun['token']}")
                account = {"CORESTONE_USER": "inner-app", "CORESTONE_PASSWORD": "right"}
                more = {**account, "CORESTONE_URL": base, "CHECK_INTERVAL_SECONDS": "0.05"}
                async with serving(make_inner_app, **more) as app:
                    assert await ask(f"{app}/login-check") == (200, {"problem": ""})
                    while (await ask(f"{app}/state"))[1]["answered"] < 2:
                        await asyncio.sleep(0.01)
                await client.flushall()
            assert (await ask(path))[0] == 401

    run(test)
    with connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM logins")
        assert (cursor.fetchone() or (0,))[0] >= 4


def test_the_inner_app_says_what_is_wrong_with_corestone() -> None:
    account = {"CORESTONE_USER": "inner-app", "CORESTONE_PASSWORD": "x"}
    nowhere = f"http://{LOOPBACK}:{free_port()}"

    async def test() -> None:
        async with serving(make_inner_app, **account, CORESTONE_URL=nowhere) as app:
            status, answer = await ask(f"{app}/login-check")
            assert status == 503
            assert "ClientConnectorError" in answer["problem"]

    run(test)


@asynccontextmanager
async def boss(answer: Callable[[web.Request], web.Response]) -> AsyncIterator[str]:
    """The URL of something in BOSS's place."""

    async def handle(request: web.Request) -> web.Response:
        await request.read()
        return answer(request)

    runner = web.AppRunner(_app(handle))
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    try:
        yield f"http://{LOOPBACK}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _app(handle: Any) -> web.Application:
    app = web.Application()
    app.add_routes([web.route("*", "/{path:.*}", handle)])
    return app


def test_a_caller_reads_on_where_it_stands_and_tells_how_its_calls_went() -> None:
    asked: list[str] = []
    works = True

    def answer(request: web.Request) -> web.Response:
        asked.append(request.query["after"])
        if not works:
            return web.json_response({}, status=503)
        return web.json_response([{"id": "a", "seq": int(request.query["after"]) + 10, "amount": "1.00"}])

    async def test() -> None:
        nonlocal works
        async with (
            boss(answer) as url,
            serving(make_automata, BOSS_HOST=url, CALL_INTERVAL_SECONDS="0.02") as automata,
        ):
            await eventually(lambda: len(asked) > 3)
            status, state = await ask(f"{automata}/state")
            assert (status, state["base"], state["problem"]) == (200, url, "")
            works = False
            before = len(asked)
            await eventually(lambda: len(asked) > before + 1)
            status, state = await ask(f"{automata}/state")
            assert (status, state["problem"]) == (503, "status 503")
            assert state["failed"] >= 1

    run(test)
    assert asked[:3] == ["0", "10", "20"]


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("webportal.billing-guance-intl", "http://webportal.billing-guance-intl"),
        ("webportal.billing-guance-intl.svc.cluster.local",) * 2,
        ("bill.truewatch.com", "https://bill.truewatch.com"),
        ("https://bill.truewatch.com/", "https://bill.truewatch.com"),
    ],
)
def test_a_host_is_called_by_https_unless_it_is_a_name_within_a_cluster(host: str, base: str) -> None:
    assert caller.base_of(host) == (base if "://" in base else f"http://{base}")


@pytest.mark.parametrize(("failures", "taken", "tries"), [(0, True, 1), (2, True, 3), (9, False, 4)])
def test_kodo_tries_again_as_often_as_its_settings_say_with_one_id(
    failures: int, taken: bool, tries: int, capsys: pytest.CaptureFixture[str]
) -> None:
    ids: list[str] = []
    report = {"id": "an-id", "day": "2026-02-01", "total": "1.00"}

    def answer(request: web.Request) -> web.Response:
        assert request.path == "/reports"
        ids.append(json.loads(request._read_bytes or b"{}")["id"])
        return web.json_response({}, status=503 if len(ids) <= failures else 201)

    async def test() -> None:
        async with boss(answer) as url:
            settings = kodo.Settings(url, retries=3, pause=0.01)
            assert await asyncio.to_thread(kodo.send, settings, report) is taken

    run(test)
    assert ids == ["an-id"] * tries
    said = capsys.readouterr().out.splitlines()
    assert [line.rpartition(": ")[2] for line in said] == ["status 503"] * min(failures, tries) + (
        ["taken"] if taken else []
    )


@pytest.mark.parametrize(
    "url", ["mysql://", "mysql://host", "postgres://host/name", "mysql://host:port/name", "mysql://h/a/b"]
)
def test_a_database_url_that_cannot_be_used_is_named(url: str) -> None:
    variables = Variables({"DATABASE_URL": url, "DATABASE_USER": "u", "DATABASE_PASSWORD": "p"})
    DatabaseSettings.from_variables(variables)
    with pytest.raises(SettingsError, match="DATABASE_URL must be like"):
        variables.check()
