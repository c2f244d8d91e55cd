"""The figures of a run, from its log and from what the surviving database holds."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from lab.traffic.log import Log, Request
from lab.traffic.schedule import SESSION_USES

Held = Mapping[str, Mapping[str, Sequence[Decimal]]]
"""What the database holds: for each kind of write (`record`, `usage`), the amounts by client id."""


@dataclass(frozen=True)
class Losses:
    """Ids of acknowledged writes that are absent, and of writes that are there more than once."""

    lost: list[str]
    duplicated: list[str]


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """The nearest-rank percentile of ascending values; None where there are none."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def losses(log: Log, held: Held) -> Losses:
    """Compares the writes of a log with the database.

    A write that is there with another amount counts as lost: what was acknowledged is not there. Writes
    of unknown outcome may be there or not, once.
    """
    lost: list[str] = []
    duplicated: list[str] = []
    for request in log.requests:
        if not request.is_write:
            continue
        amounts = held[request.kind].get(request.id, ())
        if request.outcome == "ok" and Decimal(request.amount) not in amounts:
            lost.append(request.id)
        if len(amounts) > 1:
            duplicated.append(request.id)
    return Losses(lost, duplicated)


@dataclass(frozen=True)
class Switches:
    """What clients knew of switches of the database: from when to when, in seconds since the epoch."""

    parked: Sequence[tuple[float, float]] = ()
    """Requests were held."""
    refused: Sequence[tuple[float, float]] = ()
    """Writes were refused, as the plan had said."""


NO_SWITCHES = Switches()


def traffic(
    log: Log, found: Losses, source: Collection[str], switches: Switches = NO_SWITCHES
) -> dict[str, object]:
    """The `traffic` section of the report.

    Args:
        source: the addresses of the old cloud's ingress.
    """
    requests = log.requests
    acknowledged = [request for request in requests if request.is_write and request.outcome == "ok"]
    ends = sorted(request.at * 1000 + request.ms for request in acknowledged)
    gaps = sorted(later - earlier for earlier, later in pairwise(ends))
    sides: dict[str, list[float]] = {"source": [], "target": []}
    for request in requests:
        if request.address is not None:
            sides[_side(request.address, source)].append(request.ms)
    for latencies in sides.values():
        latencies.sort()
    stale = [request for request in requests if request.stale]
    return {
        "requests": len(requests),
        "failed": _failed(requests),
        "reads_failed": sum(request.contradicted for request in requests),
        "unknown_outcome": sum(request.outcome == "unknown" for request in requests),
        "held": _held(log, switches.parked),
        "refused": _refused(log, switches.refused) if switches.refused else None,
        "writes_acknowledged": len(acknowledged),
        "writes_lost": len(found.lost),
        "writes_duplicated": len(found.duplicated),
        "write_gap_ms": {
            "p50": _rounded(percentile(gaps, 50)),
            "p99": _rounded(percentile(gaps, 99)),
            "max": _rounded(gaps[-1] if gaps else None),
        },
        "latency_ms": {
            f"{side}_p{percent}": _rounded(percentile(latencies, percent))
            for side, latencies in sides.items()
            for percent in (50, 99)
        },
        "stale_clients": {"requests": len(stale), "failed": _failed(stale)},
    }


def _held(log: Log, parked: Sequence[tuple[float, float]]) -> dict[str, object]:
    """The requests that were under way while requests were held."""
    found = [request.ms for request in _under_way(log, parked)]
    return {"count": len(found), "max_ms": _rounded(max(found, default=0.0))}


def _refused(log: Log, refused: Sequence[tuple[float, float]]) -> dict[str, object]:
    found = list(_under_way(log, refused))
    return {
        "failed": _failed(found),
        "unknown_outcome": sum(request.outcome == "unknown" for request in found),
        "seconds": round(sum(ended - begun for begun, ended in refused), 1),
    }


def _under_way(log: Log, spans: Sequence[tuple[float, float]]) -> Iterator[Request]:
    """The requests that were under way in one of some spans of time, in seconds since the epoch."""
    for request in log.requests:
        begun, ended = log.started + request.at, log.started + request.at + request.ms / 1000
        if any(begun < last and ended > first for first, last in spans):
            yield request


def sessions(log: Log) -> dict[str, int]:
    """How many sessions began, how often they were used, and how often one was not known any more."""
    kinds = [request.kind for request in log.requests if request.outcome == "ok"]
    return {
        "begun": sum(kind in SESSION_USES.values() for kind in kinds),
        "used": sum(kind in SESSION_USES for kind in kinds),
        "lost": sum(request.lost_session for request in log.requests),
    }


def series(log: Log, source: Collection[str]) -> dict[str, object]:
    """What happened in each second, by when requests were due: for the chart of the report."""
    seconds: dict[int, list[Request]] = {}
    for request in log.requests:
        seconds.setdefault(int(request.at), []).append(request)
    last = max(seconds, default=-1)
    return {
        "schema": 1,
        "started": log.started,
        "seconds": [_second(number, seconds.get(number, []), source) for number in range(last + 1)],
    }


def _second(number: int, requests: Sequence[Request], source: Collection[str]) -> dict[str, object]:
    latencies = sorted(request.ms for request in requests)
    on_source = sum(request.address is not None and request.address in source for request in requests)
    reached = sum(request.address is not None for request in requests)
    return {
        "second": number,
        "requests": len(requests),
        "failed": _failed(requests),
        "p50_ms": _rounded(percentile(latencies, 50)),
        "p99_ms": _rounded(percentile(latencies, 99)),
        "source": on_source,
        "target": reached - on_source,
    }


def _failed(requests: Sequence[Request]) -> int:
    return sum(request.outcome != "ok" for request in requests)


def _side(address: str, source: Collection[str]) -> str:
    return "source" if address in source else "target"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
