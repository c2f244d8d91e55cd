"""Networks of the switch that are cut: real databases, the gate, and clients who send requests all along."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace

import pytest

from cutover.errors import StepError
from cutover.mysql import DatabaseError
from cutover.switching import GivenUpError, Limits, Switch
from cutover.switching.end import Side
from cutover.switching.record import Stage
from lab.bench_switch import fate
from lab.replication.switch_world import SwitchWorld
from tests.replication.records import ActsAt
from tests.replication.wire import How, Wire

RATE, SHARE = 100.0, 0.5
SETTLE_SECONDS = 0.7
CAUGHT_UP_SECONDS = 30.0
LIMITS = Limits(park=2.0, fence=1.0, drain=2.0, compare=1.0, total=6.0)
BOUND_SECONDS = 60.0
"""The switch's limits, and three attempts of the way back at a server that does not answer."""
KINDS: tuple[How, ...] = ("refused", "silent", "one-way")
MOMENTS: tuple[tuple[str, Stage | None], ...] = (
    ("source", None),
    ("source", "fencing"),
    ("source", "fenced"),
    ("target", None),
    ("target", "fenced"),
    ("target", "promoting"),
    ("gate", None),
    ("gate", "parking"),
    ("gate", "letting through"),
    ("replication", "parking"),
)
"""What is cut off, and which stage was noted just before; None: before the switch is armed."""


def cases() -> list[tuple[str, Stage | None, How]]:
    """One kind of cut for each moment, by turns; `make faults` asks for every kind."""
    if os.environ.get("EVERY_PARTITION"):
        return [(*moment, kind) for moment in MOMENTS for kind in KINDS]
    return [(*moment, KINDS[number % len(KINDS)]) for number, moment in enumerate(MOMENTS)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwitchWorld]:
    with SwitchWorld(tmp_path_factory.mktemp("partition")) as found:
        yield found


@pytest.fixture(scope="module")
def wires(world: SwitchWorld) -> Iterator[Mapping[str, Wire]]:
    """By which whoever switches reaches everything, and the target its origin."""
    ports = {
        "source": world.source.port,
        "target": world.target.port,
        "gate": world.runtime_port,
        "replication": world.source.port,
    }
    with ExitStack() as stack:
        found = {name: stack.enter_context(Wire(port)) for name, port in ports.items()}
        with world.target.session(None) as session:
            session.execute("STOP SLAVE")
            session.execute(
                "CHANGE MASTER TO MASTER_PORT = %s, MASTER_CONNECT_RETRY = 1", (found["replication"].port,)
            )
            session.execute("START SLAVE")
        world.via = {name: found[name].port for name in ("source", "target", "gate")}
        yield found


@pytest.fixture
def as_before(world: SwitchWorld) -> Iterator[None]:
    yield
    world.as_before()


@pytest.mark.usefixtures("as_before")
@pytest.mark.parametrize(("what", "stage", "how"), cases())
def test_a_network_that_is_cut(
    world: SwitchWorld, wires: Mapping[str, Wire], what: str, stage: Stage | None, how: How
) -> None:
    """The switch ends in bounded time; once the network is back, whoever comes next ends what is left."""
    wire = wires[what]
    clients = world.clients(RATE, SHARE)
    time.sleep(SETTLE_SECONDS)
    begun = time.monotonic()
    with world.gates() as gates:
        if stage is None:
            wire.cut(how)
        record = ActsAt(world.record, stage, lambda: wire.cut(how))
        with Switch(world.way(gates, "source"), LIMITS, record) as prepared, pytest.raises(StepError) as told:
            prepared.arm()
            prepared.run()
        took = time.monotonic() - begun
        wire.mend()
    assert took < BOUND_SECONDS
    time.sleep(SETTLE_SECONDS)  # what was on its way lands

    ended = world.recover()
    with world.gates() as gates:
        states = gates.states()
    serves: Side = "target" if ended == "done" else "source"
    time.sleep(SETTLE_SECONDS)
    requests = clients.stop()
    for replication in (world.forward(), world.reverse()):
        replication.wait_applied(replication.position(), CAUGHT_UP_SECONDS)
    found = fate(requests, world.written(serves))

    assert [(state.closed, state.side) for state in states] == [(False, serves)]
    assert _admit_writes(world) == [serves]
    assert found["writes_acknowledged"] > 20
    assert not found["writes_lost"] and not found["writes_duplicated"], found
    assert ended == ("done" if stage == "letting through" else "given up")
    if what == "replication":
        assert isinstance(told.value, GivenUpError), "whoever switches can reach all that the way back needs"
    assert not found["failed"], found


def test_who_accepts_a_connection_and_says_nothing_is_not_waited_for(
    world: SwitchWorld, wires: Mapping[str, Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a proxy does before a server that hangs: the limit of a statement is not that of signing in."""
    monkeypatch.setattr("cutover.mysql.server.CONNECT_SECONDS", 0.3)
    wire = wires["source"]
    wire.cut("silent")
    begun = time.monotonic()
    try:
        with pytest.raises(DatabaseError, match="could not be connected to"):
            replace(world.source.server(), port=wire.port).connect(seconds=BOUND_SECONDS)
    finally:
        wire.mend()
    assert time.monotonic() - begun < BOUND_SECONDS / 2


def _admit_writes(world: SwitchWorld) -> list[str]:
    found = []
    for side, database in (("source", world.source), ("target", world.target)):
        with database.session(None) as session:
            if not session.value("SELECT @@GLOBAL.read_only"):
                found.append(side)
    return found
