"""The switch under load: nobody is refused, nothing is lost, and what fails ends in the old state."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cutover.errors import LeaseError, StepError
from cutover.fence import FenceReport, ReadOnlyFence
from cutover.gate import Gates
from cutover.mysql import DatabaseError, Session
from cutover.switching import GivenUpError, NativeDrain, Parts, Switch, SwitchRecord, Way, recover
from cutover.switching.end import Side
from cutover.switching.record import Stage
from lab.bench_switch import fate
from lab.replication.mariadb import PASSWORD
from lab.replication.switch_world import LIMITS, Request, SwitchWorld
from tests.replication.records import ActsAt

RATE, SHARE = 150.0, 0.5
SETTLE_SECONDS = 0.7
CAUGHT_UP_SECONDS = 30.0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwitchWorld]:
    with SwitchWorld(tmp_path_factory.mktemp("switch")) as found:
        yield found


@pytest.fixture(autouse=True)
def as_before(world: SwitchWorld) -> Iterator[None]:
    yield
    world.as_before()


class Watched:
    """Clients that send requests while something is done."""

    def __init__(self, world: SwitchWorld) -> None:
        self._world = world
        self._clients = world.clients(RATE, SHARE)
        time.sleep(SETTLE_SECONDS)

    def fate(self, side: Side) -> dict[str, int]:
        """What became of all requests, in the database that serves now."""
        time.sleep(SETTLE_SECONDS)
        self.requests: list[Request] = self._clients.stop()
        for replication in (self._world.forward(), self._world.reverse()):
            replication.wait_applied(replication.position(), CAUGHT_UP_SECONDS)
        return fate(self.requests, self._world.written(side))


def switch(world: SwitchWorld, gates: Gates, old: Side = "source") -> Parts:
    with world.switch(world.way(gates, old)) as prepared:
        prepared.arm()
        return prepared.run()


def unharmed(found: dict[str, int]) -> bool:
    assert found["writes_acknowledged"] > 20
    return not (found["failed"] or found["writes_lost"] or found["writes_duplicated"])


def test_there_and_back_under_load(world: SwitchWorld) -> None:
    clients = Watched(world)
    with world.gates() as gates:
        switch(world, gates)
        time.sleep(SETTLE_SECONDS)
        with world.target.session() as session:
            arrived = session.value("SELECT COUNT(*) FROM records")
        switch(world, gates, "target")
    found = clients.fate("source")

    assert unharmed(found), found
    assert arrived


def test_a_switch_that_is_not_possible_now_changes_nothing(world: SwitchWorld) -> None:
    with (
        world.gates() as gates,
        world.switch(world.way(gates, "target")) as prepared,
        pytest.raises(StepError, match="refuses writes already"),
    ):
        prepared.arm()
    with world.gates() as gates, world.target.session(None) as session:
        session.execute("SET GLOBAL read_only = 0")
        with (
            world.switch(world.way(gates, "source")) as prepared,
            pytest.raises(StepError, match="admits writes"),
        ):
            prepared.arm()


def given_up(
    world: SwitchWorld, way: Way, *, prepare: Callable[[], None] = lambda: None, **limits: float
) -> str:
    """A switch that is expected to be given up; returns why."""
    with world.switch(way, limits=replace(LIMITS, **limits)) as prepared:
        prepared.arm()
        prepare()
        with pytest.raises(GivenUpError) as told:
            prepared.run()
    return str(told.value)


def test_data_that_differs_gives_the_traffic_back(world: SwitchWorld) -> None:
    def differs(_seconds: float) -> None:
        raise StepError("one row differs")

    clients = Watched(world)
    with world.gates() as gates, world.switch(world.way(gates, "source"), differs) as prepared:
        prepared.arm()
        with pytest.raises(GivenUpError, match="one row differs"):
            prepared.run()
    found = clients.fate("source")

    assert unharmed(found), found


def test_a_target_that_does_not_catch_up_gives_the_traffic_back(world: SwitchWorld) -> None:
    def lag() -> None:
        with world.target.session(None) as session:
            session.execute("STOP SLAVE SQL_THREAD")
        time.sleep(0.3)  # clients write on

    clients = Watched(world)
    with world.gates() as gates:
        reason = given_up(world, world.way(gates, "source"), prepare=lag, drain=0.3)
    with world.target.session(None) as session:
        session.execute("START SLAVE SQL_THREAD")
    found = clients.fate("source")

    assert "has not applied" in reason
    assert unharmed(found), found


def test_a_request_that_does_not_end_gives_the_traffic_back(world: SwitchWorld) -> None:
    clients = Watched(world)
    with world.source.session() as locker, world.gates() as gates:
        locker.execute("LOCK TABLES records WRITE")
        time.sleep(0.1)
        reason = given_up(world, world.way(gates, "source"), park=0.3)
        locker.execute("UNLOCK TABLES")
    found = clients.fate("source")

    assert "still being answered" in reason
    assert unharmed(found), found


def test_a_target_that_hangs_is_not_waited_for(world: SwitchWorld) -> None:
    """Stopped as a whole: it answers nothing, and ends no connection either."""
    clients = Watched(world)
    with world.gates() as gates, world.target.hanging() as hang:
        reason = given_up(world, world.way(gates, "source"), prepare=hang, drain=0.3)
    found = clients.fate("source")

    assert "Lost connection" in reason
    assert unharmed(found), found


def test_a_target_that_stays_read_only_gives_the_traffic_back(world: SwitchWorld) -> None:
    clients = Watched(world)
    with world.gates() as gates:
        way = world.way(gates, "source")
        way.new.fence = Stays(way.new.server, way.new.fence.schemas, way.new.fence.exempt)
        reason = given_up(world, way)
    found = clients.fate("source")

    assert "still refuses writes" in reason
    assert unharmed(found), found


def test_a_writer_who_passes_the_fence_gives_the_traffic_back(world: SwitchWorld) -> None:
    with world.source.session(None) as owner:
        owner.execute("CREATE OR REPLACE USER rogue@'%%' IDENTIFIED BY %s", (PASSWORD,))
        owner.execute("GRANT ALL ON *.* TO rogue@'%'")

    def write(_seconds: float) -> None:
        with world.source.server("rogue").connect("boss") as session:
            session.execute("INSERT INTO records (client_id, amount) VALUES ('rogue', 1)")

    clients = Watched(world)
    with world.gates() as gates, world.switch(world.way(gates, "source"), write) as prepared:
        prepared.arm()
        with pytest.raises(GivenUpError, match="written to behind its fence"):
            prepared.run()
    found = clients.fate("source")
    with world.source.session(None) as owner:
        owner.execute("DROP USER rogue@'%'")

    assert unharmed(found), found


def dies(world: SwitchWorld, stage: Stage, before: bool, fence: type[ReadOnlyFence]) -> None:
    with world.gates() as gates:
        way = world.way(gates, "source")
        way.new.fence = fence(way.new.server, way.new.fence.schemas, way.new.fence.exempt)
        record = ActsAt(world.record, stage, lambda: os._exit(9), before=before)
        with Switch(way, LIMITS, record) as prepared:
            prepared.arm()
            prepared.run()
    os._exit(0)


def killed(
    world: SwitchWorld, stage: Stage, *, before: bool = False, fence: type[ReadOnlyFence] = ReadOnlyFence
) -> None:
    """A runner whose process is killed right after a stage was noted, or before; `fence`: the target's."""
    child = multiprocessing.get_context("fork").Process(target=dies, args=(world, stage, before, fence))
    child.start()
    child.join(CAUGHT_UP_SECONDS)
    assert child.exitcode == 9


