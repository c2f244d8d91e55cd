"""A minimal HTTP/1.1 client over one TLS connection: one request at a time, little work for each."""

from __future__ import annotations

import asyncio
import select
import ssl
import time
from dataclasses import dataclass
from typing import cast

MAXIMUM_HEAD_BYTES = 65_536


class HttpError(Exception):
    """The other side did not speak HTTP as expected."""


class ConnectionLostError(Exception):
    """The connection ended before the answer was whole.

    `answer_begun` tells whether any byte of the answer had come.
    """

    def __init__(self, answer_begun: bool, cause: Exception | None) -> None:
        super().__init__(
            f"connection lost {'within' if answer_begun else 'before'} the answer: {cause or 'closed'}"
        )
        self.answer_begun = answer_begun


@dataclass(frozen=True, slots=True)
class Response:
    """An answer."""

    status: int
    body: bytes


class HttpConnection(asyncio.Protocol):
    """One connection to one address."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.exchanges = 0
        self.idle_since = time.monotonic()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Response] | None = None
        self._buffer = bytearray()
        self._keep_alive = True

    @classmethod
    async def open(
        cls, address: str, port: int, server_name: str, tls: ssl.SSLContext, source: str | None
    ) -> HttpConnection:
        """Connects from `source` and shakes hands for `server_name`. Raises OSError (ssl.SSLError is one)."""
        _, protocol = await asyncio.get_running_loop().create_connection(
            lambda: cls(address),
            address,
            port,
            ssl=tls,
            server_hostname=server_name,
            local_addr=(source, 0) if source else None,
        )
        return protocol

    @property
    def reusable(self) -> bool:
        """Whether a further request may be sent: open, and nothing has come from the other side meanwhile.

        What has come on an idle connection is its end; the event loop may just not have read it yet.
        """
        transport = self._transport
        if transport is None or transport.is_closing() or not self._keep_alive or self._buffer:
            return False
        poll = select.poll()
        poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    async def exchange(self, request: bytes) -> Response:
        """Sends a request and waits for the whole answer. Raises ConnectionLostError or HttpError."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionLostError(False, None)
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._answer
        finally:
            self._answer = None
            self.exchanges += 1
            self.idle_since = time.monotonic()

    def close(self) -> None:
        """Closes an idle connection."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Drops the connection at once, whatever is in flight on it."""
        self._keep_alive = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._answer is None or self._answer.done():
            self.abort()  # an answer that nobody asked for
            return
        try:
            response = self._take(ended=False)
        except (HttpError, ValueError) as error:
            self._fail(HttpError(str(error)))
            self.abort()
            return
        if response is not None:
            self._answer.set_result(response)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer is None or self._answer.done():
            return
        try:
            response = self._take(ended=True)
        except (HttpError, ValueError) as error:
            self._fail(HttpError(str(error)))
            return
        if response is not None:
            self._answer.set_result(response)
        else:
            self._fail(ConnectionLostError(bool(self._buffer), exc))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def _take(self, *, ended: bool) -> Response | None:
        """The answer at the start of the buffer once it is whole; it is then taken out of the buffer."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAXIMUM_HEAD_BYTES:
                raise HttpError("the head of the answer is too long")
            return None
        head = bytes(self._buffer[:end]).lower()
        if not head.startswith(b"http/1.1 "):
            raise HttpError(f"not an HTTP/1.1 answer: {head[:40]!r}")
        status = int(head[9:12])
        start = end + 4
        length = _header(head, b"content-length")
        body: bytes | None
        if _header(head, b"transfer-encoding") == b"chunked":
            body, used = _dechunk(self._buffer, start)
        elif length is not None or status in (204, 304):
            used = start + int(length or b"0")
            body = bytes(self._buffer[start:used]) if len(self._buffer) >= used else None
        else:  # the end of the connection ends the body
            used = len(self._buffer)
            body = bytes(self._buffer[start:]) if ended else None
        if body is None:
            return None
        del self._buffer[:used]
        self._keep_alive = self._keep_alive and _header(head, b"connection") != b"close" and not ended
        return Response(status, body)


def _header(head: bytes, name: bytes) -> bytes | None:
    """A header's value from a lower-cased head."""
    at = head.find(b"\r\n" + name + b":")
    if at < 0:
        return None
    start = at + len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip()


def _dechunk(buffer: bytearray, start: int) -> tuple[bytes | None, int]:
    """The body of a chunked answer (RFC 9112, 7.1) and where it ends; None while it is not whole."""
    body = bytearray()
    at = start
    while True:
        line = buffer.find(b"\r\n", at)
        if line < 0:
            return None, at
        size = int(bytes(buffer[at:line]).partition(b";")[0], 16)
        at = line + 2
        if size == 0:
            end = buffer.find(b"\r\n", at)  # the lab's servers send no trailers
            return (bytes(body), end + 2) if end == at else (None, at)
        if len(buffer) < at + size + 2:
            return None, at
        body += buffer[at : at + size]
        at += size + 2
