"""The resolver of a private network: `python -m lab.dns --listen A --records FILE --upstream B`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from lab.dns.forward import Forwarder
from lab.dns.records import RecordTable, TableError, load_table
from lab.dns.server import Answer, DnsServer, Question


async def resolve_privately(
    table: RecordTable, listen: str, port: int, upstream: str, upstream_port: int
) -> None:
    """Serves until SIGTERM or SIGINT: names of the table first, all else from the upstream."""
    forwarder = Forwarder(upstream, upstream_port)
    await forwarder.start()

    async def lookup(question: Question) -> Answer:
        return table.find(question) or await forwarder.lookup(question)

    server = DnsServer(lookup, listen, port)
    await server.start()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    logging.getLogger(__name__).info("listening on %s:%s, upstream %s", listen, server.port, upstream)
    await ended.wait()
    await server.stop()
    await forwarder.stop()


def main() -> int:
    """Reads the command line; exit code 1 with one line for a records file or an address that is wrong."""
    parser = argparse.ArgumentParser(prog="lab.dns", description=__doc__)
    parser.add_argument("--listen", required=True, help="address to listen on, UDP and TCP")
    parser.add_argument("--port", type=int, default=53)
    parser.add_argument("--records", type=Path, required=True, help="JSON file of the private names")
    parser.add_argument("--upstream", required=True, help="address of the server that is asked for the rest")
    parser.add_argument("--upstream-port", type=int, default=53)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        table = load_table(options.records)
        asyncio.run(
            resolve_privately(table, options.listen, options.port, options.upstream, options.upstream_port)
        )
    except (TableError, OSError) as error:
        print(f"lab.dns: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
