"""What the tests of the edge share: servers on loopback with free ports, and certificates."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import dns.asyncquery
import dns.message
import dns.rdatatype

from lab.cloudflare.__main__ import Addresses, Server
from lab.cloudflare.directory import ZonesFile
from lab.dns import DnsServer, Lookup
from lab.kubernetes.certificates import Authority

LOOPBACK = "127.0.0.1"
TOKEN = "a-token-of-the-tests"
DOMAIN = "bill.truewatch.com"
WAIT_SECONDS = 20.0

Result = TypeVar("Result")


def run(test: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Runs an asynchronous test; one that hangs fails."""

    async def bounded() -> Result:
        async with asyncio.timeout(WAIT_SECONDS * 3):
            return await test()

    return asyncio.run(bounded())


async def eventually(condition: Callable[[], bool]) -> None:
    """Waits until the condition holds; fails where it does not in a generous time."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def dns_server(lookup: Lookup) -> AsyncIterator[int]:
    """A DNS server with that lookup; gives its port."""
    server = DnsServer(lookup, LOOPBACK, 0)
    await server.start()
    try:
        yield server.port
    finally:
        await server.stop()


async def ask(port: int, name: str, rdtype: str = "A", *, tcp: bool = False) -> dns.message.Message:
    """The answer of a DNS server on loopback."""
    query = dns.message.make_query(name, rdtype)
    exchange = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    return await exchange(query, LOOPBACK, port=port, timeout=WAIT_SECONDS)


def addresses(message: dns.message.Message) -> list[str]:
    """The addresses in an answer."""
    return [data.to_text() for rrset in message.answer if rrset.rdtype == dns.rdatatype.A for data in rrset]


def zones(*records: dict[str, object], names: tuple[dict[str, object], ...] = ()) -> ZonesFile:
    """A zones file with the zone truewatch.com, which holds the BOSS record and those given."""
    boss = {"name": DOMAIN, "type": "A", "content": "203.0.113.10", "ttl": 300}
    zone = {"name": "truewatch.com", "records": [boss, *records]}
    return ZonesFile.model_validate({"zones": [zone], "names": names})


@asynccontextmanager
async def cloudflare_server(held: ZonesFile, *, ttl_divisor: int = 1) -> AsyncIterator[Server]:
    """The lab's Cloudflare on free ports."""
    addresses = Addresses(LOOPBACK, 0, LOOPBACK, 0, 0)
    server = Server(held, TOKEN, addresses, ttl_divisor=ttl_divisor)
    try:
        await server.start()
        yield server
    finally:
        await server.stop()


def certificates(folder: Path, *names: str) -> tuple[Path, ssl.SSLContext]:
    """The CA's file, and a server's context with a certificate for these names, by default BOSS's."""
    names = names or (DOMAIN,)
    authority = Authority("tests")
    ca = folder / "ca.pem"
    ca.write_bytes(authority.certificate)
    certificate, key = authority.server(names[0], list(names)).write(folder, "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return ca, context
