"""``python -m lab.aws --host A --port P --elastic-ips CIDR``: serve AWS until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from ipaddress import IPv4Network
from threading import Event, Thread


def main(arguments: list[str] | None = None) -> int:
    """Serve; prints the endpoint once it answers."""
    parser = argparse.ArgumentParser(prog="python -m lab.aws", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument(
        "--elastic-ips", type=IPv4Network, metavar="CIDR", help="the pool of Elastic IPs, handed out in order"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    from lab.aws.server import AwsServer  # noqa: PLC0415 - slow to import, not needed for --help

    try:
        server = AwsServer(options.host, options.port, options.elastic_ips)
    except OSError as error:
        print(f"cannot listen on {options.host}:{options.port}: {error.strerror}", file=sys.stderr)
        return 1
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    Thread(target=server.serve, name="aws", daemon=True).start()
    print(server.url, flush=True)
    stop.wait()
    server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
