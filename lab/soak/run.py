"""`python -m lab soak`: the database is switched there and back, again and again, while everybody writes.

Writes `<OUT>/soak/report.json`. Variables: `OUT`, `DURATION` (seconds), `RATE` (writes a second on the
databases themselves), `SERVICE_RATE` (requests a second through the gate and the services, a third of them
writes), `WRITES` (ends it as soon as so many were acknowledged), `SEED`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cutover.errors import StepError
from cutover.switching import GivenUpError
from cutover.switching.end import Side
from lab.bench_switch import distribution, fate, longest_gap
from lab.replication.mariadb import PASSWORD, SCHEMA, MariaDb
from lab.replication.switch_world import Request, SwitchWorld
from lab.soak.judge import inserts, swaps
from lab.soak.log import Write, entries
from lab.soak.writers import REGISTERS
from lab.world import LabError

DURATION, RATE, SERVICE_RATE, SEED = 900.0, 1200.0, 30.0, 1
THREADS = 12
PROCESSES = 2
BETWEEN_SECONDS = (2.0, 5.0)
"""Between two switches: as short and as long as that."""
TELL_SECONDS = 10.0
END_SECONDS = 90.0
_PARALLEL = (
    "--slave-parallel-threads=8",
    "--slave-parallel-mode=optimistic",
    "--slave-domain-parallel-threads=8",
)
"""A replica that applies one commit after the other, each durable, falls behind such a rate."""


@dataclass(frozen=True)
class Options:
    """How long, and how much."""

    output: Path
    duration: float
    rate: float
    service_rate: float
    writes: int
    """0: as many as there are."""
    seed: int

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Options:
        """From the environment's variables. Raises LabError."""
        try:
            return cls(
                Path(environment.get("OUT") or "out") / "soak",
                float(environment.get("DURATION") or DURATION),
                float(environment.get("RATE") or RATE),
                float(environment.get("SERVICE_RATE") or SERVICE_RATE),
                int(environment.get("WRITES") or 0),
                int(environment.get("SEED") or SEED),
            )
        except ValueError as error:
            raise LabError(f"DURATION, RATE, SERVICE_RATE, WRITES and SEED are numbers: {error}") from error


@dataclass(frozen=True)
class Switched:
    """One switch, or one that was given up."""

    begun: float
    ended: float
    milliseconds: float
    given_up: str = ""


