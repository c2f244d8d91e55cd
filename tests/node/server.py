"""What pods of these tests run: an HTTP server that says who it is, drains on SIGTERM, and can misbehave.

It listens on PORT, answers `GET /env/NAME`, `GET /file?PATH`, `POST /work` (after WORK_SECONDS) and
`GET /ready`, and drops the connection of whatever comes to `/drop`. On SIGTERM it is not ready any more,
serves for DRAIN_SECONDS, finishes, and ends.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from aiohttp import web


async def main() -> None:
    ending = asyncio.Event()
    work_seconds = float(os.environ.get("WORK_SECONDS", "0"))

    async def environment(request: web.Request) -> web.Response:
        return web.Response(text=os.environ.get(request.match_info["name"], "absent"))

    async def file(request: web.Request) -> web.Response:
        return web.Response(text=Path(request.query_string).read_text(encoding="utf-8"))

    async def work(request: web.Request) -> web.Response:
        body = await request.read()
        await asyncio.sleep(work_seconds)
        return web.json_response({"pod": os.environ["HOSTNAME"], "bytes": len(body), "host": request.host})

    async def drop(request: web.Request) -> web.Response:
        await request.read()
        print(f"dropped {request.method}", flush=True)
        if request.transport is not None:
            request.transport.close()
        return web.Response()

    async def ready(_request: web.Request) -> web.Response:
        unready = ending.is_set() or Path("/tmp/unready").exists()
        return web.Response(status=503 if unready else 200)

    app = web.Application(client_max_size=2**26)
    app.add_routes(
        [
            web.get("/env/{name}", environment),
            web.get("/file", file),
            web.get("/ready", ready),
            web.route("*", "/drop", drop),
            web.route("*", "/{path:.*}", work),
        ]
    )
    runner = web.AppRunner(app, shutdown_timeout=20.0)
    await runner.setup()
    await web.TCPSite(runner, None, int(os.environ.get("PORT", "8080"))).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    print("serving", flush=True)
    await ending.wait()
    await asyncio.sleep(float(os.environ.get("DRAIN_SECONDS", "1")))
    await runner.cleanup()
    print("drained", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
