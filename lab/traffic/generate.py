"""Sends requests when they are due, whatever becomes of those before, and logs each."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from lab.dns import Forwarder
from lab.traffic import log
from lab.traffic.client import Client, Target
from lab.traffic.figures import percentile
from lab.traffic.limits import cpu_seconds, raise_descriptor_limit
from lab.traffic.results import judge_result
from lab.traffic.schedule import RECORDS_ALONE, WITH_SESSIONS, Planned, arrivals
from lab.traffic.user import Account, User

TIMEOUT_SECONDS = 10.0


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
    corestone: str | None = None
    """Corestone's domain; with it users log in at both services and use their sessions."""
    accounts: tuple[Account, ...] = ()
    """One for each client, if there is a Corestone."""

    def settings(self) -> dict[str, object]:
        """What the log says of how it was made."""
        return {
            "rate": self.rate,
            "domain": self.domain,
            "corestone": self.corestone,
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
        counted = ("requests", "failed", "unknown_outcome", "reads_failed", "sessions_lost")
        self._totals = dict.fromkeys(counted, 0)
        self._lag = 0.0

    def stop(self) -> None:
        """No further requests."""
        self._ended.set()

    async def run(self) -> Mapping[str, int]:
        """Runs the load. Raises ResolveError or OSError where it cannot start; gives the totals."""
        load = self._load
        raise_descriptor_limit()
        forwarder = Forwarder(load.resolver, load.resolver_port)
        users = _users(load, forwarder)
        await forwarder.start()
        try:
            await asyncio.gather(*(user.resolve() for user in users))
            with self._out.open("w", encoding="utf-8") as out:
                out.write(log.header(time.time(), load.settings()))
                reporter = asyncio.create_task(self._report(out))
                await self._dispatch(users, out)
                reporter.cancel()
                await asyncio.gather(reporter, return_exceptions=True)
                self._write_live(0.0)
                if self._crash is not None:
                    raise self._crash
                figures = {
                    **self._totals,
                    "lag_ms_max": round(self._lag * 1000, 1),
                    "cpu_seconds": cpu_seconds(),
                }
                out.write(log.footer(figures))
        finally:
            for user in users:
                user.close()
            await forwarder.stop()
        return self._totals

    async def _dispatch(self, users: list[User], out: TextIO) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        shares = WITH_SESSIONS if self._load.corestone else RECORDS_ALONE
        for planned in arrivals(self._load.rate, self._load.clients, self._load.seed, shares):
            if self._load.seconds is not None and planned.at >= self._load.seconds:
                break
            due = start + planned.at
            if due > loop.time() and await self._stopped_within(due - loop.time()):
                break
            self._lag = max(self._lag, loop.time() - due)
            task = loop.create_task(self._send(users[planned.client], planned, due, out))
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

    async def _send(self, user: User, planned: Planned, due: float, out: TextIO) -> None:
        if planned.kind == "read" and not self._acknowledged:
            planned = replace(planned, kind="record")  # there is nothing to read yet
        if planned.kind == "read":
            client_id, amount = self._acknowledged[int(planned.pick * len(self._acknowledged))]
            planned = replace(planned, id=client_id, amount=amount)
        sent = user.sending(planned)
        result = await sent.client.perform(
            sent.request, idempotent=sent.idempotent, deadline=due + TIMEOUT_SECONDS
        )
        took = asyncio.get_running_loop().time() - due
        user.take(sent, result)
        logged = judge_result(sent.planned, user.stale, result, took)
        if logged.kind == "record" and logged.outcome == "ok":
            self._acknowledged.append((logged.id, logged.amount))
        out.write(log.line(logged))
        self._recent.append(logged)
        self._totals["requests"] += 1
        self._totals["failed"] += logged.outcome != "ok"
        self._totals["unknown_outcome"] += logged.outcome == "unknown"
        self._totals["reads_failed"] += logged.contradicted
        self._totals["sessions_lost"] += logged.lost_session

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


def _users(load: Load, forwarder: Forwarder) -> list[User]:
    tls = ssl.create_default_context(cafile=str(load.ca))

    def client(number: int, domain: str) -> Client:
        target = Target(domain, load.port, tls, load.source)
        return Client(number, target, forwarder, stale=number < load.stale_clients)

    if load.corestone is None:
        return [User(client(number, load.domain), None, None) for number in range(load.clients)]
    if len(load.accounts) < load.clients:
        raise ValueError(f"there are {len(load.accounts)} accounts for {load.clients} clients")
    return [
        User(client(number, load.domain), client(number, load.corestone), load.accounts[number])
        for number in range(load.clients)
    ]
