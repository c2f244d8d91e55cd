"""A user's HTTP client: what it sends again and what it does not, and how long it trusts an address."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import dns.rcode
import dns.rrset
import pytest

from lab.dns import Answer, Forwarder, Question
from lab.traffic.client import Client, Result, Target
from tests.edge.fake_service import Behaviour, Call, Service, serving
from tests.edge.support import DOMAIN, LOOPBACK, certificates, dns_server, eventually, run

OTHER = "127.0.0.2"
GET = f"GET /records/1 HTTP/1.1\r\nHost: {DOMAIN}\r\n\r\n".encode()
POST = f"POST /records HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Length: 2\r\n\r\n{{}}".encode()


class Name:
    """A name whose address and TTL a test changes; counts the questions."""

    def __init__(self, address: str = LOOPBACK, ttl: int = 3600) -> None:
        self.address: str | None = address
        self.ttl = ttl
        self.asked = 0

    async def lookup(self, question: Question) -> Answer:
        self.asked += 1
        if self.address is None:
            return Answer(rcode=dns.rcode.NXDOMAIN)
        return Answer((dns.rrset.from_text(question.name, self.ttl, "IN", "A", self.address),))


@asynccontextmanager
async def user(ca: Path, port: int, name: Name, *, stale: bool = False) -> AsyncIterator[Client]:
    """A client of the service on `port`."""
    async with dns_server(name.lookup) as dns_port:
        forwarder = Forwarder(LOOPBACK, dns_port)
        await forwarder.start()
        target = Target(DOMAIN, port, ssl.create_default_context(cafile=str(ca)), None)
        client = Client(0, target, forwarder, stale=stale)
        try:
            yield client
        finally:
            client.close()
            await asyncio.sleep(0.01)
            await forwarder.stop()


async def send(client: Client, request: bytes, seconds: float = 20.0) -> Result:
    deadline = asyncio.get_running_loop().time() + seconds
    return await client.perform(request, idempotent=request == GET, deadline=deadline)


async def good(call: Call) -> None:
    await call.answer()


def against(
    folder: Path, behaviour: Behaviour, requests: list[bytes], seconds: float = 20.0
) -> tuple[list[Result], Service]:
    """The results of requests sent one after another to a service of that behaviour."""

    async def test() -> tuple[list[Result], Service]:
        ca, context = certificates(folder)
        async with serving(context, behaviour) as service, user(ca, service.port, Name()) as client:
            return [await send(client, request, seconds) for request in requests], service

    return run(test)


def test_a_connection_is_kept_and_used_again(tmp_path: Path) -> None:
    results, service = against(tmp_path, good, [GET, POST, GET])
    assert [result.response.status for result in results if result.response] == [200, 200, 200]
    assert service.connections == 1


async def lost_on_reuse(call: Call) -> None:
    if call.number == 0:
        await call.answer()
    else:
        call.drop()


def test_a_get_on_a_kept_connection_that_ends_without_an_answer_is_sent_once_more(tmp_path: Path) -> None:
    results, service = against(tmp_path, lost_on_reuse, [GET, GET])
    assert results[1].response is not None
    assert results[1].repeats == 1
    assert service.connections == 2


def test_a_post_is_never_sent_again_and_is_known_to_have_been_sent(tmp_path: Path) -> None:
    results, service = against(tmp_path, lost_on_reuse, [GET, POST])
    assert results[1].response is None
    assert results[1].sent
    assert results[1].repeats == 0
    assert [method for _, _, method, _ in service.calls] == ["GET", "POST"]


def test_a_get_that_fails_on_a_new_connection_is_not_sent_again(tmp_path: Path) -> None:
    async def drop(call: Call) -> None:
        call.drop()

    results, service = against(tmp_path, drop, [GET])
    assert results[0].response is None
    assert len(service.calls) == 1


def test_an_answer_that_breaks_off_is_not_asked_for_again(tmp_path: Path) -> None:
    async def break_off(call: Call) -> None:
        if call.number == 0:
            await call.answer()
        else:
            await call.send(b"HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\nhalf")
            call.drop()

    results, service = against(tmp_path, break_off, [GET, GET])
    assert results[1].response is None
    assert results[1].error is not None
    assert "within the answer" in results[1].error
    assert len(service.calls) == 2


def test_a_connection_whose_end_waits_to_be_read_is_not_used(tmp_path: Path) -> None:
    async def close_after(call: Call) -> None:
        await call.answer()
        call.writer.close()

    async def test() -> None:
        ca, context = certificates(tmp_path)
        async with serving(context, close_after) as service, user(ca, service.port, Name()) as client:
            for _ in range(5):
                assert (await send(client, POST)).response is not None
                await eventually(lambda: service.open == 0)
            assert service.connections == 5

    run(test)


def test_an_answer_that_says_close_is_the_last_on_its_connection(tmp_path: Path) -> None:
    async def last(call: Call) -> None:
        await call.answer(200, b"{}", "Connection: close")

    results, service = against(tmp_path, last, [POST, POST])
    assert all(result.response for result in results)
    assert service.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\nabcde",
    ],
)
def test_bodies_are_read_whole_however_they_are_cut(tmp_path: Path, answer: bytes) -> None:
    async def in_pieces(call: Call) -> None:
        for at in range(len(answer)):
            await call.send(answer[at : at + 1])
            await asyncio.sleep(0)

    results, service = against(tmp_path, in_pieces, [GET, GET])
    assert [result.response.body for result in results if result.response] == [b"abcde"] * 2
    assert service.connections == 1


def test_a_body_may_end_with_the_connection(tmp_path: Path) -> None:
    async def until_close(call: Call) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\n\r\nabcde")
        call.writer.close()

    results, _ = against(tmp_path, until_close, [GET])
    assert results[0].response is not None
    assert results[0].response.body == b"abcde"


@pytest.mark.parametrize(
    "answer", [b"SMTP ready\r\n\r\n", b"HTTP/1.1 2x0 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000]
)
def test_what_is_not_http_is_an_error(tmp_path: Path, answer: bytes) -> None:
    async def speak(call: Call) -> None:
        await call.send(answer)

    results, _ = against(tmp_path, speak, [GET])
    assert results[0].error is not None
    assert results[0].error.startswith("HttpError")


def test_a_late_answer_is_a_timeout_and_is_not_taken_for_the_next(tmp_path: Path) -> None:
    async def late(call: Call) -> None:
        if call.method == "POST":
            await asyncio.sleep(0.3)
        await call.answer(201 if call.method == "POST" else 200)

    async def test() -> None:
        ca, context = certificates(tmp_path)
        async with serving(context, late) as service, user(ca, service.port, Name()) as client:
            result = await send(client, POST, 0.15)
            assert (result.error, result.sent) == ("timeout", True)
            following = await send(client, GET)
            assert following.response is not None
            assert following.response.status == 200

    run(test)


def test_a_refused_connection_and_a_strange_certificate_are_errors_with_nothing_sent(tmp_path: Path) -> None:
    async def test() -> None:
        ca, context = certificates(tmp_path)
        async with serving(context, good) as service:
            port = service.port
        async with user(ca, port, Name()) as client:
            refused = await send(client, POST)
        assert (refused.response, refused.sent, refused.address) == (None, False, LOOPBACK)

        (tmp_path / "other").mkdir()
        _, strange = certificates(tmp_path / "other")
        async with serving(strange, good) as service, user(ca, service.port, Name()) as client:
            distrusted = await send(client, POST)
        assert not distrusted.sent
        assert distrusted.error is not None
        assert "CERTIFICATE_VERIFY_FAILED" in distrusted.error

    run(test)


def test_a_name_that_cannot_be_resolved_is_an_error_with_nothing_sent(tmp_path: Path) -> None:
    async def test() -> None:
        ca, context = certificates(tmp_path)
        name = Name()
        name.address = None
        async with serving(context, good) as service, user(ca, service.port, name) as client:
            result = await send(client, GET)
            assert result.error is not None
            assert "NXDOMAIN" in result.error
            assert not result.sent
            name.address = LOOPBACK
            assert (await send(client, GET)).response is not None

    run(test)


@pytest.mark.parametrize("stale", [False, True])
def test_most_follow_the_name_after_its_ttl_and_a_stale_client_never_does(
    tmp_path: Path, stale: bool
) -> None:
    async def test() -> None:
        ca, context = certificates(tmp_path)
        name = Name(ttl=1)
        async with AsyncExitStack() as stack:
            old = await stack.enter_async_context(serving(context, good))
            new = await stack.enter_async_context(serving(context, good, OTHER, old.port))
            client = await stack.enter_async_context(user(ca, old.port, name, stale=stale))
            assert (await send(client, GET)).address == LOOPBACK
            name.address = OTHER
            assert (await send(client, GET)).address == LOOPBACK  # the TTL is not over
            assert old.open == 1
            await asyncio.sleep(1.05)
            assert (await send(client, GET)).address == (LOOPBACK if stale else OTHER)
            if stale:
                assert (old.open, new.connections, name.asked) == (1, 0, 1)
            else:
                await eventually(lambda: old.open == 0)

    run(test)


def test_a_busy_connection_to_an_old_address_is_finished_and_then_closed(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def slow(call: Call) -> None:
        await release.wait()
        await call.answer()

    async def test() -> None:
        ca, context = certificates(tmp_path)
        name = Name(ttl=0)
        async with AsyncExitStack() as stack:
            old = await stack.enter_async_context(serving(context, slow))
            await stack.enter_async_context(serving(context, good, OTHER, old.port))
            client = await stack.enter_async_context(user(ca, old.port, name))
            busy = asyncio.create_task(send(client, GET))
            await eventually(lambda: len(old.calls) == 1)
            name.address = OTHER
            assert (await send(client, GET)).address == OTHER
            release.set()
            finished = await busy
            assert (finished.address, finished.response is not None) == (LOOPBACK, True)
            await eventually(lambda: old.open == 0)

    run(test)


def test_requests_at_once_ask_for_the_name_once(tmp_path: Path) -> None:
    async def test() -> None:
        ca, context = certificates(tmp_path)
        name = Name()
        async with serving(context, good) as service, user(ca, service.port, name) as client:
            results = await asyncio.gather(*(send(client, GET) for _ in range(10)))
            assert all(result.response for result in results)
            assert name.asked == 1

    run(test)
