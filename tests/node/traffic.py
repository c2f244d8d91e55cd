"""Requests through the ingress, without a pause, while something changes behind it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

_REQUEST_SECONDS = 10.0


class _Fixed(AbstractResolver):
    """Resolves every name to one address."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=self._address,
                port=port,
                family=family,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        return


class Traffic:
    """POSTs on kept-alive connections from a thread of its own, until the end of the `with` block."""

    def __init__(self, url: str, address: str, *, clients: int = 8, authority: bytes | None = None) -> None:
        self.answers: Counter[int] = Counter()
        self.errors: list[str] = []
        self.pods: Counter[str] = Counter()
        self.connections = 0
        self.clients = clients
        self._url = url
        self._address = address
        self._tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
        self._end = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def wait_for(self, requests: int) -> None:
        """Return once so many more requests were answered."""
        wanted, deadline = self.answers.total() + requests, time.monotonic() + 30
        while self.answers.total() < wanted:
            assert time.monotonic() < deadline, f"{self.answers} {self.errors[:3]}"
            time.sleep(0.01)

    async def _run(self) -> None:
        connector = aiohttp.TCPConnector(limit=0, resolver=_Fixed(self._address), ssl=self._tls)
        limit = aiohttp.ClientTimeout(total=_REQUEST_SECONDS)
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_end.append(self._connected)
        async with aiohttp.ClientSession(
            connector=connector, timeout=limit, trace_configs=[tracing]
        ) as session:
            await asyncio.gather(*(self._client(session, number) for number in range(self.clients)))

    async def _connected(self, *_: object) -> None:
        self.connections += 1

    async def _client(self, session: aiohttp.ClientSession, number: int) -> None:
        while not self._end.is_set():
            try:
                async with session.post(self._url, data=b"x" * 100) as response:
                    self.answers[response.status] += 1
                    if response.status == 200:
                        self.pods[(await response.json())["pod"]] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                self.errors.append(f"{type(error).__name__}: {error}")
            await asyncio.sleep(0.02 + number * 0.001)