class _Writers:
    """The processes that write to the databases themselves."""

    def __init__(self, world: SwitchWorld, options: Options) -> None:
        self.folder = world.folder / "writers"
        self.folder.mkdir()
        self._told = []
        self._processes: list[subprocess.Popen[bytes]] = []
        for number in range(PROCESSES):
            told = self.folder / f"acknowledged-{number}"
            given = {
                "databases": [world.source.port, world.target.port],
                "user": "app", "password": PASSWORD, "schema": SCHEMA, "seed": options.seed,
                "rate": options.rate / PROCESSES, "threads": THREADS // PROCESSES,
                "first": 1 + number * (THREADS // PROCESSES),
                "log": str(self.folder), "acknowledged": str(told),
            }  # fmt: skip
            file = self.folder / f"given-{number}.json"
            file.touch(mode=0o600)
            file.write_text(json.dumps(given), encoding="utf-8")
            argv = [sys.executable, "-m", "lab.soak.writers", str(file)]
            self._processes.append(subprocess.Popen(argv, cwd=Path(__file__).resolve().parents[2]))
            self._told.append(told)

    def acknowledged(self) -> int:
        """About how many writes were acknowledged. Raises LabError where a process has ended."""
        for process in self._processes:
            if process.poll() is not None:
                raise LabError(f"writers ended by themselves, with exit code {process.returncode}")
        return sum(int(told.read_text()) for told in self._told if told.exists())

    def stop(self) -> list[Write]:
        """Waits for the last answers; all writes. Raises LabError."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            if process.wait(END_SECONDS) != 0:
                raise LabError("a writer came upon what it did not expect, see above")
        return [write for file in sorted(self.folder.glob("writer-*")) for write in entries(file)]

    def kill(self) -> None:
        """Ends them at once."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()


def soak(options: Options) -> int:
    """Runs it; 0 where nothing was lost or duplicated and nobody was refused."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    with (
        tempfile.TemporaryDirectory(prefix="landfall-soak-") as folder,
        SwitchWorld(Path(folder), options=_PARALLEL) as world,
    ):
        _make_tables(world.source)
        world.forward().wait_applied(world.forward().position(), 30.0)
        clients = world.clients(options.service_rate, 1 / 3)
        writers = _Writers(world, options)
        begun = time.monotonic()
        try:
            switches, side = _switch_again_and_again(world, writers, options)
            writes = writers.stop()
        finally:
            writers.kill()
        took = time.monotonic() - begun
        requests = clients.stop()
        say("every write looked up in both databases")
        world.forward().wait_applied(world.forward().position(), END_SECONDS)
        world.reverse().wait_applied(world.reverse().position(), END_SECONDS)
        survivor, other = (world.source, world.target) if side == "source" else (world.target, world.source)
        report = _report(options, started, took, switches, writes)
        report["databases"] = {"survivor": side, **_judge(writes, survivor), "other_differs": _differs(world)}
        report["services"] = {
            "requests": len(requests),
            **fate(requests, world.written(side)),
            "failures": _failures(requests, switches),
        }
        report["other_side"] = _judge(writes, other)
    totals = _totals(report)
    report["totals"] = totals
    options.output.mkdir(parents=True, exist_ok=True)
    file = options.output / "report.json"
    file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for line in summary(report):
        say(line)
    say(f"written: {file}")
    return 0 if holds(report) else 1


def holds(report: Mapping[str, Any]) -> bool:
    """Whether nothing was lost or duplicated, nobody was refused, and both databases hold the same."""
    totals = report["totals"]
    return not (
        totals["writes_lost"]
        or totals["writes_duplicated"]
        or report["services"]["failed"]
        or report["databases"]["other_differs"]
        or not report["switches"]["done"]
    )


def _switch_again_and_again(
    world: SwitchWorld, writers: _Writers, options: Options
) -> tuple[list[Switched], Side]:
    choice = random.Random(options.seed)
    until = time.monotonic() + options.duration
    side: Side = "source"
    switches: list[Switched] = []
    told = time.monotonic()
    with world.gates() as gates:
        while time.monotonic() < until:
            time.sleep(min(choice.uniform(*BETWEEN_SECONDS), max(0.0, until - time.monotonic())))
            acknowledged = writers.acknowledged()
            if time.monotonic() >= until or 0 < options.writes <= acknowledged:
                break
            found = _switch(world, gates, side)
            switches.append(found)
            if not found.given_up:
                side = "target" if side == "source" else "source"
            if time.monotonic() - told > TELL_SECONDS:
                told = time.monotonic()
                last = found.given_up or f"{found.milliseconds:.0f} ms"
                say(f"{len(switches)} switches, {acknowledged:,} writes; the last: {last}")
    return switches, side


def _switch(world: SwitchWorld, gates: Any, side: Side) -> Switched:
    """Raises LabError where it could neither be done nor be given up."""
    begun = time.monotonic()
    try:
        with world.switch(world.way(gates, side)) as switch:
            switch.arm()
            begun = time.monotonic()
            parts = switch.run()
    except GivenUpError as error:
        return Switched(begun, time.monotonic(), 0.0, str(error))
    except StepError as error:
        raise LabError(f"a switch from the {side} could not be ended: {error}") from error
    return Switched(begun, time.monotonic(), parts.total)


def _make_tables(database: MariaDb) -> None:
    with database.session() as session:
        # no unique key but the row's own: a write that is applied twice is to show
        session.execute(
            "CREATE TABLE soak_rows (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, "
            "writer INT UNSIGNED NOT NULL, value BIGINT UNSIGNED NOT NULL)"
        )
        session.execute("CREATE TABLE soak_registers (id INT PRIMARY KEY, value BIGINT UNSIGNED NOT NULL)")
        for register in range(REGISTERS):
            session.execute("INSERT INTO soak_registers VALUES (%s, 0)", (register,))


def _judge(writes: Sequence[Write], database: MariaDb) -> dict[str, Any]:
    with database.session() as session:
        values = [int(value) for (value,) in session.rows("SELECT value FROM soak_rows")]
        found = session.rows("SELECT id, value FROM soak_registers")
        registers = {int(register): int(value) for register, value in found}
    of_rows = inserts((write for write in writes if write.kind == "insert"), values)
    of_registers = swaps((write for write in writes if write.kind == "swap"), registers)
    return {"inserts": asdict(of_rows), "swaps": asdict(of_registers)}


def _differs(world: SwitchWorld) -> list[str]:
    """The tables that do not hold the same in both databases."""
    found = []
    with world.source.session() as here, world.target.session() as there:
        for table in ("soak_rows", "soak_registers", "records"):
            sums = [session.rows(f"CHECKSUM TABLE {table}")[0][1] for session in (here, there)]
            if sums[0] != sums[1]:
                found.append(table)
    return found


def _failures(requests: Sequence[Request], switches: Sequence[Switched]) -> dict[str, int]:
    """How many failed, by what and when: `write 503 in a switch`; the status 0 means no answer."""

    def when(request: Request) -> str:
        inside = any(request.begun < switch.ended and request.ended > switch.begun for switch in switches)
        return f"{request.kind} {request.status} {'in a switch' if inside else 'between switches'}"

    return dict(Counter(when(request) for request in requests if not request.good))


def _report(
    options: Options, started: str, took: float, switches: Sequence[Switched], writes: Sequence[Write]
) -> dict[str, Any]:
    moments = sorted(write.ended for write in writes if write.outcome == "acknowledged")
    done = [switch for switch in switches if not switch.given_up]
    gaps = [_longest_gap(moments, switch) for switch in done]
    return {
        "started": started,
        "seconds": round(took, 1),
        "seed": options.seed,
        "rate": options.rate,
        "writes_a_second": round(len(moments) / took, 1),
        "writers": THREADS,
        "switches": {
            "done": len(done),
            "given_up": [switch.given_up for switch in switches if switch.given_up],
            "ms": distribution([switch.milliseconds for switch in done]),
        },
        "gap_ms": distribution(gaps),
        "versions": {"databases": "MariaDB"},
    }


def _longest_gap(moments: Sequence[float], switch: Switched) -> float:
    """Between two writes around a switch, in milliseconds."""
    first = bisect(moments, switch.begun - 2.0)
    around = moments[max(0, first - 1) : bisect(moments, switch.ended + 2.0) + 1]
    return longest_gap(around, switch.begun, switch.ended)


def _totals(report: Mapping[str, Any]) -> dict[str, int]:
    """Over writers on the databases and through the services."""
    kinds: list[Mapping[str, Any]] = [report["databases"][kind] for kind in ("inserts", "swaps")]
    services = report["services"]
    return {
        "writes_acknowledged": sum(kind["acknowledged"] for kind in kinds) + services["writes_acknowledged"],
        "writes_lost": sum(kind["lost"] for kind in kinds) + services["writes_lost"],
        "writes_duplicated": sum(kind["duplicated"] for kind in kinds) + services["writes_duplicated"],
        "writes_unknown": sum(kind["unknown"] for kind in kinds),
    }


def summary(report: Mapping[str, Any]) -> Iterator[str]:
    """What it comes to, line by line."""
    totals, switches = report["totals"], report["switches"]
    yield (
        f"{totals['writes_acknowledged']:,} acknowledged writes in {report['seconds']:,.0f} s "
        f"({report['writes_a_second']:,.0f} a second on the databases themselves): {totals['writes_lost']} "
        f"lost, {totals['writes_duplicated']} duplicated, {totals['writes_unknown']} without an answer"
    )
    yield f"{switches['done']} switches, {len(switches['given_up'])} given up: {switches['ms']} ms"
    yield f"the longest gap between two writes around a switch: {report['gap_ms']} ms"
    services = report["services"]
    yield f"through the services: {services['requests']:,} requests, {services['failed']} failed"
    for what, count in services["failures"].items():
        yield f"FAILED: {count} times {what}"
    for table in report["databases"]["other_differs"]:
        yield f"NOT THE SAME in both databases: {table}"
    for kind in ("inserts", "swaps"):
        yield from (f"WRONG: {text}" for text in report["databases"][kind]["examples"])


def main() -> int:
    """`python -m lab soak`."""
    try:
        return soak(Options.read(os.environ))
    except (LabError, StepError) as error:
        say(str(error))
        return 1


def say(text: str) -> None:
    """A line for whoever waits."""
    sys.stderr.write(f"soak: {text}\n")
