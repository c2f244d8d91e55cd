"""`python -m lab bench-watch`: whether pages that are open cost the switch of the database anything.

Switches under load, in turns without `cutover watch` and with it and 20 open pages, in one run. Writes
`<OUT>/bench/watch.json`. Variables: `OUT`, `RATE` (requests a second), `N` (switches of either kind),
`PAGES`, `SEED`.

A page here is what reaches the server of one: its files, the plan, and the events as they come. That a
browser draws them happens on its own machine. The journal is written as a run writes it; the server follows
it and measures the replication's lag as `cutover watch` does.
"""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

from cutover.clock import SystemClock
from cutover.database_move import Lag
from cutover.errors import StepError
from cutover.journal import Journal
from cutover.measure.series import Sample
from cutover.session import Session
from cutover.switching.end import Side
from cutover.watch.deeds import Deeds
from cutover.watch.feed import Feed
from cutover.watch.probes import EVERY_SECONDS, SHOWN
from cutover.watch.server import LOOPBACK, Page, serve
from lab.bench_switch import PAUSE_SECONDS, Timed, distribution, fate, longest_gap
from lab.options import REPOSITORY
from lab.replication.switch_world import Request, SwitchWorld

RATE = 300.0
SHARE = 1 / 3
SWITCHES, BLOCK, PAGES = 120, 10, 20
"""Switches of either kind, how many of a kind follow each other, and pages."""
READY_SECONDS = 30.0
RESAMPLES = 5000
STEP = "switch-database"


def main() -> int:
    """Runs it; exit code 1 where pages cost something, a request failed or a write was lost."""
    rate = float(os.environ.get("RATE") or RATE)
    count = int(os.environ.get("N") or SWITCHES)
    pages = int(os.environ.get("PAGES") or PAGES)
    chance = random.Random(int(os.environ.get("SEED") or 1))
    output = Path(os.environ.get("OUT") or "out") / "bench" / "watch.json"
    with tempfile.TemporaryDirectory(prefix="landfall-bench-") as folder, SwitchWorld(Path(folder)) as world:
        say(f"{count} switches without pages and {count} with {pages}, {BLOCK} of a kind at a time")
        found = {"rate": rate, "pages": pages, **_Bench(world, Path(folder), pages).run(rate, count, chance)}
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    say(json.dumps({key: value for key, value in found.items() if key not in ("without_ms", "with_ms")}))
    say(f"written: {output}")
    return 0 if found["inside"] and not found["failed"] and not found["writes_lost"] else 1


