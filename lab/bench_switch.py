"""`python -m lab bench-switch`: how long requests wait while the database is switched, many times over.

Writes `<OUT>/bench/switch.json`. Variables: `OUT`, `RATE` (requests a second, a third of them writes), `N`,
`N_DMS` and `N_RESTART` (the number of switches armed with native replication, armed with DMS, and by the
document's restart; there and back counted as two).
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutover.errors import StepError
from cutover.mysql import binlog_position
from cutover.switching import Parts
from cutover.switching.end import Side
from cutover.verification import Options, Verification
from lab.aws.server import AwsServer
from lab.replication import dms_tasks
from lab.replication.dms_setup import Dms
from lab.replication.mariadb import SCHEMA
from lab.replication.switch_world import LIMITS, POSITION, Request, SwitchWorld

RATE = 300.0
SHARE = 1 / 3
SWITCHES = 100
SWITCHES_BY_DMS = 20
RESTARTS = 20
LAG_SECONDS = 1.0
PAUSE_SECONDS = 0.3
"""Between two switches, so that each meets a steady load."""
MARGIN_SECONDS = 0.1


@dataclass(frozen=True)
class Timed:
    """One switch: when it began and ended, and its parts."""

    begun: float
    ended: float
    parts: Parts


def main() -> int:
    """Runs it and prints a line per strategy; exit code 1 where a request failed or a write was lost."""
    rate = float(os.environ.get("RATE") or RATE)
    count = int(os.environ.get("N") or SWITCHES)
    by_dms = int(os.environ.get("N_DMS") or SWITCHES_BY_DMS)
    restarts = int(os.environ.get("N_RESTART") or RESTARTS)
    output = Path(os.environ.get("OUT") or "out") / "bench" / "switch.json"
    with tempfile.TemporaryDirectory(prefix="landfall-bench-") as folder, SwitchWorld(Path(folder)) as world:
        say(f"{count} switches, armed, native replication, {rate:g} requests a second")
        runs = [armed_native(world, rate, count)]
        say(f"{count} times the bare statements")
        floor = bare_statements(world, count)
        say(f"{restarts} switches by restarting, native replication")
        runs.append(restarted(world, rate, restarts))
        say(f"{by_dms} switches, armed, DMS with a lag of {LAG_SECONDS:g} s")
        runs.insert(1, armed_dms(world, rate, by_dms))
    found: dict[str, Any] = {
        "runs": runs,
        "floor": floor,
        "dms_lag_ms": LAG_SECONDS * 1000,
        "rate": rate,
        "versions": {"databases": "MariaDB"},
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    for each in found["runs"]:
        say(f"{each['strategy']} {each['replication']}: gap {each['gap_ms']}, {each['failed']} failed")
    say(f"written: {output}")
    armed = [each for each in runs if each["strategy"] == "armed"]
    return 1 if any(each["failed"] for each in armed) or any(each["writes_lost"] for each in runs) else 0


def armed_native(world: SwitchWorld, rate: float, count: int) -> dict[str, Any]:
    """Switches there and back under load."""
    clients = world.clients(rate, SHARE)
    time.sleep(2.0)
    switches = []
    side: Side = "source"
    with world.gates() as gates:
        for number in range(count):
            with (
                compared(world, side) as compare,
                world.switch(world.way(gates, side), compare) as switch,
            ):
                switch.arm()
                begun = time.monotonic()
                parts = switch.run()
                switches.append(Timed(begun, time.monotonic(), parts))
            side = "target" if side == "source" else "source"
            time.sleep(PAUSE_SECONDS)
            if number % 10 == 9:
                say(f"{number + 1} of {count}: {parts.total:.1f} ms")
    requests = clients.stop()
    world.forward().wait_applied(world.forward().position(), 30.0)
    world.reverse().wait_applied(world.reverse().position(), 30.0)
    return {
        "strategy": "armed",
        "replication": "native",
        **figures(switches, requests),
        **fate(requests, world.written(side)),
        "parts_ms": parts_of(switches),
    }


@contextmanager
def compared(world: SwitchWorld, old: Side) -> Iterator[Callable[[float], None]]:
    """All rows compared ahead, as the plan does it; what it gives compares the rest, under the fence."""
    new: Side = "target" if old == "source" else "source"
    servers = world.end(old).server, world.end(new).server
    with Verification(*servers, Options(schemas=(SCHEMA,))) as verification:
        verification.begin()
        verification.compare_tables()
        verification.settle()
        verification.follow()

        def finish(seconds: float) -> None:
            if found := verification.finish(seconds).mismatches:
                raise StepError(f"{found} rows differ")

        yield finish


def armed_dms(world: SwitchWorld, rate: float, count: int) -> dict[str, Any]:
    """Switches there and back under load, whose changes DMS carries; its task is turned behind each."""
    os.environ |= {dms_tasks.HOST: dms_tasks.HERE, dms_tasks.LAG: str(LAG_SECONDS)}
    side = serving(world)
    with AwsServer() as server:
        dms = Dms(server.url, (world.source, world.target), load=False)
        try:
            world.use_dms(dms.there(), dms.back(), side)
            clients = world.clients(rate, SHARE)
            time.sleep(2.0 + LAG_SECONDS)
            switches = []
            with world.gates() as gates:
                for number in range(count):
                    place: list[str] = []
                    new: Side = "target" if side == "source" else "source"

                    def note(_seconds: float, place: list[str] = place, new: Side = new) -> None:
                        with world.end(new).server.connect() as session:
                            place.append(str(binlog_position(session)))

                    with world.switch(world.way(gates, side), note) as switch:
                        switch.arm()
                        begun = time.monotonic()
                        parts = switch.run()
                        switches.append(Timed(begun, time.monotonic(), parts))
                    side = new
                    world.turn_dms(side, place[0])
                    time.sleep(PAUSE_SECONDS + LAG_SECONDS)
                    say(f"{number + 1} of {count}: {parts.total:.1f} ms")
            requests = clients.stop()
        finally:
            for arn in (dms.forward, dms.reverse):
                dms_tasks.stop(arn)
    return {
        "strategy": "armed",
        "replication": "dms",
        **figures(switches, requests),
        **fate(requests, world.written(side)),
        "parts_ms": parts_of(switches),
    }


def restarted(world: SwitchWorld, rate: float, count: int) -> dict[str, Any]:
    """The document's own way: the source is fenced, and the services restarted with the other database."""
    clients = world.clients(rate, SHARE)
    time.sleep(2.0)
    side = serving(world)
    with world.gates() as gates:
        gates.let_through("source")
    if side == "target":
        world.restart_boss("target")
    switches = []
    for number in range(count):
        new: Side = "target" if side == "source" else "source"
        old_end, new_end = world.end(side), world.end(new)
        old_end.prepare()
        new_end.prepare()
        took: dict[str, float] = {}
        begun = last = time.monotonic()

        def part(name: str, took: dict[str, float] = took) -> None:
            nonlocal last
            took[name] = (time.monotonic() - last) * 1000
            last = time.monotonic()

        report = old_end.fence.raise_fence(old_end.session, POSITION, LIMITS.fence)
        part("fence")
        (world.forward() if new == "target" else world.reverse()).wait_applied(report.position, LIMITS.drain)
        part("drain")
        new_end.promote()
        part("promote")
        world.restart_boss(new)
        part("let_through")
        switches.append(Timed(begun, time.monotonic(), Parts(position=report.position, **took)))
        old_end.close()
        new_end.close()
        side = new
        time.sleep(PAUSE_SECONDS)
        say(f"{number + 1} of {count}: {switches[-1].parts.total:.0f} ms")
    requests = clients.stop()
    if side == "target":
        # as armed switches find it: each BOSS on its own database
        world.restart_boss("source")
        with world.gates() as gates:
            gates.let_through("target")
    return {
        "strategy": "restart",
        "replication": "native",
        **figures(switches, requests),
        **fate(requests, world.written(side)),
        "parts_ms": parts_of(switches),
    }


