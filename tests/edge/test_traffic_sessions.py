"""Users with sessions: they log in, use the session, and a session that is not known any more is counted."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from lab.clouds.calls import count, failed_calls
from lab.traffic import log
from lab.traffic.figures import sessions
from lab.traffic.generate import Generator, Load
from lab.traffic.judge import Settlements, settlements
from lab.traffic.schedule import RECORDS_ALONE, WITH_SESSIONS, Kind, arrivals
from lab.traffic.user import Account
from tests.edge.fake_service import Call, serving
from tests.edge.support import DOMAIN, LOOPBACK, certificates, dns_server, run
from tests.edge.test_traffic_client import Name

CORESTONE = "corestone.truewatch.com"
PERIOD = timedelta(minutes=1)
NOON = datetime(2026, 2, 1, 12, 0)  # noqa: DTZ001 - the database's own UTC without a zone


class Both:
    """BOSS and Corestone in one, with sessions that can be forgotten."""

    def __init__(self) -> None:
        self.amounts: dict[str, str] = {}
        self.users: dict[str, str] = {}
        self.wrong: list[str] = []
        self.begun = 0

    async def serve(self, call: Call) -> None:
        body = json.loads(call.body) if call.body else {}
        match call.method, call.path:
            case "POST", "/records" | "/usage":
                self.amounts[body["id"]] = body["amount"]
                await call.answer(201 if call.path == "/records" else 202)
            case "POST", "/login" | "/sessions":
                if body["password"] != f"password of {body['user']}":
                    self.wrong.append(body["user"])
                self.begun += 1
                token = f"{call.path[1:]}-{self.begun}"
                self.users[token] = body["user"]
                await call.answer(201, json.dumps({"token": token}).encode())
            case "GET", "/me":
                await self._user(call, call.headers.get("authorization", "").removeprefix("Bearer "))
            case "GET", path if path.startswith("/sessions/"):
                await self._user(call, path.removeprefix("/sessions/"))
            case _:
                amount = self.amounts.get(call.path.rpartition("/")[2])
                await call.answer(200 if amount else 404, json.dumps({"amount": amount}).encode())

    async def _user(self, call: Call, token: str) -> None:
        user = self.users.get(token)
        await call.answer(200 if user else 401, json.dumps({"user": user}).encode())


def go(tmp_path: Path, service: Both, **changes: object) -> log.Log:
    """The log of a run of three seconds."""
    out = tmp_path / "requests.jsonl"

    async def test() -> None:
        ca, context = certificates(tmp_path, DOMAIN, CORESTONE)
        async with AsyncExitStack() as stack:
            served = await stack.enter_async_context(serving(context, service.serve))
            dns_port = await stack.enter_async_context(dns_server(Name().lookup))
            accounts = tuple(Account(f"user-{n}", f"password of user-{n}") for n in range(6))
            settings = {
                "rate": 150.0, "seconds": 3.0, "stop_file": None, "domain": DOMAIN, "port": served.port,
                "resolver": LOOPBACK, "resolver_port": dns_port, "ca": ca, "source": None, "clients": 6,
                "stale_clients": 2, "seed": 3, "corestone": CORESTONE, "accounts": accounts,
            }  # fmt: skip
            generator = Generator(Load(**{**settings, **changes}), out, tmp_path / "live.json")  # type: ignore[arg-type]
            running = asyncio.create_task(generator.run())
            if isinstance(service, Forgetful):
                while len(service.amounts) < 50:
                    await asyncio.sleep(0.01)
                service.users.clear()
            await running

    run(test)
    return log.read(out)


class Forgetful(Both):
    """Loses its sessions once."""


def test_users_log_in_at_both_services_and_use_their_sessions(tmp_path: Path) -> None:
    service = Both()
    found = go(tmp_path, service)
    kinds = Counter(request.kind for request in found.requests)
    assert kinds.keys() == WITH_SESSIONS.keys()
    assert {request.outcome for request in found.requests} == {"ok"}
    assert service.wrong == []
    assert {request.id for request in found.requests if request.kind in ("login", "check")} <= {
        f"user-{number}" for number in range(6)
    }
    assert sessions(found) == {
        "begun": kinds["login"] + kinds["begin"],
        "used": kinds["me"] + kinds["check"],
        "lost": 0,
    }
    text = (tmp_path / "requests.jsonl").read_text()
    assert "password" not in text
    assert "sessions-" not in text  # no token


def test_lost_sessions_are_failed_requests_and_counted_and_begun_again(tmp_path: Path) -> None:
    found = go(tmp_path, Forgetful())
    lost = [request for request in found.requests if request.lost_session]
    assert 1 <= len(lost) <= 60  # each user at most once at each service, but for requests under way
    assert {(request.outcome, request.error) for request in lost} == {("failed", "the session is lost")}
    assert sessions(found)["lost"] == len(lost)
    assert {request.outcome for request in found.requests if not request.lost_session} == {"ok"}
    uses = [request for request in found.requests if request.kind in ("me", "check")]
    assert uses[-1].outcome == "ok"


def test_fewer_accounts_than_clients_end_the_run_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 accounts for 6 clients"):
        go(tmp_path, Both(), accounts=(Account("a", "b"),))


@pytest.mark.parametrize("shares", [RECORDS_ALONE, WITH_SESSIONS])
def test_the_mix_is_as_it_is_said(shares: Mapping[Kind, float]) -> None:
    assert sum(shares.values()) == pytest.approx(1)
    drawn = Counter(planned.kind for planned in islice(arrivals(100, 5, 7, shares), 20_000))
    for kind, share in shares.items():
        assert drawn[kind] / 20_000 == pytest.approx(share, abs=0.015)


def row(period: int, begin: float, end: float) -> tuple[datetime, datetime, datetime]:
    """A settlement; all in minutes after noon."""
    return NOON + period * PERIOD, NOON + begin * PERIOD, NOON + end * PERIOD


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([], Settlements(0, [], 0, 0)),
        ([row(0, -9, 0), row(1, 0, 1), row(2, 1, 2)], Settlements(3, [], 0, 0)),
        ([row(0, -9, 0), row(0, 0, 0)], Settlements(2, ["2026-02-01 12:00"], 0, 0)),
        ([row(0, -9, 0), row(0, -9, 0)], Settlements(2, ["2026-02-01 12:00"], 1, 0)),
        ([row(0, -9, 0), row(3, 0, 3)], Settlements(2, [], 0, 2)),
    ],
)
def test_settlements_that_ran_twice_overlap_or_are_missed_are_found(
    rows: list[tuple[datetime, datetime, datetime]], found: Settlements
) -> None:
    assert settlements(rows) == found


def test_failed_calls_are_counted_by_caller_from_when_it_matters(tmp_path: Path) -> None:
    lines = [
        "2026-02-01 12:00:01,500 INFO lab.services.web automata-1 listens on 0.0.0.0:8080",
        "2026-02-01 12:00:02,500 WARNING lab.services.caller GET http://x/records?after=0: status 503",
        "2026-02-01 12:00:04,500 WARNING lab.services.caller GET http://x/records?after=0: TimeoutError: ",
        "2026-02-01 12:00:05,500 WARNING lab.services.web GET /state: OSError: x",
        '{"moment":1.0,"path":"/state"}',
        "Traceback (most recent call last):",
    ]
    since = datetime(2026, 2, 1, 12, 0, 3).astimezone().timestamp()
    assert count(lines, 0) == 2
    assert count(lines, since) == 1
    for cluster, name in (
        ("automata", "automata_automata-x_automata"),
        ("huawei", "t_inner-app-y_inner-app"),
    ):
        logs = tmp_path / cluster / "node" / "logs"
        logs.mkdir(parents=True)
        (logs / f"{name}.log").write_text("\n".join(lines))
    assert failed_calls(tmp_path, since) == {"automata/automata": 1, "huawei/inner-app": 1}
