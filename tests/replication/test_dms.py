"""Replication by DMS, through its API as boto3 speaks it, with a worker behind it that really replicates."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from cutover.errors import StepError, StepTimeoutError
from cutover.replication import DmsReplication
from lab.aws.server import AwsServer
from lab.replication import dms_tasks
from lab.replication.dms_setup import Databases, Dms
from lab.replication.mariadb import MariaDb

WAIT_SECONDS = 30.0
TABLE = "CREATE TABLE records (id INT PRIMARY KEY, client CHAR(36))"


@pytest.fixture
def dms(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dms]:
    monkeypatch.setenv(dms_tasks.HOST, dms_tasks.HERE)
    monkeypatch.setenv(dms_tasks.LAG, "0.2")
    monkeypatch.setattr("cutover.replication.dms.POLL_SECONDS", 0.05)
    for database in databases:
        with database.session() as session:
            session.execute(TABLE)
    with AwsServer() as server:
        found = Dms(server.url, databases)
        try:
            yield found
        finally:
            for arn in (found.forward, found.reverse):
                dms_tasks.stop(arn)
            found.client.close()


def started(dms: Dms) -> DmsReplication:
    forward = dms.there()
    forward.set_up()
    forward.start()
    forward.wait_loaded(WAIT_SECONDS)
    return forward


def clients(database: MariaDb) -> list[str]:
    with database.session() as session:
        return [client for (client,) in session.rows("SELECT client FROM records ORDER BY id")]


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_loads_follows_and_says_when_all_has_arrived(dms: Dms) -> None:
    source, target = dms.databases
    with source.session() as session:
        session.execute("INSERT INTO records VALUES (1, 'a')")
        assert dms.there().state().state == "absent"
        forward = started(dms)
        session.execute("INSERT INTO records VALUES (2, 'b')")

    forward.wait_applied(forward.position(), WAIT_SECONDS)

    assert clients(target) == ["a", "b"]
    assert forward.state().healthy
    assert forward.measure_lag(WAIT_SECONDS) >= 0.2


def test_the_way_back_starts_from_the_recorded_position_and_never_beside_the_way_there(dms: Dms) -> None:
    source, target = dms.databases
    forward, reverse = started(dms), dms.back()
    reverse.set_up()
    with source.session() as session:
        session.execute("INSERT INTO records VALUES (1, 'before')")
    forward.wait_applied(forward.position(), WAIT_SECONDS)
    with target.session() as session:
        found = session.records("SHOW MASTER STATUS")[0]
        position = f"{found['File']}:{found['Position']}"
        with pytest.raises(StepError, match="-forward runs on the same instance"):
            reverse.start(position)
        forward.stop()
        session.execute("INSERT INTO records VALUES (2, 'after')")

    reverse.start(position)
    reverse.wait_applied(reverse.position(), WAIT_SECONDS)

    assert clients(source) == ["before", "after"]
    assert reverse.state().healthy


def test_a_suspended_table_is_no_healthy_replication(dms: Dms) -> None:
    source, target = dms.databases
    forward = started(dms)
    with target.session() as session:
        session.execute("INSERT INTO records VALUES (1, 'rogue')")
    with source.session() as session:
        session.execute("INSERT INTO records VALUES (1, 'a')")

    with pytest.raises(StepError, match=r"suspended boss\.records"):
        forward.wait_applied(forward.position(), WAIT_SECONDS)

    assert forward.state().state == "failed"


def test_a_task_that_stops_by_itself_is_noticed(dms: Dms) -> None:
    source, _ = dms.databases
    forward = started(dms)
    try:
        source.kill()
        until(lambda: not forward.state().healthy)
        assert "LOST" in forward.state().detail
    finally:
        source.start()


def test_what_never_arrives_is_told_in_time(dms: Dms) -> None:
    forward = started(dms)
    forward.stop()

    with pytest.raises(StepTimeoutError, match="has not arrived"):
        forward.wait_applied(forward.position(), 0.5)


def test_a_stopped_task_goes_on_where_it_was(dms: Dms) -> None:
    source, target = dms.databases
    forward = started(dms)
    with source.session() as session:
        session.execute("INSERT INTO records VALUES (1, 'a')")
        forward.wait_applied(forward.position(), WAIT_SECONDS)
        forward.stop()
        assert forward.state().state == "stopped"
        session.execute("INSERT INTO records VALUES (2, 'b')")

    forward.start()
    forward.wait_applied(forward.position(), WAIT_SECONDS)

    assert clients(target) == ["a", "b"]


def test_whoever_looks_on_is_told_how_far_behind_it_is_and_writes_nothing(dms: Dms) -> None:
    source, _ = dms.databases
    forward = started(dms)
    before = markers(source)
    with source.session() as session:
        session.execute("INSERT INTO records VALUES (1, 'seen')")
    until(lambda: (forward.observed_lag(1.0) or 0) >= 0.2)
    lag = forward.observed_lag(1.0)
    assert lag is not None
    assert lag < WAIT_SECONDS
    assert markers(source) == before


def test_a_task_that_does_not_run_says_nothing_of_its_lag(dms: Dms) -> None:
    reverse = dms.back()
    reverse.set_up()
    assert reverse.observed_lag(1.0) is None


def markers(database: MariaDb) -> int:
    with database.session() as session:
        return int(str(session.value("SELECT COUNT(*) FROM landfall_marker")))
