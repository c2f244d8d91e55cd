"""Connections that are carried into a lab's network, over a socket in a folder."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lab.relay import LOOPBACK, SOCKET, outside
from lab.world import LabError


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as found:
        return int(found.getsockname()[1])


def ask(port: int, text: bytes) -> bytes:
    with socket.create_connection((LOOPBACK, port), timeout=20) as connection:
        connection.sendall(text)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_what_is_said_on_one_side_is_heard_on_the_other() -> None:
    port = free_port()
    with socket.create_server((LOOPBACK, 0)) as server, outside(port):

        def echo() -> None:
            for _ in range(2):
                taken, _ = server.accept()
                with taken:
                    taken.sendall(taken.recv(4))

        threading.Thread(target=echo, daemon=True).start()
        path = Path(os.environ[SOCKET])
        own = [sys.executable, "-m", "lab.relay", str(path), str(server.getsockname()[1])]
        with subprocess.Popen(own, cwd=Path(__file__).parents[2]) as relay:
            try:
                deadline = time.monotonic() + 20
                while not path.exists():
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
                assert ask(port, b"xxxx") == b"xxxx"
                assert ask(port, b"abcd") == b"abcd"
            finally:
                relay.terminate()
    assert SOCKET not in os.environ


def test_where_nobody_serves_a_connection_ends() -> None:
    port = free_port()
    with outside(port), socket.create_connection((LOOPBACK, port), timeout=20) as connection:
        assert connection.recv(10) == b""


def test_a_port_that_is_taken_is_one_clear_error() -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LabError, match=f"WATCH={port}"), outside(port):
            pass
