"""The judge: every lost and every duplicated write is found, on logs made for it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import uuid
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.database import Login, connect
from lab.services.ledger import TABLES
from lab.traffic import log
from lab.traffic.client import Result
from lab.traffic.figures import Held, Switches, losses, percentile, series, traffic
from lab.traffic.http import Response
from lab.traffic.judge import judge
from lab.traffic.results import judge_result
from lab.traffic.schedule import Kind, Planned, arrivals

SOURCE, TARGET = "203.0.113.10", "203.0.113.64"


def made(number: int, kind: Kind = "record", outcome: log.Outcome = "ok", **changes: Any) -> log.Request:
    """A request, due `number` tenths of a second after the start."""
    request = log.Request(
        at=number / 10,
        ms=5.0,
        kind=kind,
        id=str(uuid.UUID(int=number)),
        amount="1.00",
        client=0,
        stale=False,
        address=SOURCE,
        status=201,
        outcome=outcome,
        contradicted=False,
        error=None,
        repeats=0,
    )
    return request._replace(**changes)


def held(*requests: log.Request) -> dict[str, dict[str, list[Decimal]]]:
    """A database that holds each of these writes, as often as it is named."""
    database: dict[str, dict[str, list[Decimal]]] = {"record": {}, "usage": {}}
    for request in requests:
        database[request.kind].setdefault(request.id, []).append(Decimal(request.amount))
    return database


def of(*requests: log.Request) -> log.Log:
    return log.Log(1000.0, {}, list(requests))


@given(
    st.lists(st.sampled_from(["kept", "lost", "twice", "altered", "other table"]), max_size=40), st.randoms()
)
def test_exactly_the_lost_and_the_duplicated_writes_are_found(
    fates: list[str], chance: random.Random
) -> None:
    writes = [made(number, chance.choice(["record", "usage"])) for number in range(len(fates))]
    present: list[log.Request] = []
    for write, fate in zip(writes, fates, strict=True):
        match fate:
            case "kept":
                present.append(write)
            case "twice":
                present += [write, write]
            case "altered":
                present.append(write._replace(amount="1.01"))
            case "other table":
                present.append(write._replace(kind="usage" if write.kind == "record" else "record"))
    chance.shuffle(present)
    found = losses(of(*writes), held(*present))
    gone = {"lost", "altered", "other table"}
    assert found.lost == [w.id for w, fate in zip(writes, fates, strict=True) if fate in gone]
    assert found.duplicated == [w.id for w, fate in zip(writes, fates, strict=True) if fate == "twice"]


def test_a_write_of_unknown_outcome_may_be_there_or_not_but_not_twice() -> None:
    there, absent, twice = (made(number, outcome="unknown") for number in range(3))
    found = losses(of(there, absent, twice), held(there, twice, twice))
    assert (found.lost, found.duplicated) == ([], [twice.id])


def test_reads_are_no_writes_and_rows_of_others_do_not_matter() -> None:
    found = losses(of(made(1, "read")), held(made(2), made(2)))
    assert (found.lost, found.duplicated) == ([], [])


def test_the_traffic_section_counts_what_clients_saw() -> None:
    requests = [
        made(0),
        made(10, ms=25.0),
        made(12, "usage", stale=True),
        made(20, "read", address=TARGET, ms=8.0),
        made(21, "read", "failed", contradicted=True, address=TARGET, ms=9.0),
        made(22, outcome="unknown", stale=True, address=TARGET, ms=10_000.0),
        made(23, outcome="failed", address=None),
    ]
    log_ = of(*requests)
    section = traffic(log_, losses(log_, held(*requests[:3])), [SOURCE])
    assert section == {
        "requests": 7,
        "failed": 3,
        "reads_failed": 1,
        "unknown_outcome": 1,
        "held": {"count": 0, "max_ms": 0},
        "writes_acknowledged": 3,
        "writes_lost": 0,
        "writes_duplicated": 0,
        "write_gap_ms": {"p50": 180.0, "p99": 1020.0, "max": 1020.0},
        "latency_ms": {"source_p50": 5.0, "source_p99": 25.0, "target_p50": 9.0, "target_p99": 10_000.0},
        "refused": None,
        "stale_clients": {"requests": 2, "failed": 1},
    }


def test_held_are_those_that_were_under_way_while_requests_were_parked() -> None:
    """The log begins at 1000 s; requests were held from 1001.0 s to 1001.5 s."""
    requests = [
        made(5),  # ended before
        made(9, ms=150.0),  # in flight when the gate was closed
        made(12, ms=310.0),
        made(14, ms=120.0),
        made(16),  # began behind it
    ]
    section = traffic(of(*requests), losses(of(), held()), [SOURCE], Switches(parked=[(1001.0, 1001.5)]))
    assert section["held"] == {"count": 3, "max_ms": 310.0}


def test_an_empty_log_has_no_figures_and_no_faults() -> None:
    section = traffic(of(), losses(of(), held()), [])
    assert section["requests"] == section["failed"] == section["writes_lost"] == 0
    assert section["write_gap_ms"] == {"p50": None, "p99": None, "max": None}
    assert series(of(), [])["seconds"] == []


def test_the_series_has_every_second_also_an_empty_one() -> None:
    requests = [made(1), made(2, address=TARGET, ms=7.0), made(25, outcome="failed", address=None)]
    seconds = series(of(*requests), [SOURCE])["seconds"]
    assert isinstance(seconds, list)
    assert [(s["requests"], s["failed"], s["source"], s["target"]) for s in seconds] == [
        (2, 0, 1, 1),
        (0, 0, 0, 0),
        (1, 1, 0, 0),
    ]
    assert (seconds[0]["p50_ms"], seconds[0]["p99_ms"], seconds[1]["p50_ms"]) == (5.0, 7.0, None)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.integers(1, 100))
def test_a_percentile_is_a_value_that_enough_values_do_not_exceed(values: list[float], percent: int) -> None:
    found = percentile(sorted(values), percent)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= percent * len(values)
    assert sum(value < found for value in values) * 100 < percent * len(values)


@pytest.mark.parametrize(
    ("kind", "result", "outcome", "contradicted"),
    [
        ("record", Result(SOURCE, Response(201, b""), None, True, 0), "ok", False),
        ("usage", Result(SOURCE, Response(202, b""), None, True, 0), "ok", False),
        ("record", Result(SOURCE, Response(200, b""), None, True, 0), "failed", False),
        ("record", Result(SOURCE, Response(404, b""), None, True, 0), "failed", False),
        ("record", Result(SOURCE, Response(503, b""), None, True, 0), "unknown", False),
        ("record", Result(SOURCE, None, "timeout", True, 0), "unknown", False),
        ("record", Result(None, None, "timeout", False, 0), "failed", False),
        ("read", Result(SOURCE, Response(200, b'{"amount": "1.0"}'), None, True, 1), "ok", False),
        ("read", Result(SOURCE, Response(200, b'{"amount": "2.00"}'), None, True, 0), "failed", True),
        ("read", Result(SOURCE, Response(200, b"<html>"), None, True, 0), "failed", True),
        ("read", Result(SOURCE, Response(404, b""), None, True, 0), "failed", True),
        ("read", Result(SOURCE, Response(503, b""), None, True, 0), "failed", False),
        ("read", Result(SOURCE, None, "timeout", True, 0), "failed", False),
    ],
)
def test_what_a_client_makes_of_a_result(
    kind: Kind, result: Result, outcome: str, contradicted: bool
) -> None:
    planned = Planned(1.0, 0, kind, str(uuid.UUID(int=1)), "1.00", 0.0)
    request = judge_result(planned, False, result, 0.01)
    assert (request.outcome, request.contradicted) == (outcome, contradicted)
    assert (request.error is None) == (outcome == "ok")


def test_arrivals_are_decided_by_the_seed_and_have_the_rate_and_the_mix() -> None:
    first = list(islice(arrivals(200.0, 40, 7), 20_000))
    assert first == list(islice(arrivals(200.0, 40, 7), 20_000))
    assert first[:5] != list(islice(arrivals(200.0, 40, 8), 5))
    assert len({planned.id for planned in first}) == len(first)
    assert {planned.client for planned in first} == set(range(40))
    assert 0.95 < first[-1].at / 100 < 1.05
    share = {
        kind: sum(planned.kind == kind for planned in first) / len(first)
        for kind in ("record", "usage", "read")
    }
    assert share["read"] == pytest.approx(2 / 3, abs=0.02)
    assert share["record"] == pytest.approx(share["usage"], abs=0.02)
    with pytest.raises(ValueError, match="above 0"):
        next(arrivals(0, 1, 1))


LINES = [log.header(1000.0, {"rate": 1}), log.line(made(1)), log.footer({})]


def test_a_log_is_read_as_it_was_written() -> None:
    read = log.parse(LINES, "the log")
    assert (read.started, read.settings, read.requests) == (1000.0, {"rate": 1}, [made(1)])


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], "line 1: not the start of a log"),
        (['{"schema": 1, "started": 1, "settings": {}}\n'], "expected the schema 2, found 1"),
        (LINES[:2], "cut off after 1 requests"),
        ([*LINES, LINES[1]], "line 4: there is more"),
        ([LINES[0], LINES[1][:30], LINES[2]], "line 2"),
        ([LINES[0], LINES[1].replace('"ok"', '"fine"'), LINES[2]], "line 2"),
        ([LINES[0], LINES[1].replace('"at"', '"ta"'), LINES[2]], "line 2"),
    ],
)
def test_a_log_that_is_not_whole_is_one_clear_error(lines: list[str], complaint: str) -> None:
    with pytest.raises(log.LogError, match="the log") as raised:
        log.parse(lines, "the log")
    assert complaint in str(raised.value)


def test_buffers_may_drain_before_anything_is_called_lost() -> None:
    late = made(1, "usage")
    answers: list[Held] = [held(), held(), held(late)]
    verdict = judge(of(late), lambda: answers.pop(0), [SOURCE], drain_seconds=30.0)
    assert verdict.losses.lost == []
    assert answers == []
    verdict = judge(of(late), held, [SOURCE], drain_seconds=0.0)
    assert verdict.losses.lost == [late.id]
    assert verdict.traffic["writes_lost"] == 1


def test_the_judge_reads_a_real_database(database: Login, tmp_path: Path) -> None:
    kept, lost, twice = made(1), made(2, "usage"), made(3, "usage")
    with connect(database) as connection, connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"CREATE TABLE {table} (client_id CHAR(36), amount DECIMAL(12, 2))")
        cursor.execute("INSERT INTO records VALUES (%s, 1.00)", (kept.id,))
        cursor.execute("INSERT INTO usage_records VALUES (%s, 1.00), (%s, 1.00)", (twice.id, twice.id))
    requests, login, out = tmp_path / "requests.jsonl", tmp_path / "login.json", tmp_path / "traffic.json"
    requests.write_text("".join([LINES[0], *map(log.line, (kept, lost, twice)), LINES[2]]))
    database.write(login)
    assert login.stat().st_mode & 0o077 == 0
    command = [
        "--requests",
        str(requests),
        "--database",
        str(login),
        "--out",
        str(out),
        "--drain-seconds",
        "0",
    ]
    ended = subprocess.run(
        [sys.executable, "-m", "lab.traffic", "judge", *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    section = json.loads(out.read_text())
    assert (section["writes_acknowledged"], section["writes_lost"], section["writes_duplicated"]) == (3, 1, 1)
    assert f"lost: {lost.id}" in ended.stdout
    assert f"duplicated: {twice.id}" in ended.stdout
    assert json.loads((tmp_path / "series.json").read_text())["seconds"][0]["requests"] == 3


@pytest.mark.parametrize("content", [None, "{", '{"host": "x"}', "[]"])
def test_a_wrong_login_file_is_one_clear_error(tmp_path: Path, content: str | None) -> None:
    requests, login = tmp_path / "requests.jsonl", tmp_path / "login.json"
    requests.write_text("".join(LINES))
    if content is not None:
        login.write_text(content)
    command = ["--requests", str(requests), "--database", str(login), "--out", str(tmp_path / "o")]
    ended = subprocess.run(
        [sys.executable, "-m", "lab.traffic", "judge", *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert str(login) in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_what_fails_while_writes_are_refused_is_counted_by_itself() -> None:
    """The log begins at 1000 s; services were restarted from 1001.0 s to 1001.5 s."""
    requests = [
        made(5, outcome="failed"),  # before
        made(11, outcome="failed"),
        made(12, outcome="unknown"),
        made(13),
        made(16, outcome="unknown"),  # after
    ]
    switches = Switches(refused=[(1001.0, 1001.5)])
    section = traffic(of(*requests), losses(of(), held()), [SOURCE], switches)
    assert section["refused"] == {"failed": 2, "unknown_outcome": 1, "seconds": 0.5}
    assert (section["failed"], section["unknown_outcome"]) == (4, 2)
    assert traffic(of(*requests), losses(of(), held()), [SOURCE])["refused"] is None
