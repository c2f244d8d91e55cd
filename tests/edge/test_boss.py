"""BOSS on a real MariaDB and a real Redis: its answers, its buffer, its graceful end."""

from __future__ import annotations

import asyncio
import json
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import aiohttp
import pymysql
import pytest
import redis.asyncio as redis

from lab.database import Login, connect
from lab.services.accounts import create_accounts
from lab.services.boss import Boss, Settings
from lab.services.database import DatabaseSettings, Pool
from lab.services.ledger import TABLES, Ledger, Row
from lab.services.usage import BUFFER, PAUSED, UsageBuffer
from lab.services.variables import SettingsError
from tests.edge.conftest import free_port
from tests.edge.support import LOOPBACK, eventually, run

PROCESSING = f"{BUFFER}:processing:boss-0"


def environment(database: Login, redis_port: int) -> dict[str, str]:
    """What a pod of BOSS is given."""
    return {
        "LISTEN_ADDRESS": LOOPBACK,
        "LISTEN_PORT": str(free_port()),
        "POD_NAME": "boss-0",
        "DATABASE_HOST": database.host,
        "DATABASE_PORT": str(database.port),
        "DATABASE_NAME": database.name,
        "DATABASE_USER": database.user,
        "DATABASE_PASSWORD": database.password,
        "REDIS_HOST": LOOPBACK,
        "REDIS_PORT": str(redis_port),
        "COMMIT_INTERVAL_SECONDS": "0.05",
        "DRAIN_SECONDS": "0.2",
    }


class Pod:
    """A running BOSS and a client of it."""

    def __init__(self, boss: Boss, session: aiohttp.ClientSession, base: str) -> None:
        self.boss = boss
        self.session = session
        self.base = base
        self.ended = asyncio.Event()
        self.task = asyncio.create_task(boss.serve(self.ended))

    async def get(self, path: str) -> tuple[int, dict[str, object]]:
        async with self.session.get(self.base + path) as response:
            return response.status, await response.json()

    async def post(self, path: str, body: object) -> int:
        async with self.session.post(self.base + path, json=body) as response:
            return response.status

    async def stop(self) -> None:
        self.ended.set()
        await self.task


@asynccontextmanager
async def pod(variables: dict[str, str]) -> AsyncIterator[Pod]:
    """A BOSS that listens; it is stopped gracefully at the end."""
    settings = Settings.from_environment(variables)
    async with aiohttp.ClientSession() as session:
        port = settings.serving.port
        running = Pod(Boss(settings), session, f"http://{LOOPBACK}:{port}")
        try:
            await _listening(port)
            yield running
        finally:
            await running.stop()


async def _listening(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection(LOOPBACK, port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
            continue
        writer.close()
        await writer.wait_closed()
        return


def rows(database: Login, table: str) -> list[str]:
    """The client ids in a table."""
    with connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT client_id FROM {table} ORDER BY seq")  # noqa: S608 - a constant
        return [client_id for (client_id,) in cursor.fetchall()]


def item() -> dict[str, str]:
    """A body that BOSS takes."""
    return {"id": str(uuid.uuid4()), "amount": "12.34"}


def test_a_record_is_committed_and_read_and_one_sent_twice_is_there_twice(
    database: Login, redis_port: int
) -> None:
    async def test() -> None:
        async with pod(environment(database, redis_port)) as boss:
            assert (await boss.get("/readyz"))[0] == 200
            assert (await boss.get("/healthz"))[0] == 200
            body = item()
            assert (await boss.get(f"/records/{body['id']}"))[0] == 404
            assert await boss.post("/records", body) == 201
            assert rows(database, "records") == [body["id"]]
            assert await boss.get(f"/records/{body['id']}") == (
                200, {"id": body["id"], "seq": 1, "amount": "12.34"}
            )  # fmt: skip
            assert await boss.post("/records", body) == 201
            assert rows(database, "records") == [body["id"]] * 2

    run(test)


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"id": "1", "amount": "1"},
        {"id": str(uuid.UUID(int=1)), "amount": "1.234"},
        {"id": str(uuid.UUID(int=1)), "amount": "NaN"},
        {"id": str(uuid.UUID(int=1)), "amount": "1e10"},
        {"id": str(uuid.UUID(int=1)), "amount": "a lot"},
        {"id": None, "amount": "1"},
    ],
)
def test_a_body_that_is_no_record_is_refused(database: Login, redis_port: int, body: object) -> None:
    async def test() -> None:
        async with pod(environment(database, redis_port)) as boss:
            assert (await boss.get("/readyz"))[0] == 200
            assert await boss.post("/records", body) == 400
            assert await boss.post("/usage", body) == 400
            assert rows(database, "records") == []

    run(test)


