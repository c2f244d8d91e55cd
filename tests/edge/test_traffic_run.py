"""A whole run of the generator against BOSS behind TLS, through a flip of its name."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from lab.traffic import log
from lab.traffic.client import ResolveError
from lab.traffic.generate import Generator, Load
from tests.edge.fake_service import Call, serving
from tests.edge.support import (
    DOMAIN,
    LOOPBACK,
    certificates,
    cloudflare_server,
    dns_server,
    eventually,
    run,
    zones,
)
from tests.edge.test_traffic_client import Name

OTHER = "127.0.0.2"


class Memory:
    """A service that remembers what it was given, and the bodies it acknowledged."""

    def __init__(self) -> None:
        self.amounts: dict[str, str] = {}

    async def serve(self, call: Call) -> None:
        if call.method == "POST":
            body = json.loads(call.body)
            self.amounts[body["id"]] = body["amount"]
            await call.answer(201 if call.path == "/records" else 202)
            return
        amount = self.amounts.get(call.path.rpartition("/")[2])
        await call.answer(200 if amount else 404, json.dumps({"amount": amount}).encode())


def load(ca: Path, port: int, dns_port: int, **changes: object) -> Load:
    """A small load on loopback."""
    settings: dict[str, object] = {
        "rate": 100.0,
        "seconds": 3.0,
        "stop_file": None,
        "domain": DOMAIN,
        "port": port,
        "resolver": LOOPBACK,
        "resolver_port": dns_port,
        "ca": ca,
        "source": None,
        "clients": 6,
        "stale_clients": 2,
        "seed": 3,
    }
    return Load(**{**settings, **changes})  # type: ignore[arg-type]


def test_a_flip_under_load_is_followed_by_most_and_fails_nobody(tmp_path: Path) -> None:
    out, live = tmp_path / "requests.jsonl", tmp_path / "live.json"
    memory = Memory()

    async def test() -> None:
        ca, context = certificates(tmp_path)
        async with AsyncExitStack() as stack:
            old = await stack.enter_async_context(serving(context, memory.serve))
            await stack.enter_async_context(serving(context, memory.serve, OTHER, old.port))
            server = await stack.enter_async_context(cloudflare_server(zones(), ttl_divisor=300))
            zone = server.directory.zone_named("truewatch.com")
            assert zone is not None
            record = next(iter(zone.records))
            server.directory.patch(zone, record, {"content": LOOPBACK})
            generator = Generator(load(ca, old.port, server.dns.port), out, live)
            running = asyncio.create_task(generator.run())
            await eventually(lambda: len(old.calls) > 50)
            server.directory.patch(zone, record, {"content": OTHER})
            totals = await running
            assert totals["failed"] == 0

    run(test)
    requests = log.read(out).requests
    assert len(requests) > 200
    assert {request.outcome for request in requests} == {"ok"}
    last = [request for request in requests if request.at > 2.5]
    assert {request.address for request in last if request.stale} == {LOOPBACK}
    assert {request.address for request in last if not request.stale} == {OTHER}
    assert {request.client for request in requests if request.stale} == {0, 1}
    assert all(memory.amounts[request.id] == request.amount for request in requests)
    figures = json.loads(live.read_text())
    assert (figures["requests"], figures["failed"], figures["in_flight"]) == (len(requests), 0, 0)


def test_requests_are_sent_when_they_are_due_whatever_becomes_of_others(tmp_path: Path) -> None:
    out = tmp_path / "requests.jsonl"
    release, memory = asyncio.Event(), Memory()
    waiting = 0

    async def hold(call: Call) -> None:
        nonlocal waiting
        waiting += 1
        await release.wait()
        await memory.serve(call)

    async def test() -> None:
        ca, context = certificates(tmp_path)
        async with serving(context, hold) as service, dns_server(Name().lookup) as dns_port:
            generator = Generator(load(ca, service.port, dns_port, seconds=1.0), out, tmp_path / "live.json")
            running = asyncio.create_task(generator.run())
            await eventually(lambda: waiting > 60)
            release.set()
            await running

    run(test)
    requests = log.read(out).requests
    assert max(request.ms for request in requests) > 300.0  # counted from when it was due
    assert {request.outcome for request in requests} == {"ok"}


def test_a_stop_file_ends_the_run_and_what_is_in_flight_is_awaited(tmp_path: Path) -> None:
    out, stop = tmp_path / "requests.jsonl", tmp_path / "stop"
    memory = Memory()

    async def test() -> None:
        ca, context = certificates(tmp_path)
        async with serving(context, memory.serve) as service, dns_server(Name().lookup) as dns_port:
            settings = load(ca, service.port, dns_port, seconds=None, stop_file=stop)
            running = asyncio.create_task(Generator(settings, out, tmp_path / "live.json").run())
            await eventually(lambda: len(service.calls) > 20)
            stop.touch()
            totals = await running
            assert totals["requests"] == len(service.calls)

    run(test)
    assert len(log.read(out).requests) > 20


def test_a_lost_write_of_the_service_is_seen_by_readers(tmp_path: Path) -> None:
    out = tmp_path / "requests.jsonl"
    memory = Memory()

    async def forgetful(call: Call) -> None:
        await memory.serve(call)
        memory.amounts.clear()

    async def test() -> None:
        ca, context = certificates(tmp_path)
        async with serving(context, forgetful) as service, dns_server(Name().lookup) as dns_port:
            settings = load(ca, service.port, dns_port, seconds=1.0)
            totals = await Generator(settings, out, tmp_path / "live.json").run()
            assert totals["reads_failed"] == totals["failed"] > 0

    run(test)


def test_a_name_that_does_not_resolve_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    async def test() -> None:
        ca, _ = certificates(tmp_path)
        name = Name()
        name.address = None
        async with dns_server(name.lookup) as dns_port:
            with pytest.raises(ResolveError, match="NXDOMAIN"):
                await Generator(load(ca, 1, dns_port), tmp_path / "o", tmp_path / "l").run()

    run(test)
