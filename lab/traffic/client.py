"""One user's HTTP client: its own memory of the address, its own connections."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass

import dns.name
import dns.rcode
import dns.rdatatype

from lab.dns import Forwarder, Question
from lab.traffic.http import ConnectionLostError, HttpConnection, HttpError, Response

IDLE_SECONDS = 30.0  # below the 60 s and more after which servers close an idle connection


class ResolveError(Exception):
    """The name could not be resolved."""


@dataclass(frozen=True)
class Target:
    """What every client talks to: https on `port` of `domain`, from the address `source` if given."""

    domain: str
    port: int
    tls: ssl.SSLContext
    source: str | None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one request.

    `response` or `error` is set. `sent`: the request was written to a connection, so the other side may
    have acted on it. `repeats`: how often the library sent it again by itself.
    """

    address: str | None
    response: Response | None
    error: str | None
    sent: bool
    repeats: int


class Resolver:
    """A client's memory of a name.

    Most honour the TTL: after it they ask again. A stale one asks once, and never again.
    """

    def __init__(self, dns_client: Forwarder, domain: str, *, stale: bool) -> None:
        self._dns = dns_client
        self._question = Question(dns.name.from_text(domain).canonicalize(), dns.rdatatype.A)
        self._stale = stale
        self._addresses: tuple[str, ...] = ()
        self._expires = 0.0
        self._asking: asyncio.Task[None] | None = None

    @property
    def known(self) -> tuple[str, ...]:
        """The addresses of the last answer."""
        return self._addresses

    async def addresses(self) -> tuple[str, ...]:
        """The addresses to connect to now. Raises ResolveError."""
        if not self._addresses or (not self._stale and time.monotonic() >= self._expires):
            if self._asking is None:
                self._asking = asyncio.create_task(self._ask())
                self._asking.add_done_callback(self._asked)
            await asyncio.shield(self._asking)
        return self._addresses

    def _asked(self, task: asyncio.Task[None]) -> None:
        self._asking = None
        if not task.cancelled():
            task.exception()  # those who wait have it; nobody may be waiting any more

    async def _ask(self) -> None:
        asked = time.monotonic()
        answer = await self._dns.lookup(self._question)
        found = [rrset for rrset in answer.records if rrset.rdtype == dns.rdatatype.A]
        if not found:
            raise ResolveError(f"{self._question.text}: {dns.rcode.to_text(answer.rcode)}, no address")
        self._addresses = tuple(rdata.to_text() for rrset in found for rdata in rrset)
        self._expires = asked + min(rrset.ttl for rrset in answer.records)


class Client:
    """One user. Behaves as common HTTP libraries do:

    - connections are kept and used again, newest first, unless idle for `IDLE_SECONDS`; after a name got
      other addresses, idle connections to the old ones are closed, and busy ones once they are idle;
    - a kept connection on which its end already waits to be read is not used: nothing was sent on it;
    - a GET on a kept connection that ends before any byte of an answer is sent once more, on a new one;
    - nothing else is ever sent again. A POST whose connection ends after it was sent has failed, and its
      outcome is unknown.
    """

    def __init__(self, number: int, target: Target, dns_client: Forwarder, *, stale: bool) -> None:
        self.number = number
        self.stale = stale
        self.domain = target.domain
        self._target = target
        self._resolver = Resolver(dns_client, target.domain, stale=stale)
        self._idle: list[HttpConnection] = []

    async def resolve(self) -> None:
        """Asks for the name before the first request. Raises ResolveError."""
        await self._resolver.addresses()

    async def perform(self, request: bytes, *, idempotent: bool, deadline: float) -> Result:
        """Sends a request and gives what came of it, at the latest at `deadline` (of the loop's clock)."""
        progress = _Progress()
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._perform(request, idempotent, progress)
        except TimeoutError:
            return progress.result(None, "timeout")
        except (ResolveError, ConnectionLostError, HttpError, OSError) as error:
            return progress.result(None, f"{type(error).__name__}: {error}")
        return progress.result(response, None)

    def close(self) -> None:
        """Closes the idle connections."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _perform(self, request: bytes, idempotent: bool, progress: _Progress) -> Response:
        connection, kept = await self._acquire(progress)
        while True:
            progress.address, progress.sent = connection.address, True
            try:
                response = await self._exchange(connection, request)
            except ConnectionLostError as error:
                if not (kept and idempotent) or error.answer_begun:
                    raise
                progress.repeats += 1
                addresses = await self._resolver.addresses()
                connection, kept = await self._connect(addresses, progress), False
                continue
            self._release(connection)
            return response

    @staticmethod
    async def _exchange(connection: HttpConnection, request: bytes) -> Response:
        try:
            return await connection.exchange(request)
        except BaseException:
            connection.abort()  # a late answer must not be taken for that of the next request
            raise

    async def _acquire(self, progress: _Progress) -> tuple[HttpConnection, bool]:
        """A connection to an address of this moment, and whether it is a kept one. Raises OSError."""
        addresses = await self._resolver.addresses()
        fresh = time.monotonic() - IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if connection.address in addresses and connection.idle_since > fresh and connection.reusable:
                return connection, True
            connection.close()
        return await self._connect(addresses, progress), False

    async def _connect(self, addresses: Sequence[str], progress: _Progress) -> HttpConnection:
        target = self._target
        for address in addresses:
            progress.address = address
            try:
                return await HttpConnection.open(
                    address, target.port, target.domain, target.tls, target.source
                )
            except OSError:
                if address == addresses[-1]:
                    raise
        raise ResolveError("no address to connect to")

    def _release(self, connection: HttpConnection) -> None:
        if connection.address in self._resolver.known and connection.reusable:
            self._idle.append(connection)
        else:
            connection.close()


@dataclass(slots=True)
class _Progress:
    address: str | None = None
    sent: bool = False
    repeats: int = 0

    def result(self, response: Response | None, error: str | None) -> Result:
        return Result(self.address, response, error, self.sent, self.repeats)