class _Bench:
    def __init__(self, world: SwitchWorld, folder: Path, pages: int) -> None:
        self._world = world
        self._pages = pages
        # a plan that is real, and a journal of its own
        self._session = Session(folder / "project", "prod", "boss-corestone", SystemClock())
        self._plan = Session.at(REPOSITORY, "prod", "boss-corestone").plan()
        self._journal = Journal(self._session.journal_path, 1, SystemClock())
        self._note("opened", plan=self._plan.id, plan_hash=self._plan.hash, environment="prod")
        self._note("started", direction="forward", until=None, cause="operator", engine="none")
        for step in self._plan.steps[: [step.id for step in self._plan.steps].index(STEP)]:
            self._note("intent", step=step.id, direction="forward")
            self._ended(step.id, 1.0)
        self._side: Side = "source"

    def run(self, rate: float, count: int, chance: random.Random) -> dict[str, Any]:
        """Blocks of both kinds by turns, each pair in an order that chance chooses."""
        clients = self._world.clients(rate, SHARE)
        time.sleep(2.0)
        switches: dict[bool, list[Timed]] = {False: [], True: []}
        while len(switches[True]) < count:
            for watched in chance.sample((False, True), 2):
                if watched:
                    with self._watched():
                        switches[True] += self._block(min(BLOCK, count - len(switches[True])))
                else:
                    switches[False] += self._block(min(BLOCK, count - len(switches[False])))
            say(f"{len(switches[True])} of {count} of either kind")
        requests = clients.stop()
        self._journal.close()
        replication = self._world.forward() if self._side == "target" else self._world.reverse()
        replication.wait_applied(replication.position(), READY_SECONDS)
        gaps = {kind: gaps_of(switches[kind], requests) for kind in switches}
        return {
            **judged(gaps[False], gaps[True], chance),
            **fate(requests, self._world.written(self._side)),
            "requests": len(requests),
            "without_ms": gaps[False],
            "with_ms": gaps[True],
        }

    def _block(self, count: int) -> list[Timed]:
        done = []
        with self._world.gates() as gates:
            for _ in range(count):
                with self._world.switch(self._world.way(gates, self._side)) as switch:
                    switch.arm()
                    self._note("intent", step=STEP, direction="forward")
                    begun = time.monotonic()
                    parts = switch.run()
                    ended = time.monotonic()
                    self._ended(STEP, round(ended - begun, 3))
                done.append(Timed(begun, ended, parts))
                self._side = "target" if self._side == "source" else "source"
                time.sleep(PAUSE_SECONDS)
        return done

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """The page's server in a process of its own, and the pages in another."""
        own = multiprocessing.get_context("fork")
        here, there = own.Pipe()
        server = own.Process(target=self._serve, args=(there,), daemon=True)
        server.start()
        port, token = here.recv()
        near, far = own.Pipe()
        readers = own.Process(target=read_pages, args=(port, token, self._pages, far), daemon=True)
        readers.start()
        if not near.poll(READY_SECONDS):
            raise TimeoutError("the pages were not open in time")
        near.recv()
        try:
            yield
        finally:
            for process in (readers, server):
                process.terminate()
                process.join(READY_SECONDS)

    def _serve(self, told: Connection) -> None:
        feed = Feed(self._session, self._plan, {})
        page = Page(feed, Deeds(self._session, self._plan))
        samples = [Sample(float(n), None, None, 0.001, "forward") for n in range(SHOWN)]
        known: dict[str, Any] = {"error": "", "rows": [], "traffic": {}, "lag": {"error": ""}, "history": []}
        feed.probed = lambda: dict(known)

        def measure() -> None:
            ways = (self._world.forward(), self._world.reverse())
            while True:
                try:
                    lag = Lag("forward", "running", "", max(way.observed_lag(5.0) for way in ways))
                except StepError:  # in the middle of a switch one of them may not be reached
                    lag = Lag("forward", "failed", "")
                samples.append(Sample.of(time.time(), {}, lag))
                known["history"] = [sample.compact() for sample in samples[-SHOWN:]]
                known["lag"] = {
                    "direction": "forward",
                    "state": lag.state,
                    "detail": "",
                    "seconds": lag.seconds,
                }
                time.sleep(EVERY_SECONDS)

        threading.Thread(target=measure, daemon=True).start()
        told.send((page.server_port, page.token))
        serve(page)

    def _note(self, kind: str, **data: Any) -> None:
        self._journal.append(kind, data)

    def _ended(self, step: str, seconds: float) -> None:
        self._note(
            "outcome", step=step, direction="forward", result="done", error="", seconds=seconds, evidence={}
        )


def read_pages(port: int, token: str, count: int, told: Connection) -> None:
    """Opens pages as browsers do, and reads their events until it is ended."""
    waiting = threading.Barrier(count + 1)

    def one() -> None:
        cookie = {"Cookie": f"landfall-{port}={token}"}
        for path in ("/", "/page.js", "/show.js", "/measures.js", "/page.css", "/plan"):
            connection = http.client.HTTPConnection(LOOPBACK, port, timeout=READY_SECONDS)
            connection.request("GET", path, headers=cookie)
            connection.getresponse().read()
            connection.close()
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=READY_SECONDS)
        connection.request("GET", "/events", headers=cookie)
        answer = connection.getresponse()
        answer.readline()
        waiting.wait()
        while answer.readline():
            pass

    for _ in range(count):
        threading.Thread(target=one, daemon=True).start()
    waiting.wait()
    told.send("open")
    threading.Event().wait()


def gaps_of(switches: Sequence[Timed], requests: Sequence[Request]) -> list[float]:
    """The longest time without an answered write around each switch, in milliseconds."""
    writes = [request.ended for request in requests if request.kind == "write" and request.good]
    return [round(longest_gap(writes, item.begun, item.ended), 3) for item in switches]


def judged(without: Sequence[float], watched: Sequence[float], chance: random.Random) -> dict[str, Any]:
    """What pages cost, beside what differs between runs without any.

    `interval_ms`: between two sets that are both drawn from the switches without pages, the medians differ by
    this much, in 95 of 100 cases.
    """

    def drawn(values: Sequence[float], size: int) -> float:
        return median(chance.choices(values, k=size))

    def interval(values: list[float]) -> list[float]:
        ordered = sorted(values)
        return [round(ordered[int(share * (len(ordered) - 1))], 3) for share in (0.025, 0.975)]

    difference = median(watched) - median(without)
    nothing = interval(
        [drawn(without, len(watched)) - drawn(without, len(without)) for _ in range(RESAMPLES)]
    )
    return {
        "n": len(watched),
        "without": distribution(without),
        "with": distribution(watched),
        "median_difference_ms": round(difference, 3),
        "interval_ms": nothing,
        "inside": nothing[0] <= difference <= nothing[1],
        "difference_interval_ms": interval(
            [drawn(watched, len(watched)) - drawn(without, len(without)) for _ in range(RESAMPLES)]
        ),
    }


def say(text: str) -> None:
    """A line for whoever waits."""
    sys.stderr.write(f"bench-watch: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
