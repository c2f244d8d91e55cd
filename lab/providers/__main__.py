"""``python -m lab.providers``: serve all providers from one process, each on a port of its own."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from lab.providers.base import Provider
from lab.providers.service import ProviderService

# A call may wait minutes for a cluster or a load balancer; as many may wait at once.
MAX_CALLS = 64
MAX_MESSAGE = 400 * 1024 * 1024  # bytes, as the official SDK's


def start(provider: Provider, port: int = 0) -> tuple[grpc.Server, int]:
    """Serve a provider on 127.0.0.1, on a free port if `port` is 0; returns the server and its port.

    Raises RuntimeError where the port is taken.
    """
    options = [
        ("grpc.max_receive_message_length", MAX_MESSAGE),
        ("grpc.max_send_message_length", MAX_MESSAGE),
    ]
    server = grpc.server(ThreadPoolExecutor(MAX_CALLS, thread_name_prefix=provider.name), options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(ProviderService(provider), server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, bound


def providers() -> list[Provider]:
    """All providers of the lab."""
    from lab.providers.aws.provider import AwsProvider  # noqa: PLC0415 - slow imports, only for the server
    from lab.providers.cloudflare import CloudflareProvider  # noqa: PLC0415
    from lab.providers.kubernetes.provider import KubernetesProvider  # noqa: PLC0415

    return [AwsProvider(), KubernetesProvider(), CloudflareProvider()]


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; prints ``aws:PORT,kubernetes:PORT,cloudflare:PORT`` once all are
    ready."""
    parser = argparse.ArgumentParser(prog="python -m lab.providers", description=__doc__)
    parser.add_argument("ports", nargs="*", metavar="NAME=PORT", help="a fixed port; else any free one")
    parser.add_argument("--write-ports", type=Path, help="also write the line to this file")
    parser.add_argument("--log-level", default="WARNING")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=options.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    served = {provider.name: provider for provider in providers()}
    fixed: dict[str, int] = {}
    for item in options.ports:
        name, _, port = item.partition("=")
        if name not in served or not port.isdecimal():
            parser.error(f"{item!r}: expected NAME=PORT with one of the names {', '.join(served)}")
        fixed[name] = int(port)

    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    started = {name: start(provider, fixed.get(name, 0)) for name, provider in served.items()}
    line = ",".join(f"{name}:{port}" for name, (_, port) in started.items())
    if options.write_ports:
        # Whoever waits for the file must never see half of it.
        partial = options.write_ports.with_suffix(".partial")
        partial.write_text(line + "\n")
        partial.rename(options.write_ports)
    print(line, flush=True)
    stop.wait()
    for server, _ in started.values():
        server.stop(grace=2.0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
