"""Requests to 3scale's API: over https with a verified certificate, and credentials out of sight."""

from __future__ import annotations

import base64
import http.server
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from cutover import web
from cutover.context import Context
from cutover.errors import StepError
from cutover.ports import ApiAnswer, ApiRequest
from cutover.threescale.api import PAGE, Client
from cutover.threescale.http import HttpsApi
from lab.kubernetes.certificates import Authority

HOST = "master.apps.example.com"
TOKEN = "token-canary"


@dataclass
class Heard:
    """What a server was asked."""

    requests: list[tuple[str, str, dict[str, str], str]] = field(default_factory=list)
    answer: tuple[int, dict[str, str], bytes] = (200, {}, b"{}")


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """A server for HOST on loopback, whose authority is trusted."""
    heard = Heard()

    class Handler(http.server.BaseHTTPRequestHandler):
        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            heard.requests.append((self.command, self.path, headers, body))
            status, more, content = heard.answer
            self.send_response(status)
            for name, value in {**more, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _do  # noqa: N815 - the base's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Says nothing."""

    authority = Authority("tests")
    pair = authority.server(HOST, [HOST])
    (tmp_path / "server.pem").write_bytes(pair.certificate + pair.key)
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.pem")
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setattr(web, "PORT", server.server_port)
    yield heard
    server.shutdown()
    server.server_close()


def request(**changes: Any) -> ApiRequest:
    right = {"host": HOST, "path": "/x?page=1", "address": "127.0.0.1", "token": TOKEN}
    return ApiRequest(**{**right, **changes})


def test_a_token_goes_as_a_password_and_never_in_the_address(heard: Heard) -> None:
    answer = HttpsApi().call(request())

    ((method, path, headers, body),) = heard.requests
    assert (answer.status, method, path, body) == (200, "GET", "/x?page=1", "")
    assert headers["host"].partition(":")[0] == HOST
    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode() == f":{TOKEN}"


def test_a_form_goes_in_the_body(heard: Heard) -> None:
    HttpsApi().call(request(method="POST", form={"password": "a b&c", "scopes[]": ("cms", "stats")}))

    ((method, path, _, body),) = heard.requests
    assert (method, path) == ("POST", "/x?page=1")
    assert parse_qs(body) == {"password": ["a b&c"], "scopes[]": ["cms", "stats"]}


def test_a_redirect_is_an_answer_and_is_not_followed(heard: Heard) -> None:
    heard.answer = (302, {"Location": "https://elsewhere.example.com/p/admin"}, b"")

    answer = HttpsApi().call(request(token=""))

    assert (answer.status, answer.headers["location"]) == (302, "https://elsewhere.example.com/p/admin")
    assert len(heard.requests) == 1
    assert "authorization" not in heard.requests[0][2]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"host": "other.example.com"}, "the certificate is not good"),
        ({"address": "127.0.0.2"}, "no answer: "),
    ],
)
def test_whoever_is_not_the_host_is_not_asked(heard: Heard, change: dict[str, str], says: str) -> None:
    with pytest.raises(StepError, match=says) as caught:
        HttpsApi().call(request(form={"password": "form-canary"}, method="POST", **change))

    assert "canary" not in str(caught.value)
    assert heard.requests == []


def test_a_request_shows_no_credential() -> None:
    shown = repr(request(form={"password": "form-canary"})) + str(request())

    assert "canary" not in shown


# what is made of answers


@dataclass
class Recorded:
    """An API that answers from a list. Stands for a context, of which a client uses nothing else."""

    answers: list[ApiAnswer]
    asked: list[ApiRequest] = field(default_factory=list)

    def call(self, request: ApiRequest) -> ApiAnswer:
        self.asked.append(request)
        return self.answers.pop(0)


def client(*answers: ApiAnswer) -> tuple[Client, Recorded]:
    recorded = Recorded(list(answers))
    context: Context = recorded  # type: ignore[assignment]
    return Client(context, HOST, TOKEN, None, "the master API of the source"), recorded


def page(*numbers: int) -> ApiAnswer:
    items = ", ".join(f'{{"account": {{"id": {number}, "org_name": "t{number}"}}}}' for number in numbers)
    return ApiAnswer(200, f'{{"accounts": [{items}]}}'.encode())


def test_all_pages_of_a_list_are_fetched() -> None:
    asks, recorded = client(page(*range(PAGE)), page(PAGE, PAGE + 1))

    assert len(asks.accounts()) == PAGE + 2
    assert [item.path for item in recorded.asked] == [
        f"/admin/api/accounts.json?page={number}&per_page={PAGE}" for number in (1, 2)
    ]


def test_a_list_without_pages_is_not_read_twice() -> None:
    asks, _ = client(page(*range(PAGE)), page(*range(PAGE)))

    assert len(asks.accounts()) == PAGE


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (ApiAnswer(401, b""), "answered 401 .the token is not known there"),
        (ApiAnswer(403, b'{"error": "Access denied"}'), "answered 403 .*scopes.*: Access denied"),
        (ApiAnswer(404, b"<html>"), "answered 404 .no such thing there"),
        (ApiAnswer(503, b""), "answered 503 .the router has no pod for it"),
        (ApiAnswer(200, b"<html>"), "no JSON"),
        (ApiAnswer(200, b"[]"), "no JSON object"),
        (ApiAnswer(200, b"{}"), "the answer lists no accounts"),
        (ApiAnswer(200, b'{"accounts": [1]}'), "an item of accounts is no account"),
    ],
)
def test_an_answer_that_is_none_is_named(answer: ApiAnswer, says: str) -> None:
    asks, _ = client(answer)

    with pytest.raises(StepError, match=says) as caught:
        asks.accounts()

    assert "the master API of the source" in str(caught.value)
    assert TOKEN not in str(caught.value)
