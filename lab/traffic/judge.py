"""Reads the surviving database and judges a log by it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from lab.database import Login, connect
from lab.traffic.figures import Held, Losses, losses, series, traffic
from lab.traffic.log import Log

TABLES = {"record": "records", "usage": "usage_records"}
POLL_SECONDS = 0.5
STATEMENT_SECONDS = 30.0


class LoginError(ValueError):
    """A login file that cannot be used."""


@dataclass(frozen=True)
class Verdict:
    """The `traffic` section, the time series, and which writes were lost or duplicated."""

    traffic: dict[str, object]
    series: dict[str, object]
    losses: Losses


def read_login(path: Path) -> Login:
    """A login as `Login.write` wrote it. Raises LoginError."""
    try:
        return Login(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise LoginError(f"{path}: {error}") from error


def read_held(login: Login) -> Held:
    """The amounts of every write that the database holds. Raises pymysql.MySQLError or OSError."""
    held: dict[str, dict[str, list[Decimal]]] = {}
    connection = connect(login, timeout=STATEMENT_SECONDS)
    try:
        with connection.cursor() as cursor:
            for kind, table in TABLES.items():
                by_id = held[kind] = {}
                cursor.execute(f"SELECT client_id, amount FROM {table}")  # noqa: S608 - a constant of ours
                for client_id, amount in cursor.fetchall():
                    by_id.setdefault(client_id, []).append(amount)
    finally:
        connection.close()
    return held


def judge(log: Log, read: Callable[[], Held], source: list[str], drain_seconds: float) -> Verdict:
    """Judges a log. Buffers may still be draining: nothing is called lost before `drain_seconds` are over."""
    deadline = time.monotonic() + drain_seconds
    found = losses(log, read())
    while found.lost and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        found = losses(log, read())
    return Verdict(traffic(log, found, source), series(log, source), found)


def first_address(log: Log) -> list[str]:
    """The address that the first requests reached: the old cloud's, unless it is told otherwise."""
    return [request.address for request in log.requests if request.address is not None][:1]
