"""Reads the surviving database and judges a log, and BOSS's schedule, by it."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from lab.database import Login, connect
from lab.services.settlement import PERIOD
from lab.traffic.figures import NO_SWITCHES, Held, Losses, Switches, losses, series, sessions, traffic
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
    sessions: dict[str, int]


@dataclass(frozen=True)
class Settlements:
    """What BOSS's schedule has written.

    `duplicated`: periods for which it ran more than once; `overlapping`: rows that settle what an earlier one
    had settled already; `missed`: periods between the first and the last without a run.
    """

    rows: int
    duplicated: list[str]
    overlapping: int
    missed: int

    @property
    def findings(self) -> dict[str, object]:
        """As JSON takes it."""
        return asdict(self)


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


def read_settlements(login: Login) -> Settlements:
    """BOSS's settlements. Raises pymysql.MySQLError or OSError."""
    connection = connect(login, timeout=STATEMENT_SECONDS)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW TABLES LIKE 'settlements'")
            if not cursor.fetchall():
                return Settlements(0, [], 0, 0)
            cursor.execute("SELECT period, settled_from, settled_until FROM settlements ORDER BY seq")
            return settlements(list(cursor.fetchall()))
    finally:
        connection.close()


def settlements(rows: Sequence[tuple[datetime, datetime, datetime]]) -> Settlements:
    """What rows of period, begin and end, in the order in which they were written, say."""
    counts = Counter(period for period, _, _ in rows)
    overlapping = 0
    for number, (_, begin, _) in enumerate(rows):
        overlapping += any(begin < end for _, _, end in rows[:number])
    expected = int((max(counts) - min(counts)) / PERIOD) + 1 if counts else 0
    twice = [f"{period:%Y-%m-%d %H:%M}" for period, count in sorted(counts.items()) if count > 1]
    return Settlements(len(rows), twice, overlapping, expected - len(counts))


def judge(
    log: Log,
    read: Callable[[], Held],
    source: list[str],
    drain_seconds: float,
    switches: Switches = NO_SWITCHES,
) -> Verdict:
    """Judges a log. Buffers may still be draining: nothing is called lost before `drain_seconds` are over."""
    deadline = time.monotonic() + drain_seconds
    found = losses(log, read())
    while found.lost and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        found = losses(log, read())
    return Verdict(traffic(log, found, source, switches), series(log, source), found, sessions(log))


def first_address(log: Log) -> list[str]:
    """The address that the first requests reached: the old cloud's, unless it is told otherwise."""
    return [request.address for request in log.requests if request.address is not None][:1]
