"""A DNS server over UDP and TCP whose answers come from a callback (RFC 1035, RFC 6891, RFC 7766)."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

log = logging.getLogger(__name__)

UDP_PAYLOAD = 1232  # bytes; what resolvers agreed on so that no answer is fragmented
TCP_IDLE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Question:
    """What a client asks: an absolute name, lower-case as DNS compares it, and a record type."""

    name: dns.name.Name
    rdtype: dns.rdatatype.RdataType

    @property
    def text(self) -> str:
        """The name without its last dot, for example `bill.truewatch.com`."""
        return self.name.to_text(omit_final_dot=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says. No records and `NOERROR` is NODATA: the name exists, the type does not."""

    records: tuple[dns.rrset.RRset, ...] = ()
    authority: tuple[dns.rrset.RRset, ...] = ()
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    authoritative: bool = False
    recursion: bool = False


Lookup = Callable[[Question], Awaitable[Answer]]
"""Answers a question. An exception becomes SERVFAIL and is logged."""


def refused() -> Answer:
    """The answer to a question that is not this server's to answer."""
    return Answer(rcode=dns.rcode.REFUSED)


def server_failure() -> Answer:
    """The answer when the truth could not be found out."""
    return Answer(rcode=dns.rcode.SERVFAIL)


class DnsServer:
    """Listens on one address, UDP and TCP on the same port, until `stop`."""

    def __init__(self, lookup: Lookup, address: str, port: int = 53) -> None:
        self._lookup = lookup
        self._address = address
        self._port = port
        self._transport: asyncio.DatagramTransport | None = None
        self._stream_server: asyncio.Server | None = None
        self._pending: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port that is listened on: the one asked for, or the one found where 0 was asked for."""
        return self._port

    async def start(self) -> None:
        """Binds both sockets. Raises OSError where the address or the port is not to be had."""
        loop = asyncio.get_running_loop()
        self._stream_server = await asyncio.start_server(self._serve_stream, self._address, self._port)
        self._port = int(self._stream_server.sockets[0].getsockname()[1])
        try:
            self._transport, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self._serve_datagram), local_addr=(self._address, self._port)
            )
        except OSError:
            self._stream_server.close()
            raise

    async def stop(self) -> None:
        """Closes the sockets and drops the questions that are still being looked up."""
        if self._transport is not None:
            self._transport.close()
        if self._stream_server is not None:
            self._stream_server.close()
        for task in tuple(self._pending):
            task.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)
        await asyncio.sleep(0)  # lets the transports close their sockets

    async def respond(self, wire: bytes, limit: int | None) -> bytes | None:
        """The answer to one message, None where none is due; over `limit` bytes it is truncated."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return _format_error(wire)
        if query.flags & dns.flags.QR:
            return None
        question, problem = _question(query)
        answer = await self._answer(question) if question else Answer(rcode=problem)
        full = _response(query, answer).to_wire(max_size=0xFFFF)
        if limit is None or len(full) <= min(limit, max(512, query.payload if query.edns >= 0 else 512)):
            return full
        short = _response(query, Answer(authoritative=answer.authoritative, recursion=answer.recursion))
        short.flags |= dns.flags.TC
        return short.to_wire()

    async def _answer(self, question: Question) -> Answer:
        try:
            return await self._lookup(question)
        except Exception:  # one bad lookup must not end the server for every other client
            log.exception("lookup of %s %s failed", question.text, dns.rdatatype.to_text(question.rdtype))
            return server_failure()

    def _serve_datagram(
        self, transport: asyncio.DatagramTransport, wire: bytes, peer: tuple[str, int]
    ) -> None:
        async def serve() -> None:
            answer = await self.respond(wire, UDP_PAYLOAD)
            if answer is not None and not transport.is_closing():
                transport.sendto(answer, peer)

        self._keep(asyncio.get_running_loop().create_task(serve()))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def _serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._keep(task)
        try:
            while True:
                async with asyncio.timeout(TCP_IDLE_SECONDS):
                    (length,) = struct.unpack("!H", await reader.readexactly(2))
                    wire = await reader.readexactly(length)
                answer = await self.respond(wire, None)
                if answer is None:
                    break
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass  # the client is done, gone or idle: nothing is owed to it
        except asyncio.CancelledError:
            pass  # the server stops; asyncio would log a cancelled stream handler as an error
        finally:
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, serve: Callable[[asyncio.DatagramTransport, bytes, tuple[str, int]], None]) -> None:
        self._serve = serve
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Before Python 3.12 the transport of a datagram endpoint is no instance of DatagramTransport.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        if self._transport is not None:
            self._serve(self._transport, data, (str(addr[0]), addr[1]))


def _question(query: dns.message.Message) -> tuple[Question | None, dns.rcode.Rcode]:
    """The one question of a query, or what is wrong with the query."""
    if query.opcode() != dns.opcode.QUERY:
        return None, dns.rcode.NOTIMP
    if len(query.question) != 1:
        return None, dns.rcode.FORMERR
    asked = query.question[0]
    if asked.rdclass != dns.rdataclass.IN:
        return None, dns.rcode.REFUSED
    return Question(asked.name.canonicalize(), asked.rdtype), dns.rcode.NOERROR


def _response(query: dns.message.Message, answer: Answer) -> dns.message.Message:
    response = dns.message.make_response(query, recursion_available=answer.recursion)
    response.set_rcode(answer.rcode)
    if answer.authoritative:
        response.flags |= dns.flags.AA
    response.answer.extend(answer.records)
    response.authority.extend(answer.authority)
    return response


def _format_error(wire: bytes) -> bytes | None:
    """FORMERR with the id of a message that could not be parsed; None where it was too short to have one."""
    if len(wire) < 12 or wire[2] & 0x80:
        return None
    return wire[:2] + struct.pack("!HHHHH", 0x8000 | int(dns.rcode.FORMERR), 0, 0, 0, 0)
