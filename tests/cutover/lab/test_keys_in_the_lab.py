"""Keys are copied and followed between two real Redis servers, through redis-cli as in a pod."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import redis

from cutover.clock import SystemClock
from cutover.errors import StepError
from cutover.keys.follow import Follower, KeyCopy
from cutover.keys.store import RedisPod
from cutover.ports import Cluster, KeyStore

pytestmark = pytest.mark.lab
BUFFERS = ("boss:usage",)


class Command:
    """A command on this machine in place of one in a pod."""

    def __init__(self, argv: Sequence[str]) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, bufsize=0)

    def write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        view = memoryview(data)
        while view:
            view = view[self._process.stdin.write(view) :]

    def read(self, seconds: float) -> bytes:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            return b""
        output = os.read(self._process.stdout.fileno(), 1_000_000)
        if not output:
            raise StepError("redis-cli has ended")
        return output

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class OnePod:
    """A cluster with one pod of Redis, which is a server on this machine."""

    def __init__(self, context: str) -> None:
        self.context = context
        self.commands: list[Command] = []

    def get(self, *_: object) -> dict[str, Any]:
        return {"spec": {"selector": {"app": "redis"}}}

    def list(self, *_: object) -> list[dict[str, Any]]:
        ready = [{"type": "Ready", "status": "True"}]
        return [
            {
                "metadata": {"name": "redis-0", "labels": {"app": "redis"}},
                "spec": {"containers": [{"name": "redis"}]},
                "status": {"conditions": ready},
            }
        ]

    def execute(self, namespace: str, pod: str, container: str, command: Sequence[str]) -> Command:
        self.commands.append(Command(command))
        return self.commands[-1]


class Server:
    """A Redis server, and how the cutover and the test reach it."""

    def __init__(self, folder: Path, name: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        options += ["--repl-diskless-sync-delay", "0"]
        self.process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        self.client = redis.Redis(port=self.port)
        until = time.monotonic() + 20
        while True:
            try:
                self.client.ping()
                break
            except redis.ConnectionError:
                assert time.monotonic() < until, "the server did not start"
                time.sleep(0.05)
        self.cluster = OnePod(name)

    def keys(self) -> RedisPod:
        return RedisPod(cast(Cluster, self.cluster), "redis.middleware", self.port, SystemClock())


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    both = (Server(tmp_path, "huawei"), Server(tmp_path, "aws"))
    yield both
    for server in both:
        server.client.close()
        for command in server.cluster.commands:
            command.close()
        server.process.terminate()
        server.process.wait(10)


def opened(servers: tuple[Server, Server]) -> tuple[KeyCopy, KeyStore, KeyStore]:
    source, target = servers[0].keys(), servers[1].keys()
    return KeyCopy(source, target, BUFFERS, SystemClock()), source, target


def test_keys_of_every_type_are_copied_with_their_ends(servers: tuple[Server, Server]) -> None:
    source, target = (server.client for server in servers)
    source.set(b"session:\x00\xff\n\"'", b"\x00binary\xff", px=60_000)
    source.hset("hash", mapping={"a": "1"})
    source.rpush("list", "1", "2")
    source.zadd("sorted", {"a": 1.5})
    source.lpush("boss:usage", "never copied")
    for number in range(1500):
        source.set(f"many:{number}", "x" * 200)
    copy, *stores = opened(servers)

    copied = copy.copy()

    assert copied.keys == copied.written == 1504
    assert copy.missing() == []
    assert target.get(b"session:\x00\xff\n\"'") == b"\x00binary\xff"
    assert 50_000 < target.pttl(b"session:\x00\xff\n\"'") <= 60_000
    assert target.hgetall("hash") == {b"a": b"1"}
    assert target.lrange("list", 0, -1) == [b"1", b"2"]
    assert target.zscore("sorted", "a") == 1.5
    assert target.ttl("hash") == -1
    assert not target.exists("boss:usage")
    for store in stores:
        store.close()


def test_what_expires_later_on_the_other_side_stays(servers: tuple[Server, Server]) -> None:
    source, target = (server.client for server in servers)
    source.set("session:a", "old", px=60_000)
    target.set("session:a", "prolonged", px=90_000)
    source.set("session:b", "prolonged", px=90_000)
    target.set("session:b", "old", px=60_000)

    copy, *stores = opened(servers)
    copy.copy()

    assert (target.get("session:a"), target.get("session:b")) == (b"prolonged", b"prolonged")
    for store in stores:
        store.close()


def test_a_session_that_begins_while_clients_move_is_known_on_the_other_side(
    servers: tuple[Server, Server],
) -> None:
    source, target = (server.client for server in servers)
    follower = Follower(lambda: opened(servers), SystemClock())
    source.set("session:before", "ada", ex=600)
    follower.start()
    assert target.get("session:before") == b"ada"

    lags = []
    for number in range(50):
        source.set(f"session:{number}", "ada", ex=600)
        source.lpush("boss:usage", "item")
        written = time.monotonic()
        while not target.exists(f"session:{number}"):
            assert time.monotonic() - written < 5
            time.sleep(0.001)
        lags.append(time.monotonic() - written)
    source.delete("session:7")
    until = time.monotonic() + 5
    while target.exists("session:7"):
        assert time.monotonic() < until
        time.sleep(0.001)
    follower.stop()

    assert follower.trouble == ""
    assert not target.exists("boss:usage")
    assert target.exists("session:49")
    print(f"median lag {sorted(lags)[25] * 1000:.1f} ms, longest {max(lags) * 1000:.1f} ms")


def test_a_connection_that_ends_is_begun_anew_and_nothing_is_missed(servers: tuple[Server, Server]) -> None:
    source, target = (server.client for server in servers)
    follower = Follower(lambda: opened(servers), SystemClock())
    follower.start()
    ended = list(servers[0].cluster.commands)
    for command in ended:
        command._process.kill()
    source.set("session:meanwhile", "ada", ex=600)
    until = time.monotonic() + 20
    while not target.exists("session:meanwhile"):
        assert time.monotonic() < until
        time.sleep(0.01)
    follower.stop()

    assert not [thread for thread in threading.enumerate() if thread.name == "keys"]


def test_keys_in_another_database_are_refused(servers: tuple[Server, Server]) -> None:
    redis.Redis(port=servers[0].port, db=3).set("a", "b")
    copy, *stores = opened(servers)

    with pytest.raises(StepError, match="holds keys in db3"):
        copy.copy()
    for store in stores:
        store.close()
