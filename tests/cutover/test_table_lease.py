"""The lease in a table, count by count: a clock that only tests move, and a table that loses answers."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from cutover.children import CHILD_MARK, began, machine
from cutover.clock import BootClock
from cutover.errors import LeaseError, TableError
from cutover.lease import Holder
from cutover.lease_guard import Guard
from cutover.table_lease import LOST, Keeper, LeaseTable, Lent, TableLease
from tests.cutover.lease_homes import Home, Other
from tests.cutover.team_table import new_table
from tests.cutover.world import FakeClock

ELSEWHERE = Holder(4, "e" * 32, 1, "elsewhere", "2026-01-01T00:00:00+00:00", "another machine", 1)


@dataclass
class MemoryTable:
    """A table whose answers may be lost, before or after the write. Implements LeaseTable."""

    lent: Lent | None = None
    faults: list[str] = field(default_factory=list)
    """What befalls the next writes: `unreachable`, `executed` (but not answered), or nothing."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self) -> Lent | None:
        with self.lock:
            return self.lent

    def write(self, fresh: Lent, before: Lent | None) -> bool:
        with self.lock:
            fault = self.faults.pop(0) if self.faults else ""
            if fault == "unreachable":
                raise TableError("the table cannot be written: connection refused")
            holds = self.lent == before
            if holds:
                self.lent = fresh
            if fault == "executed":
                raise TableError("the table cannot be written: read timed out")
            return holds and fault != "repeated"


class Untended:
    """Notes what is asked of it."""

    def __init__(self) -> None:
        self.lost_holders: list[str] = []
        self.deadline = 0.0

    def start(self, lease: TableLease, holder: Holder) -> None:
        """Nothing renews: the tests do."""

    def until(self, deadline: float) -> None:
        self.deadline = deadline

    def lost(self, holder: Holder) -> None:
        self.lost_holders.append(holder.id)

    def stop(self, holder: Holder) -> None:
        """Nothing was started."""


def lease_of(table: LeaseTable, clock: FakeClock, tending: Untended | None = None) -> TableLease:
    return TableLease(table, clock, seconds=30, tending=tending or Untended())


def test_a_holder_that_renews_keeps_it() -> None:
    table, clock = MemoryTable(), FakeClock()
    with lease_of(table, clock) as held:
        for _ in range(100):
            clock.sleep(5)
            held.renew()
            held.ensure()
        assert table.lent is not None
        assert table.lent.beat == 100
    final = table.read()
    assert final is not None
    assert final.released


def test_a_silent_holder_counts_it_as_lost_before_another_may_take_it() -> None:
    table, clock, tending = MemoryTable(), FakeClock(), Untended()
    with lease_of(table, clock, tending) as held:
        clock.sleep(19.9)
        held.ensure()
        clock.sleep(0.2)
        with pytest.raises(LeaseError, match=r"lost: it could not be renewed for 20 s.*[Nn]othing more"):
            held.ensure()
        assert tending.lost_holders == [held.holder.id if held.holder else ""]

        held.renew()
        with pytest.raises(LeaseError, match="lost"):
            held.ensure()
    assert table.lent is not None
    assert not table.lent.released, "what is lost is not given back: what it left is not known"
    assert LOST * 30 < 30


def test_a_table_that_cannot_be_asked_for_a_while_loses_nothing() -> None:
    table, clock = MemoryTable(), FakeClock()
    with lease_of(table, clock) as held:
        table.faults = ["unreachable"] * 3
        for _ in range(4):
            clock.sleep(4.9)
            held.renew()
        held.ensure()
        clock.sleep(19)
        held.ensure()


@pytest.mark.parametrize("fault", ["executed", "unreachable"])
def test_a_renewal_whose_answer_was_lost_is_found(fault: str) -> None:
    table, clock = MemoryTable(), FakeClock()
    with lease_of(table, clock) as held:
        table.faults = [fault]
        for _ in range(3):
            clock.sleep(5)
            held.renew()
        held.ensure()
        clock.sleep(19)
        held.ensure()