def serving(world: SwitchWorld) -> Side:
    """Whose database takes writes."""
    with world.source.session() as session:
        return "target" if str(session.value("SELECT @@GLOBAL.read_only")) == "1" else "source"


def figures(switches: Sequence[Timed], requests: Sequence[Request]) -> dict[str, Any]:
    """What clients saw around the switches."""
    writes = [request.ended for request in requests if request.kind == "write" and request.good]
    gaps = [longest_gap(writes, switch.begun, switch.ended) for switch in switches]
    between = [switch.ended + PAUSE_SECONDS / 2 for switch in switches]
    held = [
        (request.ended - request.begun) * 1000
        for request in requests
        if any(request.begun < switch.ended and request.ended > switch.begun for switch in switches)
    ]
    return {
        "n": len(switches),
        "requests": len(requests),
        "gap_ms": distribution(gaps),
        "gap_without_switch_ms": distribution([longest_gap(writes, moment, moment) for moment in between]),
        "switch_ms": distribution([switch.parts.total for switch in switches]),
        "held_max_ms": round(max(held, default=0.0), 2),
    }


def longest_gap(moments: Sequence[float], begun: float, ended: float) -> float:
    """The most milliseconds between successive moments, of pairs that touch an interval or its margin."""
    return max(
        (
            (after - before) * 1000
            for before, after in itertools.pairwise(moments)
            if after >= begun - MARGIN_SECONDS and before <= ended + MARGIN_SECONDS
        ),
        default=0.0,
    )


def fate(requests: Sequence[Request], written: Sequence[str]) -> dict[str, int]:
    """What became of the requests, given what the surviving database holds."""
    there = set(written)
    acknowledged = [request.id for request in requests if request.kind == "write" and request.good]
    return {
        "failed": sum(not request.good for request in requests),
        "writes_acknowledged": len(acknowledged),
        "writes_lost": sum(each not in there for each in acknowledged),
        "writes_duplicated": len(written) - len(there),
    }


def parts_of(switches: Sequence[Timed]) -> dict[str, Mapping[str, float]]:
    """How long each part took."""
    names = ("park", "fence", "drain", "compare", "promote", "let_through")
    return {name: distribution([getattr(switch.parts, name) for switch in switches]) for name in names}


def bare_statements(world: SwitchWorld, count: int) -> dict[str, Any]:
    """The floor: what the statements take that no switch can do without, while nobody writes."""
    took = []
    old, new = world.source, world.target
    with world.gates() as gates:
        if gates.states()[0].side == "target":
            old, new = new, old
    for _ in range(count):
        with old.session() as here, new.session() as there:
            begun = time.monotonic()
            here.execute("SET GLOBAL read_only = 1")
            position = here.value(POSITION)
            there.value("SELECT MASTER_GTID_WAIT(%s, 10)", (position,))
            there.execute("SET GLOBAL read_only = 0")
            took.append((time.monotonic() - begun) * 1000)
        old, new = new, old
    return {"n": count, "ms": distribution(took)}


def distribution(values: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum."""
    ordered = sorted(values)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else 0.0

    return {"p50": at(0.5), "p99": at(0.99), "max": round(max(ordered, default=0.0), 2)}


def say(text: str) -> None:
    """A line for whoever waits."""
    sys.stderr.write(f"bench-switch: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
