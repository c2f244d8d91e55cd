"""What a client makes of an answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal

from lab.traffic import log
from lab.traffic.client import Result
from lab.traffic.schedule import SESSION_USES, WRITES, Kind, Planned

EXPECTED: Mapping[Kind, int] = {
    "record": 201,
    "usage": 202,
    "read": 200,
    "login": 201,
    "me": 200,
    "begin": 201,
    "check": 200,
}


def judge_result(planned: Planned, stale: bool, result: Result, took: float) -> log.Request:
    """The line for the log. `took` in seconds."""
    status = result.response.status if result.response else None
    contradicted = False
    error = result.error
    outcome: log.Outcome = "ok"
    if status != EXPECTED[planned.kind]:
        # A gateway's error says nothing of what happened behind it; a refusal (4xx) does.
        unknown = planned.kind in WRITES and result.sent and (status is None or status >= 500)
        outcome = "unknown" if unknown else "failed"
        contradicted = planned.kind == "read" and status == 404
        error = error or _refused(planned.kind, status)
    elif result.response is not None and (error := _contradiction(planned, result.response.body)):
        outcome, contradicted = "failed", True
    return log.Request(
        at=round(planned.at, 4),
        ms=round(took * 1000, 2),
        kind=planned.kind,
        id=planned.id,
        amount=planned.amount,
        client=planned.client,
        stale=stale,
        address=result.address,
        status=status,
        outcome=outcome,
        contradicted=contradicted,
        error=error,
        repeats=result.repeats,
    )


def _refused(kind: Kind, status: int | None) -> str:
    return "the session is lost" if kind in SESSION_USES and status == 401 else f"status {status}"


def _contradiction(planned: Planned, body: bytes) -> str | None:
    """How an answer differs from what was acknowledged before; None where it does not."""
    if planned.kind == "read":
        found = _amount(body)
        if found is None or found != Decimal(planned.amount):
            return f"expected the amount {planned.amount}, found {found}"
    if planned.kind in SESSION_USES:
        user = _field(body, "user")
        if user != planned.id:
            return f"expected the session of {planned.id}, found {user}"
    return None


def _amount(body: bytes) -> Decimal | None:
    try:
        return Decimal(str(_field(body, "amount")))
    except ArithmeticError:
        return None


def _field(body: bytes, name: str) -> object:
    try:
        return json.loads(body)[name]
    except (ValueError, KeyError, TypeError):
        return None
