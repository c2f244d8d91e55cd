"""A whole cutover with a canary in every secret: not one in what it writes, prints, serves or sends."""

from __future__ import annotations

import http.client
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from cutover.errors import StepError
from cutover.masking import VARIABLES
from cutover.session import Session
from cutover.watch.deeds import Deeds
from cutover.watch.feed import Feed
from cutover.watch.server import Page
from stacks.settings import Environment
from tests.cutover.command import Call, Cutover
from tests.cutover.world import World
from tests.secrets.canaries import Canaries, environment_canaries

KEEP = "import os, sys; open(sys.argv[1], 'a').write(sys.stdin.read() + repr(dict(os.environ)) + '\\n')"


@pytest.fixture
def posted() -> Iterator[tuple[str, list[bytes]]]:
    """A server for webhooks, and what is posted to it."""
    got: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200 if len(got) % 3 else 500)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Nothing is logged."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", got
        server.shutdown()
        thread.join()


@pytest.fixture
def secrets(
    project: Path,
    world: World,
    canaries: Canaries,
    monkeypatch: pytest.MonkeyPatch,
    posted: tuple[str, list[bytes]],
) -> Canaries:
    """A canary in each variable that settings or tools read, and notices that need theirs."""
    notices = [
        {"kind": "slack", "url_env": "HOOK_OF_SLACK"},
        {"kind": "teams", "url_env": "HOOK_OF_TEAMS"},
        {"kind": "email", "host": "127.0.0.1", "port": 1, "sender": "a@example.org", "to": ["b@example.org"],
         "user_env": "SMTP_USER", "password_env": "SMTP_PASSWORD"},
        {"kind": "command", "command": [sys.executable, "-c", KEEP, str(project / "told")]},
    ]  # fmt: skip
    file = project / "Pulumi.prod.yaml"
    config = yaml.safe_load(file.read_text())
    cutover = config["config"]["landfall:environment"]["cutover"]
    cutover["notices"] = notices
    file.write_text(yaml.safe_dump(config))
    administrator = config["config"]["landfall:environment"]["database"]["administrator"]
    variables = (administrator["password_env"], "SMTP_PASSWORD", *VARIABLES)
    for name, value in environment_canaries(canaries, variables).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SMTP_USER", "mailer")
    for name in ("HOOK_OF_SLACK", "HOOK_OF_TEAMS"):
        monkeypatch.setenv(
            name, f"{posted[0]}/services/{canaries.new(name)}?key={canaries.new(name + '_key')}"
        )
    monkeypatch.setattr("cutover.notices.notifier.LAST_SECONDS", 2.0)  # the mail server does not answer
    environment = Session.at(project, "prod", "boss-corestone").environment()
    assert isinstance(environment, Environment)
    world.environment = environment
    return canaries


def test_a_run_that_fails_goes_on_and_goes_back_shows_no_secret(
    cutover: Cutover, world: World, secrets: Canaries, posted: tuple[str, list[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """What fails quotes all that it knows, as careless programs do."""
    everything = " ".join(f"{name}={value}" for name, value in secrets.by_name.items())
    flips, asked = world.stacks.write_flips, [0]

    def careless(stack: str, keys: Any) -> None:
        asked[0] += 1
        if asked[0] == 1:
            raise StepError(f"{stack}: `up` failed: environment: {everything}")
        flips(stack, keys)

    monkeypatch.setattr(world.stacks, "write_flips", careless)
    calls = [cutover("preflight"), cutover("preview"), cutover("run")]
    assert calls[-1].code == 4
    assert "environment:" in calls[-1].out + calls[-1].err, (
        "the careless error is shown, without what it quotes"
    )
    calls += [cutover("run"), cutover("status"), cutover("status", "--json"), cutover("status", "--follow")]
    assert calls[-4].code == 0
    calls += [
        cutover("report"),
        cutover("report", "--json"),
        cutover("audit"),
        cutover("plan", "show", "--json"),
    ]
    calls += [cutover("plan", "export"), cutover("rollback"), cutover("report", "--output", "out")]
    assert calls[-2].code == 0

    hits = [f"call {number}: {hit}" for number, call in enumerate(calls) for hit in _in_call(call, secrets)]
    hits += secrets.found_in_files([cutover.project])
    hits += [hit for body in posted[1] for hit in secrets.found("a webhook's body", body)]
    hits += _in_page(Session.at(cutover.project, "prod", "boss-corestone"), secrets)
    assert hits == []
    assert posted[1], "notices were sent"
    assert (cutover.project / "told").read_text().count("\n") > 3, "the command was told"
    assert "***" in (cutover.project / ".cutover" / "prod.boss-corestone.jsonl").read_text()


def test_a_defect_shows_its_trace_and_no_secret(
    cutover: Cutover, world: World, secrets: Canaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: object) -> None:
        raise RuntimeError(f"a defect that quotes {secrets.by_name}")

    monkeypatch.setattr(world.stacks, "write_flips", defect)
    call = cutover("run")

    assert call.code == 1
    assert "Traceback" in call.err
    assert _in_call(call, secrets) == []
    assert secrets.found_in_files([cutover.project]) == []


def test_the_canaries_are_found_where_they_are(tmp_path: Path, canaries: Canaries) -> None:
    """Without masking this test's own net would have to catch them."""
    canary = canaries.new("a")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_text(f"x {canary[-32:]} y")
    assert canaries.found_in_files([tmp_path]) == [f"a in {tmp_path}/deep/file"]
    assert canaries.found("text", json.dumps({"b": canary})) == ["a in text"]
    assert canaries.found_in_error("error", ValueError(canary)) == ["a in error"]


def _in_call(call: Call, secrets: Canaries) -> list[str]:
    return secrets.found("standard output", call.out) + secrets.found("standard error", call.err)


def _in_page(session: Session, secrets: Canaries) -> list[str]:
    """In the page, its plan and what it is sent at first."""
    plan = session.plan()
    feed = Feed(session, plan, {})
    page = Page(feed, Deeds(session, plan), 0)
    thread = threading.Thread(target=page.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        link = urlsplit(page.link)
        host = f"{link.hostname}:{link.port}"
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.request("GET", f"/?{link.query}")
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, answer.status
        kind, event = feed.message(feed.wait(0, 0.0), None)
        assert kind == "everything"
        connection.close()
        return secrets.found("the page", body) + secrets.found("its events", event + feed.plan_json)
    finally:
        page.shutdown()
        page.server_close()
        thread.join()
        feed.close()