def test_a_session_lives_in_redis_alone(database: Login, redis_port: int) -> None:
    with connect(database) as connection:
        create_accounts(connection, "boss", {"user-1": "right"})

    async def me(boss: Pod, token: object) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        async with boss.session.get(f"{boss.base}/me", headers=headers) as response:
            return response.status

    async def test() -> None:
        async with (
            pod(environment(database, redis_port)) as boss,
            redis.Redis(host=LOOPBACK, port=redis_port) as client,
        ):
            assert await boss.post("/login", {"user": "user-1", "password": "wrong"}) == 401
            assert await boss.post("/login", {"user": "user-2", "password": "right"}) == 401
            assert await boss.post("/login", {"user": "user-1"}) == 400
            login = {"user": "user-1", "password": "right"}
            async with boss.session.post(f"{boss.base}/login", json=login) as response:
                assert response.status == 201
                token = (await response.json())["token"]
            assert await me(boss, token) == 200
            assert await me(boss, "another") == 401
            assert [key async for key in client.scan_iter()] == [f"session:boss:{token}".encode()]
            assert 0 < await client.ttl(f"session:boss:{token}") <= 3600
            await client.flushall()
            assert await me(boss, token) == 401

    run(test)


def test_records_are_read_in_their_order_from_where_a_reader_stands(database: Login, redis_port: int) -> None:
    async def test() -> None:
        async with pod(environment(database, redis_port)) as boss:
            await boss.get("/readyz")
            sent = [item() for _ in range(3)]
            for body in sent:
                await boss.post("/records", body)
            async with boss.session.get(f"{boss.base}/records?after=1") as response:
                found = await response.json()
            assert found == [{**body, "seq": number} for number, body in enumerate(sent[1:], 2)]
            assert (await boss.get("/records"))[0] == 400

    run(test)


def test_a_report_that_is_sent_twice_is_there_twice(database: Login, redis_port: int) -> None:
    report = {"id": str(uuid.uuid4()), "day": "2026-02-01", "total": "10.00"}

    async def test() -> None:
        async with pod(environment(database, redis_port)) as boss:
            await boss.get("/readyz")
            assert [await boss.post("/reports", report) for _ in range(2)] == [201, 201]
            assert await boss.post("/reports", {**report, "day": "yesterday"}) == 400

    run(test)
    with connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id, CAST(day AS CHAR), total FROM reports")
        assert cursor.fetchall() == ((report["id"], report["day"], Decimal("10.00")),) * 2


def test_each_request_but_a_probe_is_in_the_log_without_its_token(
    database: Login, redis_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async def test() -> None:
        async with pod(environment(database, redis_port)) as boss:
            await boss.get("/readyz")
            body = item()
            await boss.post("/records", body)
            await boss.get(f"/records/{body['id']}")

    run(test)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("POST", "/records", 201),
        ("GET", "/records/{id}", 200),
    ]
    assert {line["client"] for line in lines} == {LOOPBACK}


def test_usage_is_committed_from_the_buffer(database: Login, redis_port: int) -> None:
    async def test() -> None:
        async with pod(environment(database, redis_port)) as boss:
            await boss.get("/readyz")
            sent = [item() for _ in range(50)]
            assert await asyncio.gather(*(boss.post("/usage", body) for body in sent)) == [202] * 50
            await eventually(lambda: len(rows(database, "usage_records")) == 50)
        assert sorted(rows(database, "usage_records")) == sorted(body["id"] for body in sent)

    run(test)


