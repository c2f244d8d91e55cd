"""Carries connections between a lab's network and the machine's, over a socket in a folder that both see.

`python -m lab.relay SOCKET PORT` takes connections at the socket and carries them to the port on loopback: it
runs in the network of whoever serves. `outside` takes them at that port of the machine's own loopback.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.world import LabError

SOCKET = "LANDFALL_WATCH_SOCKET"
"""The environment variable by which a lab knows of it."""
LOOPBACK = "127.0.0.1"
_CONNECT_SECONDS = 10.0
_CHUNK = 65_536
Connect = Callable[[], socket.socket]


@contextmanager
def outside(port: int) -> Iterator[None]:
    """Takes connections at a port of this machine while the block runs. Raises LabError where it is taken."""
    with tempfile.TemporaryDirectory(prefix="landfall-relay-") as folder:
        path = Path(folder) / "socket"
        try:
            listening = socket.create_server((LOOPBACK, port))
        except OSError as error:
            raise LabError(f"WATCH={port}: the port cannot be had: {error}") from error
        with listening:
            os.environ[SOCKET] = str(path)
            threading.Thread(
                target=carry, args=(listening, lambda: _to_socket(path)), name="relay", daemon=True
            ).start()
            try:
                yield
            finally:
                del os.environ[SOCKET]


def carry(listening: socket.socket, connect: Connect) -> None:
    """Carries every connection that comes, until `listening` is closed."""
    while True:
        try:
            taken, _ = listening.accept()
        except OSError:
            return
        try:
            other = connect()
        except OSError:
            taken.close()  # nobody serves there: as if nobody listened
            continue
        for one, another in ((taken, other), (other, taken)):
            threading.Thread(target=_pump, args=(one, another), daemon=True).start()


def _pump(one: socket.socket, another: socket.socket) -> None:
    with suppress(OSError):  # either end may go away at any moment: then both have ended
        while data := one.recv(_CHUNK):
            another.sendall(data)
    for end in (one, another):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
    one.close()


def _to_socket(path: Path) -> socket.socket:
    found = socket.socket(socket.AF_UNIX)
    try:
        found.connect(str(path))
    except OSError:
        found.close()
        raise
    return found


def _to_port(port: int) -> socket.socket:
    found = socket.create_connection((LOOPBACK, port), timeout=_CONNECT_SECONDS)
    found.settimeout(None)
    return found


def main(arguments: list[str]) -> int:
    """The end inside of a lab's network."""
    path, port = arguments
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        carry(listening, lambda: _to_port(int(port)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
