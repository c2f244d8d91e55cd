"""The judge of the second plan finds what is missing, and takes nothing else for it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from lab.rhoam import judge, snapshot
from lab.rhoam.judge import Request, Rows


def request(kind: str, status: int = 201, **fields: Any) -> Request:
    return Request(kind, 1.0, 5.0, status, "customer", {"kind": kind, "tenant": "customer", **fields})


def test_values_of_both_kinds_of_database_are_the_same() -> None:
    pairs = [
        ("bool", 1, True),
        ("maybe", 0, False),
        ("maybe", None, None),
        ("bytes", b"\x00\xff", memoryview(b"\x00\xff")),
        ("money", Decimal("1.5"), Decimal("1.5000")),
        (
            "time",
            datetime(2020, 2, 29, 1, tzinfo=UTC).replace(tzinfo=None),
            datetime(2020, 2, 29, 1, tzinfo=UTC),
        ),
        ("date", date(1969, 7, 21), date(1969, 7, 21)),
        ("string", "", ""),
    ]
    for kind, mysql, postgres in pairs:
        assert judge._value(mysql, kind) == judge._value(postgres, kind), kind
    assert judge._value("", "string") != judge._value(None, "string")


def test_a_row_that_is_gone_or_another_is_found() -> None:
    before = {"accounts": {1: {"id": 1, "org_name": "a", "domain": "old"}, 2: {"id": 2, "org_name": "b"}}}
    after = {
        "accounts": {1: {"id": 1, "org_name": "A", "domain": "new"}, 3: {"id": 3, "org_name": "c"}},
    }
    assert list(judge.missing_rows(before, after)) == ["accounts 1: org_name differs", "accounts 2 is gone"]
    assert judge.new_rows(before, after) == {"accounts": 1}


def test_an_acknowledged_write_that_is_missing_is_lost() -> None:
    rows: Rows = {
        "cinstances": {7: {"user_key": "k", "name": "made 1"}},
        "application_keys": {1: {"application_id": 7, "value": "x"}},
    }
    held = [
        request("application", id=7, user_key="k", name="made 1"),
        request("key", id=7, key="x"),
        request("application", status=0, error="no answer"),
    ]
    assert list(judge.lost_writes(held, rows)) == []
    lost = [
        request("application", id=8, user_key="k", name="made 2"),
        request("application", id=7, user_key="other", name="made 1"),
        request("key", id=7, key="y"),
    ]
    assert len(list(judge.lost_writes(lost, rows))) == 3


def test_counters_hold_what_was_and_what_was_called_since() -> None:
    service, app = (
        "stats/{service:1}/metric:hits/eternity",
        "stats/{service:1}/cinstance:a/metric:hits/eternity",
    )
    before = {service: "5", app: "5", "stats/{service:1}/metric:hits/day:20261121": "5"}
    calls = [
        request("call", 200, service_id=1, app_id="a"),
        request("call", 503, service_id=1, app_id="a"),
    ]
    assert list(judge.wrong_counters(before, {service: "6", app: "6"}, calls)) == []
    wrong = list(judge.wrong_counters(before, {service: "6", app: "5"}, calls))
    assert wrong == [f"{app} is 5, expected 6"]
    assert list(judge.wrong_counters(before, {service: "6"}, calls)) == [f"{app} is 0, expected 6"]


def test_a_snapshot_is_compared_with_what_users_did_since() -> None:
    application = {"application_id": "a", "name": "one"}
    before = {
        "customer": {
            "accounts": {"3": {"org_name": "x"}},
            "applications": {"7": application},
            "usage": {"7": 5},
        }
    }
    call = {"kind": "call", "tenant": "customer", "app_id": "a"}
    expected = snapshot.with_requests(before, [call])
    after: dict[str, dict[str, Any]] = {
        "customer": {
            "accounts": {"3": {"org_name": "x"}},
            "applications": {"7": application, "8": {"application_id": "b", "name": "two"}},
            "usage": {"7": 6, "8": 0},
        },
        "3scale": {"accounts": {}, "applications": {}, "usage": {}},
    }
    assert list(snapshot.differences(expected, snapshot.without_new(after, expected))) == []
    assert before["customer"]["usage"] == {"7": 5}
    after["customer"]["usage"] = {"7": 5}
    assert list(snapshot.differences(expected, snapshot.without_new(after, expected))) == [
        "tenant customer, usage 7: 6 became 5"
    ]
    assert list(snapshot.differences(expected, {})) == ["tenant customer is gone"]