STAGES: tuple[Stage, ...] = (
    "arming",
    "parking",
    "fencing",
    "fenced",
    "promoting",
    "letting through",
    "done",
)


@pytest.mark.parametrize("stage", STAGES)
def test_a_runner_that_is_killed_leaves_nothing_that_the_next_cannot_end(
    world: SwitchWorld, stage: Stage
) -> None:
    clients = Watched(world)
    killed(world, stage)

    ahead = stage in ("letting through", "done")
    outcome, again = world.recover(), world.recover()
    with world.gates() as gates:
        states = gates.states()
    found = clients.fate("target" if ahead else "source")

    assert outcome == again == ("done" if ahead else "given up")
    assert [(state.closed, state.side) for state in states] == [(False, "target" if ahead else "source")]
    assert unharmed(found), found


class Stays(ReadOnlyFence):
    """Of a server that says yes and does nothing, as one whose parameter group was not applied."""

    def admit_writes(self, session: Session) -> None:
        """See Fence."""


def test_a_runner_that_is_killed_once_it_has_given_up_has_given_up(world: SwitchWorld) -> None:
    """The target follows by then: that it is further on says nothing of who wrote to it."""
    clients = Watched(world)
    killed(world, "given up", before=True, fence=Stays)
    time.sleep(SETTLE_SECONDS)

    outcome = world.recover()
    with world.target.session(None) as session:
        refuses = session.value("SELECT @@GLOBAL.read_only")
    found = clients.fate("source")

    assert outcome == "given up"
    assert refuses
    assert unharmed(found), found


@pytest.mark.parametrize("stage", ["fencing", "promoting", "letting through"])
def test_a_runner_whose_lease_is_lost_begins_nothing_more(world: SwitchWorld, stage: Stage) -> None:
    """Neither ahead nor back: both are the next runner's, which ends what was begun."""
    clients = Watched(world)
    asked: list[str] = []

    class Losing(SwitchRecord):
        def note(self, stage: Stage, **facts: object) -> None:
            asked.append(stage)
            super().note(stage, **facts)

    def ensure() -> None:
        if asked[-1] == stage:
            raise LeaseError("the lease was lost")

    with world.gates() as gates:
        way = world.way(gates, "source")
        with Switch(way, LIMITS, Losing(world.record, ensure)) as prepared:
            prepared.arm()
            with pytest.raises(LeaseError):
                prepared.run()
        assert asked[-1] == stage, "nothing came after it"
        assert {state.closed for state in gates.states()} == {True}, "nobody was let through"
    assert world.recover() == "given up"
    found = clients.fate("source")
    assert unharmed(found), found


