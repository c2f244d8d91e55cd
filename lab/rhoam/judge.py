"""What the stores hold after a rehearsal, beside what the source's still hold and what users were told.

Nothing of the program under rehearsal is asked: rows, keys and counters are read from the servers themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import redis
from psycopg.rows import dict_row

from lab.database import Login, connect
from lab.rhoam.threescale.schema import TABLES
from lab.traffic.figures import percentile

Rows = Mapping[str, Mapping[int, Mapping[str, Any]]]
"""By table: rows by their id."""
MOVED = {
    "accounts": ("domain", "self_domain"),
    "proxies": ("endpoint", "sandbox_endpoint"),
    "services": ("default_application_plan_id",),
}
"""Columns that a migration changes on purpose: hosts, and the master's default plan."""
_STAMP = "updated_at"


@dataclass(frozen=True)
class Request:
    """A line of the traffic's log."""

    kind: str
    at: float
    ms: float
    status: int
    tenant: str
    fields: Mapping[str, Any]

    @property
    def acknowledged(self) -> bool:
        """Whether its sender was told that it was done."""
        return self.status in (200, 201)


def read_requests(path: Path) -> list[Request]:
    """A log of lab.rhoam.traffic."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        found.append(Request(item["kind"], item["at"], item["ms"], item["status"], item["tenant"], item))
    return found


def mysql_rows(login: Login) -> Rows:
    """All rows of a system database on MySQL, in one transaction."""
    connection = connect(login, timeout=30.0)
    try:
        with connection.cursor() as cursor:
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            found: dict[str, dict[int, dict[str, Any]]] = {}
            for table, columns in TABLES.items():
                cursor.execute(f"SELECT {', '.join(columns)} FROM {table}")  # noqa: S608 - our own tables
                found[table] = {
                    int(row[0]): _plain(dict(zip(columns, row, strict=True)), columns)
                    for row in cursor.fetchall()
                }
    finally:
        connection.close()
    return found


def postgres_rows(url: str) -> Rows:
    """The same on PostgreSQL."""
    with psycopg.connect(url, connect_timeout=5, row_factory=dict_row) as connection:
        found: dict[str, dict[int, dict[str, Any]]] = {}
        for table, columns in TABLES.items():
            query = psycopg.sql.SQL("SELECT {} FROM {}").format(
                psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, columns)),
                psycopg.sql.Identifier(table),
            )
            found[table] = {
                int(row["id"]): _plain(row, columns) for row in connection.execute(query).fetchall()
            }
    return found


def _plain(row: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    return {name: _value(row[name], columns[name]) for name in columns}


def _value(value: Any, kind: str) -> Any:
    """A value as both kinds of database have it in common."""
    if value is not None:
        match value:
            case _ if kind in ("bool", "maybe"):
                value = bool(value)
            case bytes() | bytearray() | memoryview():
                value = bytes(value).hex()
            case Decimal():
                value = str(value.quantize(Decimal("0.0001")))
            case datetime():
                value = value.replace(tzinfo=None).isoformat()
            case date():
                value = value.isoformat()
    return value


def missing_rows(before: Rows, after: Rows) -> Iterator[str]:
    """Rows of before that are not there after, or are there with another value, each as a line."""
    for table, rows in before.items():
        ignored = (*MOVED.get(table, ()), _STAMP)
        for number, row in rows.items():
            other = after[table].get(number)
            if other is None:
                yield f"{table} {number} is gone"
                continue
            for column, value in row.items():
                if column not in ignored and other[column] != value:
                    yield f"{table} {number}: {column} differs"


def new_rows(before: Rows, after: Rows) -> dict[str, int]:
    """How many rows each table has gained."""
    return {
        table: len(rows.keys() - before[table].keys())
        for table, rows in after.items()
        if rows.keys() - before[table].keys()
    }


def lost_writes(requests: Sequence[Request], rows: Rows) -> Iterator[str]:
    """Acknowledged changes that the surviving database does not hold."""
    applications, keys = rows["cinstances"], rows["application_keys"]
    known = {(row["application_id"], row["value"]) for row in keys.values()}
    for request in requests:
        fields = request.fields
        if request.kind == "application" and request.acknowledged:
            row = applications.get(int(fields["id"]))
            if row is None or (row["user_key"], row["name"]) != (fields["user_key"], fields["name"]):
                yield f"application {fields['id']} ({fields['name']})"
        if request.kind == "key" and request.acknowledged and (int(fields["id"]), fields["key"]) not in known:
            yield f"a key of application {fields['id']}"


def keys_of(client: redis.Redis) -> dict[str, Any]:
    """What a backend's storage holds: every key with its value, but for what passes by itself."""
    found: dict[str, Any] = {}
    for key in client.scan_iter(count=1000):
        match client.type(key):
            case "string":
                found[key] = client.get(key)
            case "set":
                found[key] = sorted(client.smembers(key))
            case "hash":
                found[key] = client.hgetall(key)
            case "list":
                found[key] = client.lrange(key, 0, -1)
            case "zset":
                found[key] = client.zrange(key, 0, -1, withscores=True)
    return found


def wrong_counters(
    before: Mapping[str, Any], after: Mapping[str, Any], calls: Sequence[Request]
) -> Iterator[str]:
    """Usage counters that are not what they were with the calls since then added, each as a line."""
    since: dict[str, int] = {}
    for call in calls:
        if call.kind == "call" and call.acknowledged:
            for whose in ("", f"/cinstance:{call.fields['app_id']}"):
                key = f"stats/{{service:{call.fields['service_id']}}}{whose}/metric:hits/eternity"
                since[key] = since.get(key, 0) + 1
    for key in sorted(before.keys() | after.keys()):
        if key.endswith("/eternity"):
            expected = int(before.get(key, 0)) + since.get(key, 0)
            if int(after.get(key, 0)) != expected:
                yield f"{key} is {after.get(key, 0)}, expected {expected}"


def traffic_section(requests: Sequence[Request], split: float, lost: int) -> dict[str, object]:
    """The report's section; `split`: when users went over to the target, in seconds since the epoch."""
    writes = [request for request in requests if request.kind != "call"]
    acknowledged = sorted(request.at * 1000 for request in writes if request.acknowledged)
    gaps = sorted(later - earlier for earlier, later in pairwise(acknowledged))
    failed = [request for request in requests if not request.acknowledged]
    sides = {
        "source": sorted(request.ms for request in requests if request.at < split),
        "target": sorted(request.ms for request in requests if request.at >= split),
    }
    latency = {
        f"{side}_p{percent}": percentile(values, percent)
        for side, values in sides.items()
        for percent in (50, 99)
    }
    return {
        "requests": len(requests),
        "failed": len(failed),
        "reads_failed": 0,
        "unknown_outcome": sum(request.kind != "call" for request in failed),
        "held": {"count": 0, "max_ms": 0.0},
        "writes_acknowledged": len(acknowledged),
        "writes_lost": lost,
        "writes_duplicated": 0,
        "write_gap_ms": {
            "p50": percentile(gaps, 50),
            "p99": percentile(gaps, 99),
            "max": gaps[-1] if gaps else None,
        },
        "latency_ms": latency,
        "stale_clients": {"requests": 0, "failed": 0},
    }
