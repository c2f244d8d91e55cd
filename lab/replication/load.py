"""`python -m lab.replication.load PORT RATE SHARE FILE`: clients of BOSS that remember each answer.

They go on until SIGTERM. Requests begin at their time, whether earlier ones were answered or not, over
kept-alive connections; nothing is sent twice. Each line of the file is one request: [kind, id, begun, ended,
status], in seconds of the machine's monotonic clock; status 0 means no answer.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import time
import uuid
from pathlib import Path
from typing import TextIO

ANSWER_SECONDS = 30.0
IDLE_SECONDS = 30.0
"""How long a connection is kept for another request: less than servers keep one."""
LOOPBACK = "127.0.0.1"


class Load:
    """An open loop of requests, a share of which are writes."""

    def __init__(self, port: int, rate: float, share: float, file: TextIO) -> None:
        self._port = port
        self._interval = 1.0 / rate
        self._share = share
        self._file = file
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter, float]] = []
        """Connections to be used again, and since when they are idle; the last one is used first."""
        self._written: list[str] = []
        self._owed = 1.0
        """Writes come evenly, so that a gap between two shows what the service did, and not chance."""
        self._choice = random.Random(1)

    async def run(self, ended: asyncio.Event) -> None:
        """Sends requests until `ended`, and waits for their answers."""
        running: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while not ended.is_set():
            due += self._interval
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(self._one())
            running.add(task)
            task.add_done_callback(running.discard)
        if running:
            await asyncio.wait(running, timeout=ANSWER_SECONDS)
        for _, writer, _since in self._free:
            writer.close()

    async def _one(self) -> None:
        self._owed += self._share
        if self._owed >= 1.0 or not self._written:
            self._owed -= 1.0
            kind, client = "write", str(uuid.uuid4())
            request = _post("/records", {"id": client, "amount": "1.25"})
        else:
            kind, client = "read", self._choice.choice(self._written[-1000:])
            request = f"GET /records/{client} HTTP/1.1\r\nHost: boss\r\n\r\n".encode()
        begun = time.monotonic()
        try:
            status = await asyncio.wait_for(self._ask(request), ANSWER_SECONDS)
        except (OSError, EOFError, ValueError, TimeoutError):
            status = 0
        if kind == "write" and status == 201:
            self._written.append(client)
        self._file.write(json.dumps([kind, client, begun, time.monotonic(), status]) + "\n")

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """One that is idle, or a new one. What was idle for long may be closed by the other side just now."""
        while self._free:
            reader, writer, since = self._free.pop()
            if time.monotonic() - since < IDLE_SECONDS and not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(LOOPBACK, self._port)

    async def _ask(self, request: bytes) -> int:
        reader, writer = await self._connection()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        await reader.readexactly(length)
        if "connection: close" in head:
            writer.close()
        else:
            self._free.append((reader, writer, time.monotonic()))
        return int(head.split(maxsplit=2)[1])


def _post(path: str, body: object) -> bytes:
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: boss\r\nContent-Type: application/json\r\nContent-Length: {len(data)}"
    )
    return f"{head}\r\n\r\n".encode() + data


async def _main(port: int, rate: float, share: float, path: Path) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    with path.open("w", encoding="utf-8", buffering=1 << 16) as file:
        await Load(port, rate, share, file).run(ended)


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])))