def test_a_graceful_end_serves_while_it_drains_and_commits_every_acknowledged_item_once(
    database: Login, redis_port: int
) -> None:
    acknowledged: list[str] = []

    async def send_until_refused(boss: Pod) -> None:
        while True:
            body = item()
            try:
                if await boss.post("/usage", body) == 202:
                    acknowledged.append(body["id"])
            except aiohttp.ClientConnectionError:
                return

    async def test() -> None:
        slow = environment(database, redis_port) | {"COMMIT_INTERVAL_SECONDS": "30"}
        async with pod(slow) as boss:
            await boss.get("/readyz")
            senders = [asyncio.create_task(send_until_refused(boss)) for _ in range(4)]
            await eventually(lambda: len(acknowledged) > 20)
            boss.ended.set()
            before = len(acknowledged)
            status, _ = await boss.get("/readyz")
            assert status == 503
            async with boss.session.get(f"{boss.base}/healthz") as response:
                assert response.headers["Connection"] == "close"
            await boss.task
            await asyncio.gather(*senders)
            assert len(acknowledged) > before
        async with redis.Redis(host=LOOPBACK, port=redis_port) as client:
            assert await client.keys("boss:*") == []

    run(test)
    assert sorted(rows(database, "usage_records")) == sorted(acknowledged)


def test_two_pods_commit_one_buffer_once(database: Login, redis_port: int) -> None:
    async def test() -> None:
        one = environment(database, redis_port)
        other = environment(database, redis_port) | {"POD_NAME": "boss-1"}
        async with pod(one) as first, pod(other) as second:
            await first.get("/readyz")
            await second.get("/readyz")
            sent = [item() for _ in range(300)]
            await asyncio.gather(
                *((first, second)[number % 2].post("/usage", body) for number, body in enumerate(sent))
            )
        assert sorted(rows(database, "usage_records")) == sorted(body["id"] for body in sent)

    run(test)


