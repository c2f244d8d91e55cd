"""What the API server asks a kubelet for: `kubectl logs` and `kubectl exec`.

Exec speaks the WebSocket protocol `v5.channel.k8s.io`, which API servers pass on unchanged to a node that
declares the feature `ExtendWebSocketsToKubelet` (KEP 4006): a message begins with its channel.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import ssl
import struct
import termios
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from aiohttp import WSMsgType, web

from lab.kubernetes.node.api import Object

PORT = 10250
FEATURE = "ExtendWebSocketsToKubelet"
_PROTOCOL = "v5.channel.k8s.io"
_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
_ADMINISTRATORS = ("organizationName", "system:masters")
_CHUNK = 65_536
_FOLLOW_SECONDS = 0.2
_UNSUPPORTED = ("sinceSeconds", "sinceTime", "timestamps", "stream")


@dataclass(frozen=True)
class LogPart:
    """What one run of a container has printed: `end` None while it may still grow."""

    path: Path
    start: int
    end: int | None


class Inside(Protocol):
    """A container as these requests see it."""

    def log_part(self, *, previous: bool) -> LogPart | None:
        """Where the output of the current or the previous run lies; None if there is no such run."""

    def enter(self, command: Sequence[str]) -> tuple[list[str], Mapping[str, str]] | None:
        """How to run a command in it: arguments and environment; None while it does not run."""


Find = Callable[[str, str, str], Inside | None]
"""The container by namespace, pod and name."""


@dataclass(frozen=True)
class Certificates:
    """Files: what the agent shows, and the authority whose administrators it serves."""

    certificate: Path
    key: Path
    authority: Path


async def serve(address: str, certificates: Certificates, find: Find) -> web.AppRunner:
    """Listen on the kubelet's port. Raises OSError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates.authority))
    context.load_cert_chain(certificates.certificate, certificates.key)
    context.verify_mode = ssl.CERT_REQUIRED
    api = _KubeletApi(find)
    app = web.Application(middlewares=[_administrators_only])
    app.add_routes(
        [
            web.get("/containerLogs/{namespace}/{pod}/{container}", api.logs),
            web.get("/exec/{namespace}/{pod}/{container}", api.execute),
        ]
    )
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, address, PORT, ssl_context=context).start()
    return runner


