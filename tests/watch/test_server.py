"""Who gets anything from the page's server, and what it costs it to be asked too much."""

from __future__ import annotations

import http.client
import json
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from cutover.approvals import digest
from cutover.plan import Plan
from cutover.session import Session
from cutover.watch.server import MOST_CONNECTIONS, Page
from tests.watch.stage import Puppet, make_plan, served

ASKED = "open the port"
Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture
def plan() -> Plan:
    return make_plan()


@pytest.fixture
def page(session: Session, plan: Plan) -> Iterator[Page]:
    with served(session, plan) as found:
        yield found


def ask(page: Page, method: str, path: str, body: bytes | None = None, **headers: str | None) -> Answer:
    """As the page itself would ask; a header of None is left out."""
    sent = {
        "Host": f"127.0.0.1:{page.server_port}",
        "Origin": f"http://127.0.0.1:{page.server_port}",
        "Cookie": f"landfall-{page.server_port}={page.token}",
        "X-CSRF-Token": page.csrf,
        "Content-Type": "application/json",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    connection = http.client.HTTPConnection("127.0.0.1", page.server_port, timeout=10)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in sent.items():
        if value is not None:
            connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    response = connection.getresponse()
    found = response.status, dict(response.getheaders()), response.read()
    connection.close()
    return found


def approval(**changed: object) -> bytes:
    given = {"step": "s1-3", "by": "Ann", "note": "done", "typed": "s1-3", "asked": digest(ASKED)}
    return json.dumps({**given, **changed}).encode()


def eventually(holds: Callable[[], object]) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.05)


def test_it_listens_on_loopback_alone(page: Page) -> None:
    assert page.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("path", ["/", "/?token=wrong", "/plan", "/events", "/page.js", "/page.css"])
def test_nobody_gets_anything_without_the_link(page: Page, path: str) -> None:
    code, _, body = ask(page, "GET", path, Cookie=None)
    assert (code, b"small" in body, page.csrf.encode() in body) == (403, False, False)


def test_the_link_gives_a_cookie_that_no_script_reads(page: Page) -> None:
    code, headers, body = ask(page, "GET", f"/?token={page.token}", Cookie=None, Origin=None)
    assert code == 200
    assert {"HttpOnly", "SameSite=Strict"} <= {part.strip() for part in headers["Set-Cookie"].split(";")}
    assert page.csrf.encode() in body
    assert page.token.encode() not in body
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": None}, 403),
        ({"Cookie": None}, 403),
        ({"Cookie": "landfall-1=x"}, 403),
        ({"X_CSRF_Token": None}, 403),
        ({"X_CSRF_Token": "é"}, 403),
        ({"Content_Type": "text/plain"}, 400),
    ],
)
def test_a_forged_request_changes_nothing(
    *, page: Page, plan: Plan, puppet: Puppet, session: Session, headers: Mapping[str, Any], code: int
) -> None:
    puppet.open(plan)
    puppet.wait_for("s1-3", ASKED)
    assert ask(page, "POST", "/approve", approval(), **headers)[0] == code
    assert not (session.folder / "approvals").exists()
    assert ask(page, "POST", "/approve", approval())[0] == 200
    assert session.approvals.take("s1-3", ASKED, plan.hash, 0) is not None


def test_effects_are_not_to_be_had_by_get(page: Page) -> None:
    assert ask(page, "GET", "/approve")[0] == 404
    assert ask(page, "GET", "/rollback")[0] == 404


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"typed": "yes"}, "type s1-3"),
        ({"by": " "}, "needs a name"),
        ({"asked": digest("something else")}, "asks for something else"),
        ({"step": "s1-1", "typed": "s1-1"}, "does not wait"),
        ({"step": "none", "typed": "none"}, "no step 'none'"),
        ({"note": 5}, "expected text"),
        ({"note": "x" * 3000}, "at most 2000"),
    ],
)
def test_an_approval_that_does_not_fit_is_refused(
    *, page: Page, plan: Plan, puppet: Puppet, session: Session, changed: Mapping[str, Any], says: str
) -> None:
    puppet.open(plan)
    puppet.wait_for("s1-3", ASKED)
    code, _, body = ask(page, "POST", "/approve", approval(**changed))
    assert code == 409
    assert says in json.loads(body)["error"]
    assert not (session.folder / "approvals").exists()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"x" * 20_000, b"\xff"])
def test_what_is_not_json_is_refused(page: Page, body: bytes) -> None:
    assert ask(page, "POST", "/approve", body)[0] == 400


def test_a_rollback_stops_the_runner_and_starts_a_process_of_its_own(
    session: Session, plan: Plan, puppet: Puppet
) -> None:
    puppet.open(plan)
    puppet.do("s1-1", "s1-2", "s1-3", "s2-1")
    told = json.dumps({"to": "s1", "by": "Ann", "typed": "roll back to s1"}).encode()
    with served(session, plan, program=(sys.executable, "-c", "import sys; print(sys.argv[1:])")) as page:
        assert ask(page, "POST", "/rollback", told.replace(b"to s1", b"to s2"))[0] == 409
        assert puppet.process.poll() is None
        assert ask(page, "POST", "/rollback", told)[0] == 200
        eventually(lambda: (page.deeds.asked() or {}).get("state") == "done")
    assert puppet.process.wait(10) == 7
    assert session.history().outcome == "interrupted"
    log = (session.folder / "prod.small.rollback.log").read_text()
    assert "asked for by Ann" in log
    assert "'rollback', '--to', 's1']" in log


