"""One runner at a time, with a growing epoch; what a lost one started is ended. The same on both homes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest

from cutover.children import stopped
from cutover.clock import BootClock
from cutover.errors import LeaseError
from tests.cutover.lease_homes import SECONDS, Home, Other
from tests.cutover.team_table import REGION


@contextmanager
def held_elsewhere(home: Home) -> Iterator[Other]:
    other = Other(home)
    try:
        yield other
    finally:
        other.end()


def stop(other: Other) -> None:
    other.process.send_signal(signal.SIGSTOP)
    assert wait_until(lambda: stopped(other.process.pid))


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def wait_until(holds: Callable[[], bool], seconds: float = 20.0) -> bool:
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.05)
    return holds()


def test_the_epoch_grows_with_each_holder(home: Home) -> None:
    epochs = []
    for _ in range(3):
        with home.lease() as held:
            epochs.append(held.epoch)

    assert epochs == [1, 2, 3]


def test_the_epoch_never_falls_behind_the_journal(home: Home) -> None:
    with home.lease(last_epoch=7) as held:
        assert held.epoch == 8


def test_a_second_runner_is_refused_and_told_who_holds_it(home: Home) -> None:
    with (
        home.lease() as held,
        pytest.raises(
            LeaseError, match=f"process {os.getpid()} on .* since .*lease [0-9a-f]{{32}}"
        ) as refused,
        home.lease(),
    ):
        pytest.fail("two hold the lease")
    assert held.holder is None
    assert not home.lease().held()
    last = home.lease().last()
    assert last is not None
    assert last.id in str(refused.value)


def test_a_killed_holders_children_are_ended_by_the_next(home: Home) -> None:
    with held_elsewhere(home) as other:
        other.process.kill()
        other.process.communicate()
        assert alive(other.child)
        assert not home.lease().held(), "the dead hold nothing on a machine where they are seen to be dead"

        with home.lease() as held:
            assert held.epoch == 2
            assert wait_until(lambda: not alive(other.child))


def test_asking_whether_it_is_held_takes_nothing(home: Home) -> None:
    asking = home.lease()
    assert not asking.held()
    assert asking.last() is None
    with home.lease() as held:
        assert asking.held()
        assert asking.held()
        assert asking.holder_here() == os.getpid()
        assert asking.last() == held.holder
    assert not asking.held()
    assert asking.holder_here() is None


def test_its_epoch_is_known_only_while_it_is_held(home: Home) -> None:
    with home.lease() as held:
        held.ensure()
    with pytest.raises(LeaseError, match="not held"):
        _ = held.epoch
    with pytest.raises(LeaseError, match="not held"):
        held.ensure()


def test_a_damaged_lease_is_refused(home: Home) -> None:
    _damage(home)

    with pytest.raises(LeaseError, match="damaged"), home.lease():
        pytest.fail("a damaged lease was taken")
    _repair(home)
    with home.lease() as held:
        assert held.epoch == 1


def test_a_stopped_holder_starts_nothing_once_another_came(home: Home) -> None:
    """A local holder that was stopped keeps the lease until it is unlocked; a team's lapses."""
    with held_elsewhere(home) as other:
        stop(other)
        if not home.lapses:
            last = home.lease().last()
            assert home.lease().held()
            assert last is not None
            with pytest.raises(LeaseError, match=f"process {other.process.pid}"), home.lease():
                pytest.fail("two hold the lease")
            assert alive(other.child)
            home.lease().unlock(last.id)

        said: list[str] = []
        with home.lease(say=said.append) as held:
            assert held.epoch == 2
            assert wait_until(lambda: not alive(other.child))
            other.process.send_signal(signal.SIGCONT)
            assert wait_until(lambda: not alive(other.process.pid))
        if home.lapses:
            assert "silent for" in said[0]
            assert f"counts as lost after {SECONDS:g} s" in said[0]


def test_a_lost_holder_is_unlocked_by_the_id_that_is_shown(home: Home) -> None:
    with held_elsewhere(home) as other:
        stop(other)
        found = home.lease().last()
        assert found is not None
        with pytest.raises(LeaseError, match=f"held by {found.id}.*, not by {'0' * 32}"):
            home.lease().unlock("0" * 32)
        assert alive(other.process.pid)
        assert home.lease().held()

        unlocked = home.lease().unlock(found.id)

        assert unlocked == found
        assert wait_until(lambda: not alive(other.child))
        assert wait_until(lambda: not alive(other.process.pid))
        assert not home.lease().held()
        with home.lease() as held:
            assert held.epoch == 2


def test_a_holder_that_is_alive_is_not_unlocked(home: Home) -> None:
    with held_elsewhere(home) as other:
        found = home.lease().last()
        assert found is not None

        with pytest.raises(LeaseError, match=r"is alive.*Ctrl-C"):
            home.lease().unlock(found.id)

        other.tell("effect")
        assert other.line() == "done"
        assert home.lease().held()
        assert alive(other.child)


def test_nothing_is_unlocked_that_nobody_holds(home: Home) -> None:
    with home.lease() as held:
        holder = held.holder
    assert holder is not None

    with pytest.raises(LeaseError, match="nobody holds"):
        home.lease().unlock(holder.id)


@pytest.mark.parametrize("hours", [-1, 1])
def test_the_time_of_day_decides_nothing(home: Home, hours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with held_elsewhere(home) as other:
        monkeypatch.setattr(BootClock, "now", lambda _: datetime.now(UTC) + timedelta(hours=hours))

        with pytest.raises(LeaseError, match="already running"), home.lease():
            pytest.fail("two hold the lease")

        other.tell("effect")
        assert other.line() == "done"


def _damage(home: Home) -> None:
    kind, place, *_ = home.text.split(":")
    if kind == "local":
        Path(place).write_text("{]")
    else:
        item = {"journal": {"S": "prod"}, "sequence": {"N": "0"}, "id": {"S": "a"}}
        boto3.client("dynamodb", region_name=REGION).put_item(TableName=place, Item=item)


def _repair(home: Home) -> None:
    kind, place, *_ = home.text.split(":")
    if kind == "local":
        Path(place).unlink()
    else:
        key = {"journal": {"S": "prod"}, "sequence": {"N": "0"}}
        boto3.client("dynamodb", region_name=REGION).delete_item(TableName=place, Key=key)
