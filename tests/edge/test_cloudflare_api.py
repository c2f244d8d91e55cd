"""The lab's Cloudflare as the official client sees it, and its errors on the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import aiohttp
import cloudflare
import pytest
from cloudflare import AsyncCloudflare

from lab.cloudflare.__main__ import Server
from lab.cloudflare.errors import ApiError
from lab.cloudflare.limits import RateLimit
from tests.edge.support import DOMAIN, LOOPBACK, TOKEN, addresses, ask, cloudflare_server, run, zones

Test = Callable[[AsyncCloudflare, Server, str], Awaitable[None]]


def with_client(test: Test, *records: dict[str, object], token: str = TOKEN) -> None:
    """Runs a test against a server, with the official client and the id of the zone."""

    async def prepared() -> None:
        async with cloudflare_server(zones(*records)) as server:
            base = f"http://{LOOPBACK}:{server.api_port}/client/v4"
            async with AsyncCloudflare(api_token=token, base_url=base, max_retries=0) as client:
                await test(client, server, next(iter(server.directory.zones)))

    run(prepared)


async def boss_record(client: AsyncCloudflare, zone: str) -> str:
    """The id of the BOSS record."""
    async for record in client.dns.records.list(zone_id=zone, name={"exact": DOMAIN}):
        return record.id
    raise AssertionError("there is no BOSS record")


def code_of(error: cloudflare.APIStatusError) -> int:
    """Cloudflare's own code of an error."""
    body = error.body
    assert isinstance(body, dict)
    assert body["success"] is False
    assert body["result"] is None
    return int(body["errors"][0]["code"])


def test_a_token_is_verified_and_zones_are_found_by_name() -> None:
    async def test(client: AsyncCloudflare, _: Server, zone: str) -> None:
        verified = await client.user.tokens.verify()
        assert verified is not None
        assert verified.status == "active"
        assert [found.id async for found in client.zones.list(name="truewatch.com")] == [zone]
        assert [found.id async for found in client.zones.list(name="other.com")] == []
        got = await client.zones.get(zone_id=zone)
        assert got is not None
        assert (got.name, got.status) == ("truewatch.com", "active")

    with_client(test)


def test_a_record_is_created_read_edited_replaced_and_deleted() -> None:
    async def test(client: AsyncCloudflare, server: Server, zone: str) -> None:
        records = client.dns.records
        made = await records.create(
            zone_id=zone, name="new", type="A", content="203.0.113.5", ttl=120, comment="hi"
        )
        assert made is not None
        assert (made.name, made.ttl, made.proxied) == ("new.truewatch.com", 120, False)
        edited = await records.edit(
            made.id, zone_id=zone, name="new", type="A", ttl=60, content="203.0.113.6"
        )
        assert edited is not None
        assert (edited.content, edited.ttl, edited.comment) == ("203.0.113.6", 60, "hi")
        assert edited.modified_on > made.modified_on
        assert edited.created_on == made.created_on
        assert addresses(await ask(server.dns.port, "new.truewatch.com")) == ["203.0.113.6"]
        put = await records.update(made.id, zone_id=zone, name="new", type="A", content="203.0.113.7", ttl=1)
        assert put is not None
        assert (put.id, put.ttl, put.comment, put.created_on) == (made.id, 1, None, made.created_on)
        deleted = await records.delete(made.id, zone_id=zone)
        assert deleted is not None
        assert deleted.id == made.id
        with pytest.raises(cloudflare.NotFoundError) as gone:
            await records.get(made.id, zone_id=zone)
        assert code_of(gone.value) == 81044

    with_client(test)


def test_an_edit_that_changes_nothing_leaves_the_time_of_the_last_change() -> None:
    async def test(client: AsyncCloudflare, _: Server, zone: str) -> None:
        record = await boss_record(client, zone)
        before = await client.dns.records.get(record, zone_id=zone)
        after = await client.dns.records.edit(
            record, zone_id=zone, name=DOMAIN, type="A", content="203.0.113.10", ttl=300
        )
        assert before is not None
        assert after is not None
        assert after.modified_on == before.modified_on

    with_client(test)


