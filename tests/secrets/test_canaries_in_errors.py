"""Real clients against servers that refuse, break off and quote: no error shows what was sent to them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from cutover.clock import SystemClock
from cutover.clusters import KubernetesCluster
from cutover.errors import CutoverError
from cutover.mysql import Server
from cutover.notices.happenings import Happening
from cutover.notices.send import SendError, send
from cutover.postgres import PostgresServer
from cutover.transfer.redis_server import RedisServer
from cutover.web import HttpsClient
from stacks.settings.notices import EmailNotice, WebhookNotice
from tests.secrets.canaries import Canaries

ITEM = Happening(3, "2026-01-01T00:00:00+00:00", "halt", "halted", "a reason")
Answer = Callable[[bytes], bytes]


@contextmanager
def server(answer: Answer) -> Iterator[int]:
    """Answers each piece that it gets, until nothing more comes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    connection, _ = listening.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(5)
                    try:
                        greeting = answer(b"")
                        if greeting:
                            connection.sendall(greeting)
                        while piece := connection.recv(65536):
                            connection.sendall(answer(piece))
                            if answer is quote:
                                break
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            ended.set()
            thread.join()


def quote(piece: bytes) -> bytes:
    """An HTTP error that quotes the whole request, as some proxies do."""
    return b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (
        len(piece),
        piece,
    )


def rubbish(piece: bytes) -> bytes:
    """What no protocol expects, with what was sent in it."""
    return b"" if not piece else b"-ERR what is " + piece[:200] + b"\r\n"


def raised(canaries: Canaries, what: str, call: Callable[[], object]) -> list[str]:
    with pytest.raises((CutoverError, SendError, OSError)) as caught:
        call()
    return canaries.found_in_error(what, caught.value)


def kubeconfig(path: Path, port: int, token: str) -> Path:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "a",
    }
    path.write_text(yaml.safe_dump(content))
    return path


def test_databases(canaries: Canaries) -> None:
    mysql, postgres = canaries.new("mysql"), canaries.new("postgres")
    with server(rubbish) as port:
        hits = raised(canaries, "mysql", lambda: Server("a", "127.0.0.1", port, "u", mysql).connect())
    closed = Server("a", "127.0.0.1", 1, "u", mysql)
    hits += raised(canaries, "mysql, closed", closed.connect)
    hits += canaries.found("repr", repr(closed) + repr(PostgresServer("a", "127.0.0.1", 1, "u", postgres)))
    hits += raised(
        canaries, "postgres",
        lambda: PostgresServer("a", "127.0.0.1", 1, "u", postgres).connect("postgres").__enter__(),
    )  # fmt: skip
    assert hits == []


def test_redis(canaries: Canaries) -> None:
    found = RedisServer("a", "127.0.0.1", 1, "u", canaries.new("redis"))

    def used(redis: RedisServer) -> None:
        redis.used()

    hits = raised(canaries, "redis, closed", lambda: used(found))
    hits += canaries.found("redis-cli", repr(found) + repr(found.arguments()))
    assert hits == []


def test_kubernetes(canaries: Canaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = canaries.new("token")
    with server(quote) as port:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "config", port, token)))
        monkeypatch.setattr(
            "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config")
        )
        cluster = KubernetesCluster("a", 5.0, SystemClock())
        hits = raised(canaries, "quoted", cluster.version)
        hits += raised(canaries, "a Secret", lambda: cluster.create("secrets", {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"},
            "data": {"password": canaries.new("data")},
        }))  # fmt: skip
    hits += raised(canaries, "unknown", lambda: KubernetesCluster("b", 5.0, SystemClock()))
    assert hits == []


def test_a_kubeconfig_that_is_broken(
    canaries: Canaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config"
    path.write_text(f"users:\n- name: u\n  user:\n    token: {canaries.new('token')}: [\n")
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    assert raised(canaries, "kubeconfig", lambda: KubernetesCluster("a", 5.0, SystemClock())) == []


@pytest.mark.parametrize(
    "address", ["https://127.0.0.1:1/{}", "https://127.0.0.1:1:2/{}", "{}", "ftp://x/{}"]
)
def test_webhooks(canaries: Canaries, address: str) -> None:
    notice = WebhookNotice(kind="slack", url_env="HOOK")
    given = {"HOOK": address.format(canaries.new("hook")) + f"?key={canaries.new('key')}\n"}
    assert raised(canaries, "webhook", lambda: send(notice, ITEM, given)) == []


def test_mail(canaries: Canaries) -> None:
    def answer(piece: bytes) -> bytes:
        if not piece:
            return b"220 here\r\n"
        return b"250-here\r\n250 STARTTLS\r\n" if piece[:4].upper() == b"EHLO" else b"500 what is " + piece

    with server(answer) as port:
        notice = EmailNotice.model_validate(
            {"kind": "email", "host": "127.0.0.1", "port": port, "sender": "a@example.org",
             "to": ["b@example.org"], "user_env": "U", "password_env": "P"}
        )  # fmt: skip
        given = {"U": "mailer", "P": canaries.new("smtp")}
        assert raised(canaries, "mail", lambda: send(notice, ITEM, given)) == []


@pytest.mark.parametrize("path", ["/a", "/a b", "/\x7f"])
def test_signed_addresses(canaries: Canaries, path: str) -> None:
    address = f"https://127.0.0.1:1{path}?signature={canaries.new('signature')}\t"
    assert raised(canaries, "fetch", lambda: HttpsClient().fetch(address, 2.0)) == []
