"""Passing a question on to another DNS server."""

from __future__ import annotations

import asyncio
import logging
import random
import struct

import dns.exception
import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset

from lab.dns.server import Answer, Question, server_failure

log = logging.getLogger(__name__)


class Forwarder:
    """Asks one upstream over a single UDP socket that every question shares, over TCP if truncated.

    `timeout` is in seconds and per attempt; there are two attempts, as a stub resolver makes. Where
    neither is answered the answer is SERVFAIL. Nothing is cached, so every TTL is the upstream's own.
    """

    def __init__(self, upstream: str, port: int = 53, *, timeout: float = 2.0, attempts: int = 2) -> None:
        self._upstream = upstream
        self._port = port
        self._timeout = timeout
        self._attempts = attempts
        self._waiting: dict[int, asyncio.Future[dns.message.Message]] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._random = random.SystemRandom()

    async def start(self) -> None:
        """Opens the socket. Raises OSError where the upstream cannot be routed to."""
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Replies(self._waiting), remote_addr=(self._upstream, self._port)
        )

    async def stop(self) -> None:
        """Closes the socket and gives up the questions that wait for an answer."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        for waiting in self._waiting.values():
            waiting.cancel()
        await asyncio.sleep(0)

    async def lookup(self, question: Question) -> Answer:
        """The upstream's answer, as a `Lookup`."""
        try:
            response = await self._ask(question)
        except (TimeoutError, OSError, dns.exception.DNSException) as error:
            log.warning(
                "%s:%s gave no answer to %s %s: %s",
                self._upstream,
                self._port,
                question.text,
                dns.rdatatype.to_text(question.rdtype),
                error or type(error).__name__,
            )
            return server_failure()
        return Answer(
            records=tuple(response.answer),
            authority=tuple(response.authority),
            rcode=response.rcode(),
            recursion=True,
        )

    async def _ask(self, question: Question) -> dns.message.Message:
        for attempt in range(self._attempts):
            try:
                response = await self._ask_datagram(question)
                break
            except TimeoutError:
                if attempt + 1 == self._attempts:
                    raise
        if response.flags & dns.flags.TC:
            return await self._ask_stream(question)
        return response

    async def _ask_datagram(self, question: Question) -> dns.message.Message:
        if self._transport is None:
            raise OSError("the forwarder is not started")
        query = dns.message.make_query(question.name, question.rdtype, use_edns=0, payload=1232)
        while query.id in self._waiting:
            query.id = self._random.randrange(0x10000)
        waiting: asyncio.Future[dns.message.Message] = asyncio.get_running_loop().create_future()
        self._waiting[query.id] = waiting
        try:
            self._transport.sendto(query.to_wire())
            async with asyncio.timeout(self._timeout):
                response = await waiting
        finally:
            del self._waiting[query.id]
        if response.question != query.question:
            raise OSError(f"the answer is to another question: {response.question}")
        return response

    async def _ask_stream(self, question: Question) -> dns.message.Message:
        query = dns.message.make_query(question.name, question.rdtype)
        wire = query.to_wire()
        async with asyncio.timeout(self._timeout):
            reader, writer = await asyncio.open_connection(self._upstream, self._port)
            try:
                writer.write(struct.pack("!H", len(wire)) + wire)
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                return dns.message.from_wire(await reader.readexactly(length))
            except asyncio.IncompleteReadError as error:
                raise OSError("the connection was closed before the answer") from error
            finally:
                writer.close()


class _Replies(asyncio.DatagramProtocol):
    def __init__(self, waiting: dict[int, asyncio.Future[dns.message.Message]]) -> None:
        self._waiting = waiting

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        try:
            response = dns.message.from_wire(data)
        except dns.exception.DNSException as error:
            log.warning("an answer from %s could not be read: %s", addr[0], error)
            return
        waiting = self._waiting.get(response.id)
        if waiting is not None and not waiting.done():
            waiting.set_result(response)

    def error_received(self, exc: Exception) -> None:
        # A refused port reaches every question that waits: none of them will be answered.
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(exc)