@web.middleware
async def _administrators_only(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    peer = request.transport.get_extra_info("peercert") if request.transport else None
    subject = [field for part in (peer or {}).get("subject", ()) for field in part]
    if _ADMINISTRATORS not in subject:
        raise web.HTTPForbidden(text="only administrators of the cluster may ask the node agent")
    return await handler(request)


class _KubeletApi:
    def __init__(self, find: Find) -> None:
        self._find = find

    def _container(self, request: web.Request) -> Inside:
        names = [request.match_info[key] for key in ("namespace", "pod", "container")]
        found = self._find(*names)
        if found is None:
            raise web.HTTPNotFound(text=f"the node agent does not run container {'/'.join(names)}")
        return found

    async def logs(self, request: web.Request) -> web.StreamResponse:
        """The output of a container, as it is or as it grows."""
        query = request.query
        unsupported = [name for name in _UNSUPPORTED if query.get(name, "false") not in ("false", "All")]
        if unsupported:
            raise web.HTTPBadRequest(text=f"the lab's node agent has no {', '.join(unsupported)} for logs")
        container = self._container(request)
        previous = query.get("previous") == "true"
        part = container.log_part(previous=previous)
        if part is None:
            raise web.HTTPBadRequest(text="the container has not run yet, or not before")
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        with part.path.open("rb") as file:
            file.seek(tail(part, int(query["tailLines"])) if "tailLines" in query else part.start)
            while True:
                await self._copy(file, part.end, response)
                now = container.log_part(previous=previous)
                if query.get("follow") != "true" or part.end is not None:
                    break
                if now is None or now.start != part.start:
                    break
                part = now
                await asyncio.sleep(_FOLLOW_SECONDS)
        return response

    async def _copy(self, file: IO[bytes], end: int | None, response: web.StreamResponse) -> None:
        while chunk := file.read(_CHUNK if end is None else max(0, min(_CHUNK, end - file.tell()))):
            await response.write(chunk)

    async def execute(self, request: web.Request) -> web.StreamResponse:
        """Run a command in a container, its streams on channels."""
        entry = self._container(request).enter(request.query.getall("command", []))
        if entry is None:
            raise web.HTTPBadRequest(text="the container does not run")
        socket = web.WebSocketResponse(protocols=(_PROTOCOL,))
        await socket.prepare(request)
        argv, environment = entry
        tty = request.query.get("tty") in ("1", "true")
        session = _Session(socket, has_input=request.query.get("input") in ("1", "true"))
        code = await (session.run_on_terminal if tty else session.run)(argv, environment)
        await socket.send_bytes(bytes([_ERROR]) + json.dumps(exit_status(code)).encode())
        await socket.close()
        return socket


class _Session:
    """One command and the socket that its streams go to."""

    def __init__(self, socket: web.WebSocketResponse, *, has_input: bool) -> None:
        self._socket = socket
        self._has_input = has_input

    async def run(self, argv: Sequence[str], environment: Mapping[str, str]) -> int:
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=pipe if self._has_input else null,
            stdout=pipe,
            stderr=pipe,
            env=dict(environment),
        )

        def write(data: bytes | None) -> None:
            if process.stdin is None or process.stdin.is_closing():
                return
            if data is None:
                process.stdin.close()
            else:
                process.stdin.write(data)

        reading = asyncio.ensure_future(self._receive(write, lambda _rows, _columns: None, process))
        await asyncio.gather(
            self._send(_STDOUT, process.stdout),
            self._send(_STDERR, process.stderr),
        )
        code = await process.wait()
        reading.cancel()
        return code

    async def run_on_terminal(self, argv: Sequence[str], environment: Mapping[str, str]) -> int:
        ours, theirs = os.openpty()
        process = await asyncio.create_subprocess_exec(
            *("setsid", "--ctty", "--wait", *argv),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=dict(environment),
        )
        os.close(theirs)
        loop = asyncio.get_running_loop()
        output = asyncio.StreamReader()
        terminal = os.fdopen(ours, "rb", buffering=0)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(output), terminal)

        def write(data: bytes | None) -> None:
            os.write(ours, b"\x04" if data is None else data)

        def resize(rows: int, columns: int) -> None:
            fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

        reading = asyncio.ensure_future(self._receive(write, resize, process))
        # a terminal answers with an error once nobody has its other end open: the command has ended
        with contextlib.suppress(OSError):
            await self._send(_STDOUT, output)
        code = await process.wait()
        reading.cancel()
        transport.close()
        return code

    async def _send(self, channel: int, stream: asyncio.StreamReader | None) -> None:
        while stream is not None and (data := await stream.read(_CHUNK)):
            await self._socket.send_bytes(bytes([channel]) + data)

    async def _receive(
        self,
        write: Callable[[bytes | None], None],
        resize: Callable[[int, int], None],
        process: asyncio.subprocess.Process,
    ) -> None:
        async for message in self._socket:
            if message.type != WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            if channel == _STDIN:
                write(data)
            elif channel == _CLOSE and data == bytes([_STDIN]):
                write(None)
            elif channel == _RESIZE:
                wanted = json.loads(data)
                resize(wanted["Height"], wanted["Width"])
        process.kill()  # the client is gone


def tail(part: LogPart, lines: int) -> int:
    """Where the last `lines` lines of a part begin; reads from its end, as a log may be long."""
    with part.path.open("rb") as file:
        end = file.seek(0, os.SEEK_END) if part.end is None else part.end
        if lines == 0:
            return end
        # a newline at the very end closes the last line and begins none
        place, left = max(part.start, end - 1), lines
        while place > part.start:
            begin = max(part.start, place - _CHUNK)
            file.seek(begin)
            chunk = file.read(place - begin)
            at = len(chunk)
            while (at := chunk.rfind(b"\n", 0, at)) >= 0:
                left -= 1
                if left == 0:
                    return begin + at + 1
            place = begin
    return part.start


def exit_status(code: int) -> Object:
    """The Status with which an exec ends."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    code = code if code > 0 else 128 - code
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with exit code {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
