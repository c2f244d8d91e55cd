"""Sends requests when they are due, whatever becomes of those before, and logs each."""

from __future__ import annotations

import asyncio
import json
import resource
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import TextIO

from lab.dns import Forwarder
from lab.traffic import log
from lab.traffic.client import Client, Result, Target
from lab.traffic.figures import percentile
from lab.traffic.schedule import Planned, arrivals

TIMEOUT_SECONDS = 10.0
EXPECTED = {"record": 201, "usage": 202, "read": 200}


@dataclass(frozen=True)
class Load:
    """What is to be generated. `rate` in requests a second; `seconds` None: until it is told to stop."""

    rate: float
    seconds: float | None
    stop_file: Path | None
    domain: str
    port: int
    resolver: str
    resolver_port: int
    ca: Path
    source: str | None
    clients: int
    stale_clients: int
    seed: int

    def settings(self) -> dict[str, object]:
        """What the log says of how it was made."""
        return {
            "rate": self.rate,
            "domain": self.domain,
            "clients": self.clients,
            "stale_clients": self.stale_clients,
            "seed": self.seed,
        }


class Generator:
    """One run: `run` until it is over, `stop` to end it early; what is in flight is always awaited."""

    def __init__(self, load: Load, out: Path, live: Path) -> None:
        self._load = load
        self._out = out
        self._live = live
        self._ended = asyncio.Event()
        self._acknowledged: list[tuple[str, str]] = []
        self._in_flight: set[asyncio.Task[None]] = set()
        self._crash: BaseException | None = None
        self._recent: list[log.Request] = []
        self._totals = {"requests": 0, "failed": 0, "unknown_outcome": 0, "reads_failed": 0}
        self._lag = 0.0

    def stop(self) -> None:
        """No further requests."""
        self._ended.set()

    async def run(self) -> Mapping[str, int]:
        """Runs the load. Raises ResolveError or OSError where it cannot start; gives the totals."""
        load = self._load
        _raise_descriptor_limit()
        forwarder = Forwarder(load.resolver, load.resolver_port)
        await forwarder.start()
        tls = ssl.create_default_context(cafile=str(load.ca))
        target = Target(load.domain, load.port, tls, load.source)
        clients = [
            Client(number, target, forwarder, stale=number < load.stale_clients)
            for number in range(load.clients)
        ]
        try:
            await asyncio.gather(*(client.resolve() for client in clients))
            with self._out.open("w", encoding="utf-8") as out:
                out.write(log.header(time.time(), load.settings()))
                reporter = asyncio.create_task(self._report(out))
                await self._dispatch(clients, out)
                reporter.cancel()
                await asyncio.gather(reporter, return_exceptions=True)
                usage = resource.getrusage(resource.RUSAGE_SELF)
                self._write_live(0.0)
                if self._crash is not None:
                    raise self._crash
                figures = {
                    **self._totals,
                    "lag_ms_max": round(self._lag * 1000, 1),
                    "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
                }
                out.write(log.footer(figures))
        finally:
            for client in clients:
                client.close()
            await forwarder.stop()
        return self._totals

    async def _dispatch(self, clients: list[Client], out: TextIO) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        for planned in arrivals(self._load.rate, self._load.clients, self._load.seed):
            if self._load.seconds is not None and planned.at >= self._load.seconds:
                break
            due = start + planned.at
            if due > loop.time() and await self._stopped_within(due - loop.time()):
                break
            self._lag = max(self._lag, loop.time() - due)
            task = loop.create_task(self._send(clients[planned.client], planned, due, out))
            self._in_flight.add(task)
            task.add_done_callback(self._sent)
            if self._ended.is_set():
                break
        while self._in_flight:
            await asyncio.wait(self._in_flight)

    async def _stopped_within(self, seconds: float) -> bool:
        await asyncio.sleep(seconds)
        return self._ended.is_set()

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._crash = task.exception()  # a fault of the generator itself: the run is worth nothing
            self._ended.set()

    async def _send(self, client: Client, planned: Planned, due: float, out: TextIO) -> None:
        if planned.kind == "read" and not self._acknowledged:
            planned = replace(planned, kind="record")  # there is nothing to read yet
        if planned.kind == "read":
            client_id, amount = self._acknowledged[int(planned.pick * len(self._acknowledged))]
            planned = replace(planned, id=client_id, amount=amount)
        request = _encode(self._load.domain, planned)
        result = await client.perform(
            request, idempotent=planned.kind == "read", deadline=due + TIMEOUT_SECONDS
        )
        took = asyncio.get_running_loop().time() - due
        logged = judge_result(planned, client.stale, result, took)
        if logged.kind == "record" and logged.outcome == "ok":
            self._acknowledged.append((planned.id, planned.amount))
        out.write(log.line(logged))
        self._recent.append(logged)
        self._totals["requests"] += 1
        self._totals["failed"] += logged.outcome != "ok"
        self._totals["unknown_outcome"] += logged.outcome == "unknown"
        self._totals["reads_failed"] += logged.contradicted

    async def _report(self, out: TextIO) -> None:
        """Each second: the log to the disk, the live figures to their file, a look for the stop file."""
        while True:
            await asyncio.sleep(1.0)
            out.flush()
            self._write_live(1.0)
            if self._load.stop_file is not None and self._load.stop_file.exists():
                self.stop()

    def _write_live(self, window: float) -> None:
        recent, self._recent = self._recent, []
        latencies = sorted(request.ms for request in recent)
        addresses: dict[str, int] = {}
        for request in recent:
            name = request.address or "none"
            addresses[name] = addresses.get(name, 0) + 1
        figures = {
            **self._totals,
            "in_flight": len(self._in_flight),
            "per_second": round(len(recent) / window, 1) if window else 0.0,
            "p50_ms": percentile(latencies, 50),
            "p99_ms": percentile(latencies, 99),
            "addresses": addresses,
        }
        draft = self._live.with_suffix(".tmp")
        draft.write_text(json.dumps(figures) + "\n", encoding="utf-8")
        draft.replace(self._live)


def judge_result(planned: Planned, stale: bool, result: Result, took: float) -> log.Request:
    """What a client makes of a result: the line for the log. `took` in seconds."""
    status = result.response.status if result.response else None
    contradicted = False
    error = result.error
    outcome: log.Outcome = "ok"
    if status != EXPECTED[planned.kind]:
        # A gateway's error says nothing of what happened behind it; a refusal (4xx) does.
        unknown = planned.kind != "read" and result.sent and (status is None or status >= 500)
        outcome = "unknown" if unknown else "failed"
        contradicted = planned.kind == "read" and status == 404
        error = error or f"status {status}"
    elif planned.kind == "read" and result.response is not None:
        found = _amount(result.response.body)
        if found is None or found != Decimal(planned.amount):
            outcome, contradicted = "failed", True
            error = f"expected the amount {planned.amount}, found {found}"
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


def _amount(body: bytes) -> Decimal | None:
    try:
        return Decimal(json.loads(body)["amount"])
    except (ValueError, KeyError, TypeError, ArithmeticError):
        return None


def _encode(domain: str, planned: Planned) -> bytes:
    host = f"HTTP/1.1\r\nHost: {domain}\r\n"
    if planned.kind == "read":
        return f"GET /records/{planned.id} {host}Accept: application/json\r\n\r\n".encode()
    path = "/records" if planned.kind == "record" else "/usage"
    body = json.dumps({"id": planned.id, "amount": planned.amount})
    content = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"POST {path} {host}{content}\r\n{body}".encode()


def _raise_descriptor_limit() -> None:
    """When answers stop, every request that is due opens a connection of its own."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