def test_lists_are_filtered_and_come_in_pages() -> None:
    many: list[dict[str, object]] = [
        {"name": f"n{number}", "type": "TXT", "content": f"text {number}"} for number in range(25)
    ]

    async def test(client: AsyncCloudflare, _: Server, zone: str) -> None:
        records = client.dns.records
        paged = [record.name async for record in records.list(zone_id=zone, type="TXT", per_page=10)]
        assert len(paged) == len(set(paged)) == 25
        by_content = [r.name async for r in records.list(zone_id=zone, content={"exact": "text 7"})]
        assert by_content == ["n7.truewatch.com"]
        start = [r.name async for r in records.list(zone_id=zone, name={"startswith": "n2"}, order="name")]
        assert start == [f"n{n}.truewatch.com" for n in (2, 20, 21, 22, 23, 24)]
        either = [
            r.name
            async for r in records.list(zone_id=zone, type="A", content={"exact": "text 3"}, match="any")
        ]
        assert sorted(either) == [DOMAIN, "n3.truewatch.com"]
        assert [r.name async for r in records.list(zone_id=zone, name={"exact": "no.truewatch.com"})] == []

    with_client(test, *many)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"type": "A", "content": "203.0.113.10"}, 81058),
        ({"type": "CNAME", "content": "a.example"}, 81053),
        ({"type": "A", "content": "300.0.0.1"}, 9005),
        ({"type": "AAAA", "content": "203.0.113.1"}, 9005),
        ({"type": "CNAME", "content": "203.0.113.1"}, 9005),
        ({"type": "A", "content": "203.0.113.1", "ttl": 59}, 1004),
        ({"type": "A", "content": "203.0.113.1", "ttl": 86401}, 1004),
        ({"type": "TXT", "content": "x", "proxied": True}, 9004),
        ({"type": "MX", "content": "mail.example"}, 9101),
        ({"type": "A"}, 9005),
        ({"type": "A", "content": "203.0.113.1", "colour": "red"}, 9207),
    ],
)
def test_what_cloudflare_refuses_is_refused_with_its_code(body: dict[str, object], code: int) -> None:
    async def test(client: AsyncCloudflare, server: Server, zone: str) -> None:
        before = server.directory.snapshot()
        with pytest.raises(cloudflare.BadRequestError) as refused:
            await client.post(f"/zones/{zone}/dns_records", body={"name": "bill", **body}, cast_to=object)
        assert code_of(refused.value) == code
        assert server.directory.snapshot() == before

    with_client(test)


def test_a_proxied_record_has_an_automatic_ttl_and_an_address_beside_an_alias_is_refused() -> None:
    async def test(client: AsyncCloudflare, _: Server, zone: str) -> None:
        records = client.dns.records
        made = await records.create(
            zone_id=zone, name="p", type="A", content="203.0.113.5", ttl=600, proxied=True
        )
        assert made is not None
        assert (made.ttl, made.proxied) == (1, True)
        with pytest.raises(cloudflare.BadRequestError) as refused:
            await records.create(zone_id=zone, name="alias", type="A", content="203.0.113.5", ttl=60)
        assert code_of(refused.value) == 81054

    with_client(test, {"name": "alias", "type": "CNAME", "content": "a.example"})


def test_a_type_cannot_be_changed() -> None:
    async def test(client: AsyncCloudflare, _: Server, zone: str) -> None:
        record = await boss_record(client, zone)
        with pytest.raises(cloudflare.BadRequestError) as refused:
            await client.dns.records.edit(
                record, zone_id=zone, name=DOMAIN, type="CNAME", content="lb.example", ttl=60
            )
        assert code_of(refused.value) == 1004

    with_client(test)