def test_a_runner_whose_lease_is_lost_gives_nothing_back(world: SwitchWorld) -> None:
    """The next runner may be at the switch already: it is that one's to end it."""
    clients = Watched(world)
    lost: list[str] = []

    def differs(_seconds: float) -> None:
        lost.append("while the rows were compared")
        raise StepError("one row differs")

    def ensure() -> None:
        if lost:
            raise LeaseError("the lease was lost")

    with world.gates() as gates:
        way = world.way(gates, "source")
        with Switch(way, LIMITS, SwitchRecord(world.record, ensure), compare=differs) as prepared:
            prepared.arm()
            with pytest.raises(LeaseError):
                prepared.run()
        assert {state.closed for state in gates.states()} == {True}, "nobody was let through"
        with closing(world.way(gates, "source")) as way, pytest.raises(LeaseError):
            recover(world.record, way, ensure)
    assert world.recover() == "given up"
    found = clients.fate("source")
    assert unharmed(found), found


def test_a_torn_last_line_of_the_record_was_not_begun(tmp_path: Path) -> None:
    path = tmp_path / "switch.jsonl"
    record = SwitchRecord(path)
    record.note("parking")
    record.note("fenced", position="0-1-5")
    record.close()
    whole = path.read_bytes()
    for cut in range(len(whole.splitlines(keepends=True)[0]), len(whole)):
        path.write_bytes(whole[:cut])
        last = SwitchRecord.last(path)
        assert last is not None
        assert last["stage"] == "parking"
    path.write_bytes(whole)
    assert SwitchRecord.last(path) == {"stage": "fenced", "position": "0-1-5"}
    path.write_bytes(b"rubbish\n")
    with pytest.raises(StepError, match="is damaged"):
        SwitchRecord.last(path)


class NoGate(Gates):
    """Lets everything pass all the time."""

    def park(self, seconds: float) -> float:
        return 0.0


class NoFence(ReadOnlyFence):
    """Refuses nothing; says that it does."""

    def raise_fence(
        self,
        session: Session,
        position_query: str,
        seconds: float,
        mark: Callable[[], None] = lambda: None,
    ) -> FenceReport:
        return FenceReport(str(session.value(position_query)), (), 0.0)


class NoDrain(NativeDrain):
    """Waits for nothing."""

    def wait(self, position: str, seconds: float) -> None:
        """See Drain."""


def test_without_the_gate_requests_fail(world: SwitchWorld) -> None:
    """A negative control: the harness must see what the gate is there for."""
    clients = Watched(world)
    with world.gates() as gates:
        gates.__class__ = NoGate
        way = world.way(gates, "source")
        with world.switch(way, lambda _seconds: time.sleep(0.3)) as prepared:
            prepared.arm()
            prepared.run()

    assert clients.fate("target")["failed"] > 0


def test_without_the_fence_a_late_write_is_noticed(world: SwitchWorld) -> None:
    """A negative control: a writer beside the gate goes on, as nothing stops him."""
    stop = threading.Event()

    def write() -> None:
        with world.source.server("app").connect("boss") as session:
            while not stop.wait(0.005):
                try:
                    session.execute("INSERT INTO records (client_id, amount) VALUES ('beside', 1)")
                except DatabaseError:
                    return

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.2)
    with world.gates() as gates:
        way = world.way(gates, "source")
        way.old.fence = NoFence(way.old.server, way.old.fence.schemas, way.old.fence.exempt)
        reason = given_up_with_pause(world, way)
    stop.set()
    writer.join(CAUGHT_UP_SECONDS)

    assert "written to behind its fence" in reason


def given_up_with_pause(world: SwitchWorld, way: Way) -> str:
    with world.switch(way, lambda _seconds: time.sleep(0.2)) as prepared:
        prepared.arm()
        with pytest.raises(GivenUpError) as told:
            prepared.run()
    return str(told.value)


def test_without_the_drain_acknowledged_writes_are_missing(tmp_path: Path) -> None:
    """A negative control, in a world of its own: neither database has everything then."""
    with SwitchWorld(tmp_path) as world, world.gates() as gates:
        clients = world.clients(RATE, SHARE)
        time.sleep(SETTLE_SECONDS)
        with world.target.session(None) as session:
            session.execute("STOP SLAVE SQL_THREAD")
        time.sleep(SETTLE_SECONDS)
        way = world.way(gates, "source")
        drain = NoDrain(way.new.server)
        drain.prepare = lambda: None  # type: ignore[method-assign]
        with world.switch(replace(way, drain=drain)) as prepared:
            prepared.arm()
            prepared.run()
        requests = clients.stop()

        assert fate(requests, world.written("target"))["writes_lost"] > 0
