"""`cutover watch` at the workspace instance of a lab: where an operator would start it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.clouds import Clouds
from lab.clouds.internet import module
from lab.options import REPOSITORY
from lab.relay import SOCKET
from lab.topology import AWS

NAME, RELAY = "watch", "watch-relay"
_READY_SECONDS = 60.0
_END_SECONDS = 10.0


@contextmanager
def watching(clouds: Clouds, cutover: Sequence[str], project: Path, port: int = 0) -> Iterator[str]:
    """Serve the page while the block runs; gives its link.

    It opens in the AWS network alone, and on the machine itself where somebody has set up `relay.outside`.

    Args:
        cutover: the words by which the cutover is called, without a command.
        port: on loopback there; 0: one that is free.

    Raises:
        LabError: it does not begin.
    """
    log = clouds.folder / "logs" / f"{NAME}.log"
    begin = log.stat().st_size if log.exists() else 0

    def link() -> str:
        for line in log.read_bytes()[begin:].splitlines():
            if line.startswith(b'{"link"'):
                return str(json.loads(line)["link"])
        return ""

    clouds.supervisor.start(
        NAME,
        [*cutover, "watch", "--json", "--port", str(port)],
        host=AWS.host,
        env={**clouds.workstation.environment(), "PYTHONPATH": str(REPOSITORY)},
        cwd=project,
        ready=lambda: bool(link()),
        timeout=_READY_SECONDS,
    )
    shown = os.environ.get(SOCKET)
    if shown:
        relay = [*module("lab.relay"), shown, link().partition("?")[0].rstrip("/").rpartition(":")[2]]
        clouds.supervisor.start(RELAY, relay, host=AWS.host, ready=Path(shown).exists)
    try:
        yield link()
    finally:
        for name in (RELAY, NAME) if shown else (NAME,):
            clouds.supervisor.stop(name, grace=_END_SECONDS)