def test_behind_the_point_of_no_return_nothing_is_rolled_back(session: Session, puppet: Puppet) -> None:
    plan = make_plan(no_return="s1-2")
    puppet.open(plan)
    puppet.do("s1-1", "s1-2")
    with served(session, plan) as page:
        told = json.dumps({"to": "", "by": "Ann", "typed": "roll back to the start"}).encode()
        code, _, body = ask(page, "POST", "/rollback", told)
    assert (code, "no return" in json.loads(body)["error"]) == (409, True)
    assert puppet.process.poll() is None


def test_a_flood_of_connections_is_turned_away_and_the_page_goes_on(page: Page) -> None:
    address = ("127.0.0.1", page.server_port)
    flood = [socket.create_connection(address, timeout=10) for _ in range(MOST_CONNECTIONS + 60)]
    turned_away = 0
    for connection in flood[-30:]:
        connection.settimeout(5)
        try:
            turned_away += connection.recv(1) == b""
        except ConnectionResetError:
            turned_away += 1
    assert turned_away == 30
    for connection in flood:
        connection.close()
    eventually(lambda: _answers(page))


def _answers(page: Page) -> bool:
    try:
        return ask(page, "GET", "/plan")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def events(page: Page, count: int) -> list[tuple[str, dict[str, Any]]]:
    """The first events that a page which is opened now gets; signs of life left out."""
    found: list[tuple[str, dict[str, Any]]] = []
    with socket.create_connection(("127.0.0.1", page.server_port), timeout=20) as connection:
        cookie = f"landfall-{page.server_port}={page.token}"
        connection.sendall(
            f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{page.server_port}\r\nCookie: {cookie}\r\n\r\n".encode()
        )
        with connection.makefile("rb") as lines:
            name = ""
            for line in lines:
                if line.startswith(b"event: "):
                    name = line[7:].strip().decode()
                elif line.startswith(b"data: ") and name != "beat":
                    found.append((name, json.loads(line[6:])))
                    if len(found) == count:
                        return found
    raise AssertionError(f"the events ended after {len(found)}")


def test_who_opens_it_late_is_told_what_the_others_were(page: Page, plan: Plan, puppet: Puppet) -> None:
    puppet.open(plan)
    puppet.do("s1-1")
    eventually(lambda: page.feed.wait(0, 0).head["records"] == 4)
    ((name, first),) = events(page, 1)
    assert (name, first["condition"], first["now"]) == ("everything", "under way", "s1-2")
    puppet.begin("s1-2")
    puppet.end("s1-2", "failed", "the port <b>is closed</b>")
    puppet.finish("halted", "the port is closed", reached=False)
    eventually(lambda: page.feed.wait(0, 0).head["condition"] == "halted")
    ((_, late),) = events(page, 1)
    assert late["steps"]["s1-1"]["status"] == "done"
    assert late["steps"]["s1-2"]["error"] == "the port <b>is closed</b>"
    assert [line["text"] for line in late["lines"]][-1] == "the run ended: halted: the port is closed"
    assert late["lines"][: len(first["lines"])] == first["lines"]


def test_a_runner_that_died_is_told_from_one_that_halted(page: Page, plan: Plan, puppet: Puppet) -> None:
    puppet.open(plan)
    puppet.begin("s1-1")
    puppet.kill()
    eventually(lambda: page.feed.wait(0, 0).head["condition"] == "runner died")
    assert page.feed.wait(0, 0).head["command"].endswith("run")


def test_a_damaged_journal_is_said_on_the_page(
    page: Page, plan: Plan, puppet: Puppet, session: Session
) -> None:
    puppet.open(plan)
    eventually(lambda: page.feed.wait(0, 0).head["records"] == 2)
    with session.journal_path.open("ab") as file:
        file.write(b"rubbish\n")
    eventually(lambda: "damaged in record 2" in page.feed.wait(0, 0).head["error"])


def test_a_journal_that_is_gone_is_not_a_cutover_that_was_not_begun(
    page: Page, plan: Plan, puppet: Puppet, session: Session
) -> None:
    puppet.open(plan)
    puppet.do("s1-1")
    eventually(lambda: page.feed.wait(0, 0).head["done"] == 1)
    session.journal_path.rename(session.journal_path.with_suffix(".kept"))
    eventually(lambda: "is gone" in page.feed.wait(0, 0).head["error"])
    assert page.feed.wait(0, 0).head["done"] == 1
    session.journal_path.with_suffix(".kept").rename(session.journal_path)
    eventually(lambda: not page.feed.wait(0, 0).head["error"])
