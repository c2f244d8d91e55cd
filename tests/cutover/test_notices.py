"""Who is told of what, and that nobody who does not answer delays a run."""

from __future__ import annotations

import json
import smtplib
import ssl
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import TypeAdapter

from cutover.clock import SystemClock
from cutover.journal import Journal, Record, read_journal
from cutover.notices import notifier, send
from cutover.notices.happenings import Happening, Teller
from cutover.notices.notifier import Notifier
from cutover.notices.send import SendError
from cutover.plan import Plan
from stacks.settings.notices import Notice
from tests.cutover.driver import BACKWARDS, drive
from tests.cutover.world import World
from tests.watch.stage import make_plan

ITEM = Happening(3, "2026-01-01T00:00:00+00:00", "halt", "BOSS (prod): halted", "a <b>reason</b> & more")


def notice(**settings: Any) -> Notice:
    found: Notice = TypeAdapter(Notice).validate_python(settings)
    return found


@contextmanager
def webhook(status: int = 200, delay: float = 0) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address, and what is posted to it."""
    got: list[dict[str, Any]] = []
    held = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            held.wait(delay)
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/services/SECRET?key=CANARY", got
        held.set()
        server.shutdown()
        thread.join()


def test_a_whole_run_and_its_rollback_are_told(world: World, plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    drive(world, plan, path)
    drive(world, plan, path, BACKWARDS)
    teller = Teller(plan, "cutover")
    told = [item for record in read_journal(path).records if (item := teller.read(record))]

    titles = [item.title.partition(": ")[2] for item in told]
    for stage in plan.stages:
        assert titles.index(f"stage {stage.id} begins") < titles.index(f"stage {stage.id} is done")
    assert "Owner of the Huawei account: open-database waits for you" in titles
    assert titles.index("succeeded") < titles.index("going back to the start") < titles.index("rolled back")
    waiting = next(item for item in told if item.kind == "waiting")
    assert "cutover approve open-database" in waiting.text


def test_slack_and_teams_get_text_that_is_not_read_as_markup() -> None:
    with webhook() as (address, got):
        for kind in ("slack", "teams"):
            send.send(notice(kind=kind, url_env="HOOK"), ITEM, {"HOOK": address})
    slack, teams = got
    assert slack == {"text": "*BOSS (prod): halted*\na &lt;b&gt;reason&lt;/b&gt; &amp; more"}
    body = teams["attachments"][0]["content"]["body"]
    assert [block["type"] for block in body] == ["RichTextBlock", "RichTextBlock"]
    assert body[1]["inlines"][0]["text"] == ITEM.text


@pytest.mark.parametrize(("status", "final"), [(302, True), (404, True), (429, False), (503, False)])
def test_an_answer_that_is_not_good_is_an_error_without_the_secret(status: int, final: bool) -> None:
    with webhook(status) as (address, _), pytest.raises(SendError, match=str(status)) as caught:
        send.send(notice(kind="slack", url_env="HOOK"), ITEM, {"HOOK": address})
    assert caught.value.final is final
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("", "HOOK is not set"),
        ("http://hooks.example.org/SECRET", "https://"),
        ("https://127.0.0.1:1/SECRET", "refused"),
        ("SECRET\nSECRET", "https://"),
        ("https://127.0.0.1:1/SEC RET\r\n", "***"),
        ("https://[SECRET/", "not an address"),
        ("https://127.0.0.1:SECRET/", "not an address"),
    ],
)
def test_a_webhook_that_cannot_be_used_is_told_of_without_the_secret(address: str, says: str) -> None:
    with pytest.raises(SendError) as caught:
        send.send(notice(kind="teams", url_env="HOOK"), ITEM, {"HOOK": address})
    assert says.lower() in str(caught.value).lower()
    assert "SECRET" not in str(caught.value)


def test_a_command_gets_the_notice_and_no_secrets(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    program = tmp_path / "told"
    program.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        f"json.dump([json.load(sys.stdin), dict(os.environ)], open({str(out)!r}, 'w'))\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    send.send(notice(kind="command", command=[str(program)]), ITEM, {"PATH": "/usr/bin", "DB_PASSWORD": "x"})
    told, environment = json.loads(out.read_text())
    assert (told["kind"], told["title"], "DB_PASSWORD" in environment) == ("halt", ITEM.title, False)


def test_a_command_that_fails_or_hangs_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SendError, match="ended with 3: no"):
        send.send(notice(kind="command", command=["sh", "-c", "echo no >&2; exit 3"]), ITEM, {"PATH": "/bin"})
    monkeypatch.setattr(send, "COMMAND_SECONDS", 0.2)
    with pytest.raises(SendError, match="took longer"):
        send.send(notice(kind="command", command=["sh", "-c", "sleep 60 & wait"]), ITEM, {"PATH": "/bin"})
    with pytest.raises(SendError, match="FileNotFoundError"):
        send.send(notice(kind="command", command=["/none"]), ITEM, {})


def write(path: Path, plan: Plan, clock: Any = None) -> Callable[..., Record]:
    journal = Journal(path, 1, clock or SystemClock())
    journal.append("opened", {"plan": plan.id, "plan_hash": plan.hash, "environment": plan.environment})
    return lambda kind, **data: journal.append(kind, data)


def eventually(holds: Callable[[], object]) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.02)


def test_a_channel_that_hangs_delays_neither_the_others_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier, "LAST_SECONDS", 0.5)
    plan, path = make_plan(), tmp_path / "j.jsonl"
    said: list[str] = []
    got: list[str] = []
    append = write(path, plan)
    release = threading.Event()

    def send_one(to: Notice, item: Happening) -> None:
        if to.kind == "slack":
            release.wait(30)
        else:
            got.append(item.title)

    notices = (notice(kind="slack", url_env="HOOK"), notice(kind="command", command=["x"]))
    begun = time.monotonic()
    with Notifier(plan, notices, path, said.append, send_one=send_one):
        append("intent", step="s1-1", direction="forward")
        append("finished", outcome="halted", reason="no", step="s1-1", reached=False)
        eventually(lambda: len(got) == 2)
    assert time.monotonic() - begun < 25
    assert said == []
    release.set()


def test_what_failed_is_tried_again(tmp_path: Path) -> None:
    plan, path, tries = make_plan(), tmp_path / "j.jsonl", []
    append = write(path, plan)

    def second_time(to: Notice, item: Happening) -> None:
        tries.append(item.title)
        if len(tries) == 1:
            raise SendError("no answer")

    with Notifier(plan, (notice(kind="slack", url_env="HOOK"),), path, print, send_one=second_time):
        append("finished", outcome="halted", reason="no", step="s1-1", reached=False)
        eventually(lambda: len(tries) == 2)
    assert tries[0] == tries[1]


def test_what_a_run_left_untold_is_told_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier, "LAST_SECONDS", 0.1)
    plan, path, got, tries = make_plan(), tmp_path / "j.jsonl", [], []
    append = write(path, plan)
    channel = (notice(kind="slack", url_env="HOOK"),)

    def never(to: Notice, item: Happening) -> None:
        tries.append(item.title)
        raise SendError("no answer")

    with Notifier(plan, channel, path, print, send_one=never):
        append("finished", outcome="halted", reason="no", step="s1-1", reached=False)
        eventually(lambda: tries)
    with Notifier(plan, channel, path, print, send_one=lambda _, item: got.append(item.title)):
        eventually(lambda: got)
    with Notifier(plan, channel, path, print, send_one=lambda _, item: got.append(item.title)):
        append("finished", outcome="succeeded", reason="", step="", reached=True)
        eventually(lambda: len(got) == 2)
    assert [title.rpartition(": ")[2] for title in got] == ["halted in s1-1", "succeeded"]


class Mail:
    """Stands where smtplib.SMTP does, and remembers."""

    sent: ClassVar[list[tuple[str, object]]] = []

    def __init__(self, host: str, port: int, timeout: float) -> None:
        self.sent.append(("connect", (host, port)))

    def __enter__(self) -> Mail:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def starttls(self, context: ssl.SSLContext) -> None:
        self.sent.append(("starttls", context.verify_mode))

    def login(self, user: str, password: str) -> None:
        self.sent.append(("login", user))
        if password != "right":
            raise smtplib.SMTPAuthenticationError(535, f"no: {password}".encode())

    def send_message(self, message: EmailMessage) -> None:
        self.sent.append(("message", message))


EMAIL: dict[str, Any] = {
    "kind": "email", "host": "smtp.example.org", "sender": "cutover@example.org", "to": ["a@example.org"],
    "user_env": "SMTP_USER", "password_env": "SMTP_PASSWORD",
}  # fmt: skip


def test_an_email_is_sent_encrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtplib, "SMTP", Mail)
    monkeypatch.setattr(Mail, "sent", [])
    item = Happening(1, "2026-01-01", "halt", "two\r\nBcc: b@example.org", "what happened")
    send.send(notice(**EMAIL), item, {"SMTP_USER": "me", "SMTP_PASSWORD": "right"})

    assert [what for what, _ in Mail.sent] == ["connect", "starttls", "login", "message"]
    assert Mail.sent[1][1] == ssl.CERT_REQUIRED
    message = Mail.sent[3][1]
    assert isinstance(message, EmailMessage)
    assert (message["Subject"], message["Bcc"]) == ("two Bcc: b@example.org", None)
    assert "what happened" in message.get_content()


def test_a_login_that_fails_is_told_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtplib, "SMTP", Mail)
    with pytest.raises(SendError, match="no: ") as caught:
        send.send(notice(**EMAIL), ITEM, {"SMTP_USER": "me", "SMTP_PASSWORD": "CANARY"})
    assert "CANARY" not in str(caught.value)
    with pytest.raises(SendError, match="SMTP_PASSWORD is not set"):
        send.send(notice(**EMAIL), ITEM, {"SMTP_USER": "me"})
