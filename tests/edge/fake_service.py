"""A TLS server whose answer to each request a test decides."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Behaviour = Callable[["Call"], Awaitable[None]]


@dataclass
class Call:
    """One request: its number on its connection, from 0, and the way to answer."""

    connection: int
    number: int
    method: str
    path: str
    body: bytes
    writer: asyncio.StreamWriter
    headers: Mapping[str, str] = field(default_factory=dict)
    """By lower-cased name."""

    async def answer(self, status: int = 200, body: bytes = b"{}", *headers: str) -> None:
        """A whole answer."""
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
        await self.send("\r\n".join(lines).encode() + body)

    async def send(self, data: bytes) -> None:
        """Raw bytes."""
        self.writer.write(data)
        await self.writer.drain()

    def drop(self) -> None:
        """Ends the connection at once."""
        self.writer.transport.abort()


@dataclass
class Service:
    """What a test sees of the server."""

    port: int = 0
    connections: int = 0
    open: int = 0
    calls: list[tuple[int, int, str, str]] = field(default_factory=list)


@asynccontextmanager
async def serving(
    context: ssl.SSLContext, behaviour: Behaviour, address: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Service]:
    """Serves with that behaviour until the end of the block."""
    service = Service()
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        connection, service.connections, number = service.connections, service.connections + 1, 0
        service.open += 1
        try:
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, path, _ = head.split(" ", 2)
                fields = [line.partition(":") for line in head.split("\r\n")[1:] if line]
                headers = {name.lower(): value.strip() for name, _, value in fields}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                service.calls.append((connection, number, method, path))
                await behaviour(Call(connection, number, method, path, body, writer, headers))
                number += 1
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass  # the client went away
        finally:
            service.open -= 1
            writer.transport.abort()
            tasks.discard(task)

    server = await asyncio.start_server(handle, address, port, ssl=context)
    service.port = server.sockets[0].getsockname()[1]
    try:
        yield service
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