def test_a_database_that_does_not_answer_is_an_error_and_not_ready_and_nothing_is_tried_again(
    redis_port: int,
) -> None:
    async def test() -> None:
        attempts = 0

        async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal attempts
            attempts += 1
            writer.close()

        server = await asyncio.start_server(refuse, LOOPBACK, 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            async with pod(environment(Login(LOOPBACK, port, "boss", "boss", "x"), redis_port)) as boss:
                assert await boss.post("/records", item()) == 503
                assert attempts == 1
                assert (await boss.get("/readyz"))[0] == 503
                assert (await boss.get("/healthz"))[0] == 200

    run(test)


def test_a_redis_that_is_absent_is_an_error_and_not_ready(database: Login) -> None:
    async def test() -> None:
        async with pod(environment(database, free_port())) as boss:
            assert await boss.post("/usage", item()) == 503
            assert (await boss.get("/readyz"))[0] == 503

    run(test)


class _Interrupted(Ledger):
    """A ledger whose first commit of usage gets through without its answer."""

    interrupted = False

    async def add_usage(self, rows: list[Row], *, maybe_committed: bool) -> None:  # type: ignore[override]
        await super().add_usage(rows, maybe_committed=maybe_committed)
        if not self.interrupted:
            self.interrupted = True
            raise pymysql.OperationalError(2013, "Lost connection to server during query")


def test_a_commit_whose_answer_was_lost_is_not_committed_again(database: Login, redis_port: int) -> None:
    async def test() -> None:
        pool = Pool(database_settings(database), TABLES)
        ledger = _Interrupted(pool)
        await pool.prepare()
        async with redis.Redis(host=LOOPBACK, port=redis_port, decode_responses=True) as client:
            buffer = UsageBuffer(client, ledger, "boss-0", 0.05)
            sent = [Row(str(uuid.uuid4()), Decimal("1.00")) for _ in range(3)]
            for row in sent:
                await buffer.push(row)
            with pytest.raises(pymysql.OperationalError):
                await buffer.commit_once()
            assert await client.llen(PROCESSING) == 3
            await buffer.push(sent_later := Row(str(uuid.uuid4()), Decimal("2.00")))
            assert await buffer.flush(5.0)
            assert await client.keys("boss:*") == []
        await pool.close()
        assert rows(database, "usage_records") == [row.client_id for row in (*sent, sent_later)]

    run(test)


def test_a_restarted_container_takes_up_its_own_list(database: Login, redis_port: int) -> None:
    async def test() -> None:
        pool = Pool(database_settings(database), TABLES)
        ledger = Ledger(pool)
        await pool.prepare()
        committed, left = str(uuid.uuid4()), str(uuid.uuid4())
        await ledger.add_usage([Row(committed, Decimal("1.00"))], maybe_committed=False)
        async with redis.Redis(host=LOOPBACK, port=redis_port, decode_responses=True) as client:
            for client_id in (committed, left):
                await client.rpush(PROCESSING, json.dumps({"id": client_id, "amount": "1.00"}))
            assert await UsageBuffer(client, ledger, "boss-0", 0.05).flush(5.0)
        await pool.close()
        assert rows(database, "usage_records") == [committed, left]

    run(test)


def test_while_it_is_paused_nothing_is_taken_and_what_was_taken_is_committed(
    database: Login, redis_port: int
) -> None:
    async def test() -> None:
        pool = Pool(database_settings(database), TABLES)
        ledger = Ledger(pool)
        await pool.prepare()
        taken, waiting = str(uuid.uuid4()), str(uuid.uuid4())
        async with redis.Redis(host=LOOPBACK, port=redis_port, decode_responses=True) as client:
            buffer = UsageBuffer(client, ledger, "boss-0", 0.05)
            await client.rpush(PROCESSING, json.dumps({"id": taken, "amount": "1.00"}))
            await buffer.push(Row(waiting, Decimal("1.00")))
            await client.set(PAUSED, "1")
            assert [await buffer.commit_once(), await buffer.commit_once()] == [1, 0]
            assert (await client.llen(BUFFER), await client.llen(PROCESSING)) == (1, 0)
            assert rows(database, "usage_records") == [taken]
            await client.delete(PAUSED)
            assert await buffer.commit_once() == 1
        await pool.close()
        assert rows(database, "usage_records") == [taken, waiting]

    run(test)


def test_what_cannot_be_flushed_stays_in_redis_and_is_said(
    redis_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        pool = Pool(database_settings(Login(LOOPBACK, free_port(), "boss", "boss", "x")), TABLES)
        ledger = Ledger(pool)
        async with redis.Redis(host=LOOPBACK, port=redis_port, decode_responses=True) as client:
            buffer = UsageBuffer(client, ledger, "boss-0", 0.05)
            await buffer.push(Row(str(uuid.uuid4()), Decimal("1.00")))
            assert not await buffer.flush(1.0)
            assert (await client.llen(BUFFER), await client.llen(PROCESSING)) == (1, 0)
        await pool.close()

    run(test)
    assert "stay in Redis" in caplog.text


def test_a_connection_that_broke_is_replaced(database: Login, redis_port: int) -> None:
    async def test() -> None:
        variables = environment(database, redis_port) | {"DATABASE_CONNECTIONS": "1"}
        async with pod(variables) as boss:
            assert (await boss.get("/readyz"))[0] == 200
            with connect(database) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT id FROM information_schema.processlist WHERE id <> connection_id()")
                for (number,) in cursor.fetchall():
                    cursor.execute(f"KILL {number}")
            statuses = [await boss.post("/records", item()) for _ in range(3)]
        assert statuses[-1] == 201
        assert len(rows(database, "records")) == statuses.count(201)

    run(test)


def test_missing_and_wrong_variables_are_named_all_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment({"POD_NAME": "boss-0", "REDIS_HOST": "r", "DATABASE_PORT": "many"})
    text = str(raised.value)
    assert "DATABASE_PORT must be a number, not 'many'" in text
    for name in ("DATABASE_HOST", "DATABASE_NAME", "DATABASE_USER", "DATABASE_PASSWORD"):
        assert f"{name} is not set" in text


def test_a_password_is_never_part_of_an_error(
    redis_port: int, database: Login, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        wrong = replace(database, password="not-the-password")
        async with pod(environment(wrong, redis_port)) as boss:
            assert await boss.post("/records", item()) == 503

    run(test)
    assert "Access denied" in caplog.text
    assert "not-the-password" not in caplog.text


def database_settings(login: Login) -> DatabaseSettings:
    """BOSS's settings of the test's database."""
    return DatabaseSettings(login.host, login.port, login.name, login.user, login.password, None, 2)


def test_the_listening_socket_is_free_again_after_the_end(database: Login, redis_port: int) -> None:
    variables = environment(database, redis_port)

    async def test() -> None:
        async with pod(variables):
            pass

    run(test)
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind((LOOPBACK, int(variables["LISTEN_PORT"])))
