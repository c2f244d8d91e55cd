"""`python -m lab bench-switch`: how long requests wait while the database is switched, many times over.

Writes `<OUT>/bench/switch.json`. Variables: `OUT`, `RATE` (requests a second, a third of them writes), `N`
(the number of switches of each strategy, there and back counted as two).
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutover.switching import Parts
from cutover.switching.end import Side
from lab.replication.switch_world import POSITION, Request, SwitchWorld

RATE = 300.0
SHARE = 1 / 3
SWITCHES = 100
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
    output = Path(os.environ.get("OUT") or "out") / "bench" / "switch.json"
    with tempfile.TemporaryDirectory(prefix="landfall-bench-") as folder, SwitchWorld(Path(folder)) as world:
        say(f"{count} switches, armed, native replication, {rate:g} requests a second")
        run = armed_native(world, rate, count)
        say(f"{count} times the bare statements")
        floor = bare_statements(world, count)
    found: dict[str, Any] = {
        "runs": [run],
        "floor": floor,
        "rate": rate,
        "versions": {"databases": "MariaDB"},
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    for each in found["runs"]:
        say(f"{each['strategy']} {each['replication']}: gap {each['gap_ms']}, {each['failed']} failed")
    say(f"written: {output}")
    return 1 if any(each["failed"] or each["writes_lost"] for each in (run,)) else 0


def armed_native(world: SwitchWorld, rate: float, count: int) -> dict[str, Any]:
    """Switches there and back under load."""
    clients = world.clients(rate, SHARE)
    time.sleep(2.0)
    switches = []
    side: Side = "source"
    with world.gates() as gates:
        for number in range(count):
            with world.switch(world.way(gates, side)) as switch:
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


def figures(switches: Sequence[Timed], requests: Sequence[Request]) -> dict[str, Any]:
    """What clients saw around the switches."""
    writes = [request.ended for request in requests if request.kind == "write" and request.good]
    gaps = [
        max(longest_gaps(writes, switch.begun - MARGIN_SECONDS, switch.ended + MARGIN_SECONDS), default=0.0)
        for switch in switches
    ]
    held = [
        (request.ended - request.begun) * 1000
        for request in requests
        if any(request.begun < switch.ended and request.ended > switch.begun for switch in switches)
    ]
    return {
        "n": len(switches),
        "requests": len(requests),
        "gap_ms": distribution(gaps),
        "switch_ms": distribution([switch.parts.total for switch in switches]),
        "held_max_ms": round(max(held, default=0.0), 2),
    }


def longest_gaps(moments: Sequence[float], begun: float, ended: float) -> list[float]:
    """The milliseconds between successive moments, of those pairs that touch an interval."""
    return [
        (after - before) * 1000
        for before, after in itertools.pairwise(moments)
        if after >= begun and before <= ended
    ]


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