def test_a_take_over_that_was_repeated_by_the_client_is_our_own() -> None:
    """botocore asks again after a time-out: the second try does not fit what the first has written."""
    table, clock = MemoryTable(faults=["repeated"]), FakeClock()
    with lease_of(table, clock) as held:
        assert held.epoch == 1


def test_a_holder_whose_lease_was_taken_starts_nothing_and_takes_nothing_back() -> None:
    table, clock, tending = MemoryTable(), FakeClock(), Untended()
    with lease_of(table, clock, tending) as held:
        mine = table.lent
        assert mine is not None
        table.lent = replace(mine, holder=replace(ELSEWHERE, epoch=2), beat=0)
        clock.sleep(5)
        held.renew()
        with pytest.raises(LeaseError, match="lost: it is process 1 on elsewhere"):
            held.ensure()
        assert len(tending.lost_holders) == 1
    assert table.lent.holder.id == ELSEWHERE.id
    assert not table.lent.released


def test_a_holder_elsewhere_is_waited_for_as_long_as_it_said() -> None:
    table, clock = MemoryTable(Lent(ELSEWHERE, 7, 45.0)), FakeClock()
    with lease_of(table, clock) as held:
        assert clock.monotonic() >= 45
        assert held.epoch == 5


def test_a_holder_elsewhere_that_renews_is_left_alone() -> None:
    class Renewing(MemoryTable):
        def read(self) -> Lent | None:
            found = super().read()
            if found is not None and clock.monotonic() > 4:
                self.lent = found = replace(found, beat=8)
            return found

    clock = FakeClock()
    table = Renewing(Lent(ELSEWHERE, 7, 30.0))
    with pytest.raises(LeaseError, match="already running: process 1 on elsewhere"), lease_of(table, clock):
        pytest.fail("two hold the lease")
    assert clock.monotonic() < 10, "it is seen to live as soon as it renews"
    assert table.lent is not None
    assert table.lent.holder == ELSEWHERE


def test_whoever_looks_on_sees_a_silent_holder_lapse() -> None:
    table, clock = MemoryTable(Lent(ELSEWHERE, 7, 30.0)), FakeClock()
    looking = lease_of(table, clock)
    assert looking.held()
    clock.sleep(29)
    assert looking.held()
    clock.sleep(2)
    assert not looking.held()


def test_the_time_of_day_is_asked_for_records_alone() -> None:
    class Mad(FakeClock):
        """A day forward with each look, then two back."""

        days = 1

        def now(self) -> datetime:
            self.days *= -2
            return super().now() + timedelta(days=self.days)

    table, clock = MemoryTable(), Mad()
    with lease_of(table, clock) as held:
        for _ in range(10):
            clock.now()
            clock.sleep(5)
            held.renew()
            held.ensure()
        with pytest.raises(LeaseError, match="already running"):
            lease_of(_Beating(table, held), clock).__enter__()


class _Beating:
    """The table, while its holder renews between two looks of another."""

    def __init__(self, table: MemoryTable, holder: TableLease) -> None:
        self._table, self._holder = table, holder

    def read(self) -> Lent | None:
        self._holder.renew()
        return self._table.read()

    def write(self, fresh: Lent, before: Lent | None) -> bool:
        return self._table.write(fresh, before)