def test_a_batch_is_done_whole_or_not_at_all() -> None:
    async def test(client: AsyncCloudflare, server: Server, zone: str) -> None:
        record = await boss_record(client, zone)
        before = server.directory.snapshot()
        with pytest.raises(cloudflare.BadRequestError):
            await client.dns.records.batch(
                zone_id=zone,
                deletes=[{"id": record}],
                posts=[{"name": "x", "type": "A", "content": "nonsense", "ttl": 60}],
            )
        assert server.directory.snapshot() == before
        done = await client.dns.records.batch(
            zone_id=zone,
            deletes=[{"id": record}],
            posts=[{"name": DOMAIN, "type": "A", "content": "203.0.113.64", "ttl": 60}],
        )
        assert done is not None
        assert [len(part or []) for part in (done.deletes, done.posts)] == [1, 1]
        assert addresses(await ask(server.dns.port, DOMAIN)) == ["203.0.113.64"]

    with_client(test)


@pytest.mark.parametrize(
    ("headers", "path", "status", "code"),
    [
        ({}, "/zones", 400, 9106),
        ({"Authorization": "Basic abc"}, "/zones", 400, 6003),
        ({"X-Auth-Key": "k", "X-Auth-Email": "e@example"}, "/zones", 403, 9103),
        ({"Authorization": "Bearer wrong"}, "/zones", 403, 10000),
        ({"Authorization": "Bearer wrong"}, "/user/tokens/verify", 401, 1000),
        ({"Authorization": f"Bearer {TOKEN}"}, "/zones/nonsense", 404, 7003),
        ({"Authorization": f"Bearer {TOKEN}"}, f"/zones/{'0' * 32}/dns_records", 404, 7003),
        ({"Authorization": f"Bearer {TOKEN}"}, "/accounts", 404, 7003),
    ],
)
def test_refusals_on_the_wire(headers: dict[str, str], path: str, status: int, code: int) -> None:
    async def test() -> None:
        async with cloudflare_server(zones()) as server, aiohttp.ClientSession() as session:
            url = f"http://{LOOPBACK}:{server.api_port}/client/v4{path}"
            async with session.get(url, headers=headers) as response:
                body = await response.json()
                assert (response.status, body["errors"][0]["code"]) == (status, code)
                assert TOKEN not in json.dumps(body)

    run(test)


def test_a_body_that_is_not_json_is_refused() -> None:
    async def test() -> None:
        async with cloudflare_server(zones()) as server, aiohttp.ClientSession() as session:
            zone = next(iter(server.directory.zones))
            url = f"http://{LOOPBACK}:{server.api_port}/client/v4/zones/{zone}/dns_records"
            for data, code in ((b"{", 6007), (b"[]", 9207)):
                async with session.post(
                    url, data=data, headers={"Authorization": f"Bearer {TOKEN}"}
                ) as response:
                    assert response.status == 400
                    assert (await response.json())["errors"][0]["code"] == code

    run(test)


def test_the_limit_blocks_for_its_window_after_one_call_too_many() -> None:
    now = 0.0
    limit = RateLimit(calls=3, window=300.0, clock=lambda: now)
    assert [limit.count().remaining for _ in range(3)] == [2, 1, 0]
    with pytest.raises(ApiError) as refused:
        limit.count()
    assert (refused.value.status, refused.value.code, refused.value.retry_after) == (429, 971, 300)
    now = 299.5
    with pytest.raises(ApiError) as still:
        limit.count()
    assert still.value.retry_after == 1
    now = 300.0
    assert limit.count().remaining == 2


def test_calls_spread_over_the_window_are_not_limited() -> None:
    now = 0.0
    limit = RateLimit(calls=3, window=300.0, clock=lambda: now)
    for _ in range(20):
        limit.count()
        now += 101.0


