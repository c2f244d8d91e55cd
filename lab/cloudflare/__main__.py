"""The lab's Cloudflare as a process.

`python -m lab.cloudflare --listen A --port 8080 --dns B --zones FILE --ttl-divisor N --token-file F`
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from lab.cloudflare.api import Api
from lab.cloudflare.control import Control
from lab.cloudflare.directory import Directory, ZonesError, ZonesFile, load_zones
from lab.cloudflare.faults import Faults
from lab.cloudflare.limits import RateLimit
from lab.cloudflare.names import PublicNames
from lab.dns import DnsServer

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Addresses:
    """Where to listen; port 0 finds a free one."""

    api: str
    api_port: int
    dns: str
    dns_port: int
    control_port: int


class Server:
    """API, DNS and control interface over one directory."""

    def __init__(
        self, zones: ZonesFile, token: str, addresses: Addresses, *, ttl_divisor: int = 1, seed: int = 0
    ) -> None:
        self._addresses = addresses
        self.directory = Directory(zones)
        self.faults = Faults(seed)
        self.limit = RateLimit()
        self._api = Api(self.directory, token, self.limit, self.faults)
        names = PublicNames(self.directory, ttl_divisor)
        self.dns = DnsServer(names.lookup, addresses.dns, addresses.dns_port)
        self._runners: list[web.AppRunner] = []
        self.api_port = addresses.api_port
        self.control_port = addresses.control_port

    async def start(self) -> None:
        """Binds all sockets. Raises OSError; `stop` closes what was opened."""
        control = Control(self.directory, self.faults, self._api)
        self.api_port = await self._serve(
            self._api.application(), self._addresses.api, self._addresses.api_port
        )
        self.control_port = await self._serve(control.application(), LOOPBACK, self._addresses.control_port)
        await self.dns.start()

    async def stop(self) -> None:
        """Closes all sockets."""
        await self.dns.stop()
        for runner in self._runners:
            await runner.cleanup()

    async def _serve(self, app: web.Application, address: str, port: int) -> int:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        self._runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, address, port).start()
        return int(runner.addresses[0][1])


async def serve(server: Server) -> None:
    """Serves until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        await server.start()
        await ended.wait()
    finally:
        await server.stop()


def main() -> int:
    """Reads the command line; exit code 1 with one line for a file or an address that is wrong."""
    parser = argparse.ArgumentParser(prog="lab.cloudflare", description=__doc__)
    parser.add_argument("--listen", required=True, help="address of the API")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--dns", required=True, help="address of the DNS server")
    parser.add_argument("--dns-port", type=int, default=53)
    parser.add_argument(
        "--control-port", type=int, default=8081, help="of the control interface, on loopback"
    )
    parser.add_argument("--zones", type=Path, required=True, help="JSON file: see directory.ZonesFile")
    parser.add_argument("--ttl-divisor", type=int, default=1, help="DNS answers TTLs divided by this")
    parser.add_argument("--token-file", type=Path, required=True, help="file that holds the API token")
    parser.add_argument("--seed", type=int, default=0, help="of the faults' chance")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        token = options.token_file.read_text(encoding="utf-8").strip()
        if not token:
            raise ZonesError(f"{options.token_file}: expected an API token, the file is empty")
        addresses = Addresses(
            options.listen, options.port, options.dns, options.dns_port, options.control_port
        )
        zones = load_zones(options.zones)
        server = Server(zones, token, addresses, ttl_divisor=options.ttl_divisor, seed=options.seed)
        asyncio.run(serve(server))
    except (ValueError, OSError) as error:
        print(f"lab.cloudflare: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