def test_of_many_at_once_one_gets_it() -> None:
    table = MemoryTable()
    for epoch in range(1, 11):
        inside: list[int] = []
        refused: list[LeaseError] = []
        barrier = threading.Barrier(6)

        def contend(inside: list[int] = inside, refused: list[LeaseError] = refused,
                    barrier: threading.Barrier = barrier) -> None:  # fmt: skip
            held = lease_of(table, FakeClock())
            barrier.wait()
            try:
                before = table.read()
                held.__enter__()
            except LeaseError as error:
                refused.append(error)
            else:
                inside.append(held.epoch)
                assert before is None or before.released or before.holder.epoch < held.epoch

        threads = [threading.Thread(target=contend) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # whoever came later waited out its own clock, on which nobody renewed: each got an epoch of its own
        assert len(set(inside)) == len(inside) >= 1
        assert len(inside) + len(refused) == 6
        assert table.lent is not None
        assert table.lent.holder.epoch == max(inside)
        assert min(inside) >= epoch


def test_a_stopped_holder_of_another_machine_is_ended_by_its_guard(aws: str) -> None:
    """Nobody else comes: what it started may not live on beyond its lease."""
    other = Other(Home(f"dynamodb:{new_table()}:2"))
    try:
        other.process.send_signal(signal.SIGSTOP)
        assert other.process.wait(20) == -signal.SIGKILL
        until = time.monotonic() + 10
        while began(other.child) and time.monotonic() < until:
            time.sleep(0.05)
        assert not began(other.child)
    finally:
        other.end()


def test_a_holder_and_guard_that_were_both_stopped_start_nothing_afterwards(aws: str) -> None:
    """As when the machine was: nobody ended it, and it finds by itself that its time is over."""
    home = Home(f"dynamodb:{new_table()}:6")
    other = Other(home)
    guard = _guard_of(other.process.pid)
    try:
        os.kill(guard, signal.SIGSTOP)
        other.process.send_signal(signal.SIGSTOP)
        time.sleep(LOST * 6 + 0.5)
        other.process.send_signal(signal.SIGCONT)
        other.tell("effect")
        assert "the lease was lost: it could not be renewed" in other.line()
        until = time.monotonic() + 10
        while began(other.child) and time.monotonic() < until:
            time.sleep(0.05)
        assert not began(other.child), "it ended what it had started"
    finally:
        os.kill(guard, signal.SIGKILL)
        other.end()


class Unguarded(Keeper):
    """Its guard is told of no deadline: it would end this process, were the machine slow."""

    def until(self, deadline: float) -> None:
        """See Tending."""


def test_a_holder_that_cannot_reach_the_table_ends_what_it_started() -> None:
    table = MemoryTable()
    child = None
    try:
        with TableLease(table, BootClock(), seconds=6, tending=Unguarded(6)) as held:
            child = subprocess.Popen(["sleep", "300"])
            table.faults = ["unreachable"] * 1000
            assert child.wait(30) == -signal.SIGINT
            with pytest.raises(LeaseError, match="could not be renewed"):
                held.ensure()
    finally:
        if child is not None and child.poll() is None:
            child.kill()
            child.wait()


def test_the_guard_ends_nobody_who_says_that_all_is_well() -> None:
    holder = Holder(1, "f" * 32, os.getpid(), "here", "", machine(), began(os.getpid()))
    guard = Guard(holder, 1.0)
    guard.until(BootClock().monotonic() + 30)
    guard.close()
    assert began(os.getpid())


def test_a_guard_that_died_is_replaced() -> None:
    sleeper = subprocess.Popen(["sleep", "300"], env={CHILD_MARK: "a" * 32})
    holder = Holder(1, "a" * 32, sleeper.pid, "here", "", machine(), began(sleeper.pid))
    guard = Guard(holder, 1.0)
    try:
        process = guard._process
        process.kill()
        process.wait()
        guard.until(BootClock().monotonic() + 0.2)
        assert sleeper.wait(20) == -signal.SIGKILL
    finally:
        guard.close()
        if sleeper.poll() is None:
            sleeper.kill()
            sleeper.wait()


def test_the_keeper_renews_by_itself() -> None:
    table = MemoryTable()
    with TableLease(table, BootClock(), seconds=18, tending=Keeper(18)) as held:
        until = time.monotonic() + 30
        while (table.lent is None or table.lent.beat < 3) and time.monotonic() < until:
            time.sleep(0.05)
        held.ensure()
        assert table.lent is not None
        assert table.lent.beat >= 3


def _guard_of(pid: int) -> int:
    found = subprocess.run(
        ["pgrep", "-P", str(pid), "-f", "cutover.lease_guard"],
        capture_output=True, text=True, check=True, timeout=10,
    )  # fmt: skip
    return int(found.stdout.split()[0])