def test_the_client_waits_as_long_as_it_is_told_when_it_is_limited() -> None:
    async def test() -> None:
        async with cloudflare_server(zones()) as server, aiohttp.ClientSession() as session:
            control = f"http://{LOOPBACK}:{server.control_port}"
            fault = {"kind": "rate_limit", "seconds": 1, "remaining": 1}
            async with session.put(f"{control}/faults", json=[fault]) as response:
                assert response.status == 200
            base = f"http://{LOOPBACK}:{server.api_port}/client/v4"
            loop = asyncio.get_running_loop()
            begun = loop.time()
            async with AsyncCloudflare(api_token=TOKEN, base_url=base, max_retries=1) as client:
                assert [zone.name async for zone in client.zones.list()] == ["truewatch.com"]
            assert loop.time() - begun >= 1.0
            async with session.get(f"{control}/snapshot") as response:
                assert (await response.json())["faults_injected"] == {"rate_limit": 1}

    run(test)


def test_a_lost_answer_was_carried_out_and_an_error_was_not() -> None:
    async def test() -> None:
        async with cloudflare_server(zones()) as server, aiohttp.ClientSession() as session:
            control = f"http://{LOOPBACK}:{server.control_port}"
            base = f"http://{LOOPBACK}:{server.api_port}/client/v4"
            zone = next(iter(server.directory.zones))
            async with AsyncCloudflare(api_token=TOKEN, base_url=base, max_retries=0) as client:
                record = await boss_record(client, zone)
                for kind, raised, content in (
                    ("error", cloudflare.InternalServerError, "203.0.113.10"),
                    ("lost_answer", cloudflare.APIConnectionError, "203.0.113.64"),
                ):
                    fault = {"kind": kind, "methods": ["PATCH"], "remaining": 1}
                    async with session.put(f"{control}/faults", json=[fault]) as response:
                        assert response.status == 200
                    with pytest.raises(raised):
                        await client.dns.records.edit(
                            record, zone_id=zone, name=DOMAIN, type="A", content="203.0.113.64", ttl=60
                        )
                    assert addresses(await ask(server.dns.port, DOMAIN)) == [content]

    run(test)


def test_a_delay_delays_and_then_answers() -> None:
    async def test() -> None:
        async with cloudflare_server(zones()) as server, aiohttp.ClientSession() as session:
            control = f"http://{LOOPBACK}:{server.control_port}"
            async with session.put(f"{control}/faults", json=[{"kind": "delay", "seconds": 0.3}]) as response:
                assert response.status == 200
            loop = asyncio.get_running_loop()
            begun = loop.time()
            url = f"http://{LOOPBACK}:{server.api_port}/client/v4/zones"
            async with session.get(url, headers={"Authorization": f"Bearer {TOKEN}"}) as response:
                assert response.status == 200
            assert loop.time() - begun >= 0.3

    run(test)


def test_somebody_else_changes_a_record_and_new_names_appear_by_the_control_interface() -> None:
    async def test() -> None:
        async with cloudflare_server(zones()) as server, aiohttp.ClientSession() as session:
            control = f"http://{LOOPBACK}:{server.control_port}"
            change = {"content": "203.0.113.99"}
            async with session.patch(f"{control}/records/{DOMAIN}/A", json=change) as response:
                assert response.status == 200
            names = [{"name": "prod.rds.example", "content": "203.0.113.2"}]
            async with session.post(f"{control}/names", json=names) as response:
                assert response.status == 200
            assert addresses(await ask(server.dns.port, DOMAIN)) == ["203.0.113.99"]
            assert addresses(await ask(server.dns.port, "prod.rds.example")) == ["203.0.113.2"]
            for method, path, body, status in (
                ("PATCH", "/records/no.truewatch.com/A", change, 404),
                ("PATCH", f"/records/{DOMAIN}/A", {"content": "nowhere"}, 400),
                ("PUT", "/faults", [{"kind": "meteor"}], 400),
                ("POST", "/names", [{"name": "x", "content": "nowhere"}], 400),
            ):
                async with session.request(method, control + path, json=body) as response:
                    assert response.status == status

    run(test)
