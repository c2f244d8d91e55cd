"""The move of a database between two real servers: users, copy, replication, switch and the way back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from cutover.clock import SystemClock
from cutover.database_move import Lag, mysql_move, switching
from cutover.database_move.mysql_move import MySqlMove
from cutover.database_move.positions import transactions_between
from cutover.database_move.servers import Servers
from cutover.errors import StepError
from cutover.gate.runtime import GateState
from cutover.mysql import DatabaseError, Server
from cutover.ports import Cluster, Side, Stacks
from cutover.switching import GivenUpError, SwitchRecord
from lab.aws.server import AwsServer
from lab.database import ADMINISTRATOR_RIGHTS
from lab.replication import dms_tasks
from lab.replication.dms_setup import Databases, Dms
from lab.replication.mariadb import PASSWORD, SCHEMA, MariaDb
from stacks.settings import Environment
from tests.cutover.conftest import filled_settings

ACCOUNT = "app@%"
RIGHTS_OF_A_REPLICA = "REPLICATION SLAVE ADMIN, SLAVE MONITOR, SET USER"


@dataclass
class Gate:
    """A gate without requests, which notes what was done to it."""

    side: Side = "source"
    closed: bool = False
    done: list[str] = field(default_factory=list)

    def states(self) -> tuple[GateState, ...]:
        return (GateState(self.closed, self.side),)

    def park(self, seconds: float) -> float:
        self.closed = True
        self.done.append("park")
        return 0.0

    def let_through(self, side: Side) -> float:
        self.side, self.closed = side, False
        self.done.append(f"let through to the {side}")
        return 0.0


class LoopbackServers(Servers):
    """The two servers of the tests, whose secrets are kept here."""

    databases: Databases
    dms: Dms
    kept: dict[str, tuple[str, str]]

    @property
    def source(self) -> Server:
        return replace(self.databases[0].server("manager"), name="source")

    @property
    def target(self) -> Server:
        return replace(self.databases[1].server("manager"), name="target")

    def authority(self, side: Side) -> str:
        return str(self.databases[side == "target"].ca)

    def fill_secrets(self, side: Side) -> tuple[str, str]:
        return self.kept.setdefault(side, ("landfall_replication", f"a-password-{side}"))

    def replication_user(self, side: Side) -> Server:
        user, password = self.kept[side]
        return replace(self.server(side), user=user, password=password)

    def has_replication_users(self) -> bool:
        return bool(self.kept)

    def output(self, part: str, name: str) -> Any:
        return {"task_arns": {"forward": self.dms.forward, "reverse": self.dms.reverse}}[name]

    def client(self, service: str) -> Any:
        return self.dms.cloudwatch if service == "cloudwatch" else self.dms.client


@pytest.fixture
def managed(databases: Databases) -> Iterator[Databases]:
    """Managed servers: their administrators have no SUPER and cannot set read_only."""
    for database in databases:
        with database.session(None) as session:
            session.execute("SET SESSION sql_log_bin = 0")
            rights = f"{ADMINISTRATOR_RIGHTS}, {RIGHTS_OF_A_REPLICA}"
            session.execute(f"CREATE OR REPLACE USER manager@'%' IDENTIFIED BY '{PASSWORD}'")
            session.execute(f"GRANT {rights} ON *.* TO manager@'%' WITH GRANT OPTION")
            session.execute("DROP USER IF EXISTS landfall_replication@'%'")
    source, target = databases
    with source.session() as session:
        session.execute(
            "CREATE TABLE records (id INT AUTO_INCREMENT PRIMARY KEY, client CHAR(36), KEY (client))"
        )
        session.execute(
            "CREATE TRIGGER t BEFORE INSERT ON records FOR EACH ROW SET NEW.client = TRIM(NEW.client)"
        )
        session.execute("INSERT INTO records (client) SELECT seq FROM seq_1_to_500")
    with target.session(None) as session:
        session.execute("SET SESSION sql_log_bin = 0")
        session.execute("SET GLOBAL gtid_domain_id = 40")
        session.execute("SET GLOBAL log_bin_trust_function_creators = 1")
        session.execute("DROP USER IF EXISTS app@'%'")
    yield databases
    for database in databases:
        with database.session(None) as session:
            session.execute("STOP SLAVE")
            session.execute("SET SESSION sql_log_bin = 0")
            session.execute("SET GLOBAL gtid_domain_id = 0")
            session.execute(f"CREATE OR REPLACE USER app@'%' IDENTIFIED BY '{PASSWORD}'")


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    found = Gate()

    @contextmanager
    def opened(_cluster: object, _environment: object) -> Iterator[Gate]:
        yield found

    monkeypatch.setattr(switching, "open_gates", opened)
    return found


@pytest.fixture
def move(
    managed: Databases,
    gate: Gate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[MySqlMove]:
    assert gate.side == "source"
    monkeypatch.setenv(dms_tasks.HOST, dms_tasks.HERE)
    monkeypatch.setenv(dms_tasks.LAG, "0.2")
    monkeypatch.setattr("cutover.replication.dms.POLL_SECONDS", 0.05)
    settings = filled_settings(replication=True)
    settings["database"] |= {"name": SCHEMA, "further": [], "accounts": [ACCOUNT]}
    settings["buffers"] = []
    settings["replication"]["forward"] = getattr(request, "param", "native")
    environment = Environment.model_validate(settings)
    with AwsServer() as server:
        LoopbackServers.databases, LoopbackServers.kept = managed, {}
        LoopbackServers.dms = Dms(server.url, managed)
        monkeypatch.setattr(mysql_move, "Servers", LoopbackServers)
        nothing = cast(Any, None)
        yield MySqlMove(
            environment,
            tmp_path,
            tmp_path / "kept",
            stacks=cast(Stacks, nothing),
            target=cast(Cluster, nothing),
            clock=SystemClock(),
        )
        for arn in (LoopbackServers.dms.forward, LoopbackServers.dms.reverse):
            dms_tasks.stop(arn)
        LoopbackServers.dms.client.close()


def silent(_text: str) -> None:
    """Says nothing."""


def ready(move: MySqlMove) -> Any:
    """Everything up to the switch."""
    rights = move.prepare_users()
    move.replicate(silent)
    move.prepare_reverse()
    move.verify(silent)
    return rights


def write(database: MariaDb, client: str) -> None:
    """As the service. Raises DatabaseError."""
    with database.server("app").connect(SCHEMA) as session:
        session.execute("INSERT INTO records (client) VALUES (%s)", (client,))


def clients(database: MariaDb) -> set[str]:
    with database.session() as session:
        return {str(client) for (client,) in session.rows("SELECT client FROM records")}


def test_the_pair_is_inspected(move: MySqlMove) -> None:
    assert not [line for line in move.inspect() if line.startswith("error")]


def test_the_copy_follows_and_the_account_cannot_write_yet(move: MySqlMove, managed: Databases) -> None:
    source, target = managed
    rights = move.prepare_users()
    found = move.replicate(silent)
    write(source, "later")
    move.forward().measure_lag(20.0)

    assert found["kind"] == "native"
    assert clients(target) == clients(source) >= {"1", "500", "later"}
    assert [right["account"] for right in rights] == [ACCOUNT]
    with pytest.raises(DatabaseError, match="denied"):
        write(target, "too early")
    assert PASSWORD not in str(rights)


def test_it_may_be_repeated(move: MySqlMove, managed: Databases) -> None:
    first = ready(move)
    assert ready(move) == first
    assert move.replicating().state == "running"


def test_the_switch_and_back_keep_every_write(move: MySqlMove, managed: Databases, gate: Gate) -> None:
    source, target = managed
    rights = ready(move)
    write(source, "before")

    switched = move.switch(rights, silent)

    assert (move.serving(), gate.done) == ("target", ["park", "let through to the target"])
    assert switched.verification["mismatches"] == 0
    with pytest.raises(DatabaseError, match="denied"):
        write(source, "refused")
    for number in range(20):
        write(target, f"after-{number}")
    move.start_reverse()

    back = move.switch_back(rights, silent)

    assert (move.serving(), gate.side) == ("source", "source")
    assert back.writes_on_target == back.kept == 20
    assert clients(source) == clients(target) >= {"before", "after-0", "after-19"}
    with pytest.raises(DatabaseError, match="denied"):
        write(target, "refused")
    write(source, "again")

    assert move.replicating().state == "running", "the target follows again, for the next attempt"
    move.forward().measure_lag(20.0)
    assert "again" in clients(target)
    assert move.switch(rights, silent).verification["mismatches"] == 0
    assert move.serving() == "target"


def test_whoever_looks_on_is_told_which_replica_is_behind_and_how_far(
    move: MySqlMove, managed: Databases, gate: Gate
) -> None:
    assert move.lag() == Lag("forward", "absent", "its users are not made yet")
    rights = ready(move)
    forward = move.lag()
    assert (forward.direction, forward.state) == ("forward", "running")
    assert forward.seconds is not None
    assert forward.seconds < mysql_move.WATCHED_LAG_SECONDS
    move.switch(rights, silent)
    assert (move.lag().direction, move.lag().state) == ("reverse", "absent")
    move.start_reverse()
    write(managed[1], "seen")
    deadline = time.monotonic() + 30
    while (back := move.lag()).seconds is None or back.seconds < 0.2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (back.direction, back.state, gate.side) == ("reverse", "running", "target")


@pytest.mark.parametrize("move", ["dms"], indirect=True)
def test_dms_both_ways_keeps_every_write(move: MySqlMove, managed: Databases, gate: Gate) -> None:
    source, target = managed
    rights = ready(move)
    write(source, "before")

    switched = move.switch(rights, silent)

    assert switched.verification["mismatches"] == 0
    assert {"before", "1", "500"} <= clients(target)
    write(target, "after")
    move.start_reverse()
    back = move.switch_back(rights, silent)

    assert (move.serving(), back.writes_on_target, back.kept) == ("source", 1, 1)
    assert "after" in clients(source)


def test_without_the_comparison_a_forged_row_would_be_served(
    move: MySqlMove, managed: Databases, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the comparison under the fence."""
    rights = ready(move)
    with managed[1].session() as session:
        session.execute("UPDATE records SET client = 'forged' WHERE id = 17")
    monkeypatch.setattr(switching.Switching, "_compare", lambda *_: {})

    move.switch(rights, silent)

    assert move.serving() == "target"
    assert clients(managed[0]) != clients(managed[1])


def test_without_a_healthy_way_back_it_is_refused_with_the_number_of_writes(
    move: MySqlMove, managed: Databases, gate: Gate
) -> None:
    rights = ready(move)
    move.switch(rights, silent)
    for number in range(7):
        write(managed[1], f"after-{number}")

    with pytest.raises(StepError, match="7 transactions that the target has committed would be lost"):
        move.switch_back(rights, silent)

    assert (move.serving(), gate.side) == ("target", "target")


def test_a_row_changed_behind_everyones_back_gives_the_switch_up(
    move: MySqlMove, managed: Databases, gate: Gate
) -> None:
    source, target = managed
    rights = ready(move)
    with target.session() as session:
        session.execute("UPDATE records SET client = 'forged' WHERE id = 17")

    with pytest.raises(GivenUpError, match="1 rows"):
        move.switch(rights, silent)

    assert (move.serving(), gate.side, gate.closed) == ("source", "source", False)
    write(source, "served as before")
    with pytest.raises(DatabaseError, match="denied"):
        write(target, "too early")


def test_a_replication_that_breaks_gives_the_switch_up(
    move: MySqlMove, managed: Databases, gate: Gate
) -> None:
    source, target = managed
    rights = ready(move)
    with target.session() as session:
        session.execute("INSERT INTO records (id, client) VALUES (100000, 'in the way')")
    with source.session() as session:
        session.execute("INSERT INTO records (id, client) VALUES (100000, 'duplicate')")

    with pytest.raises(StepError, match="Duplicate entry"):
        move.switch(rights, silent)

    assert (move.serving(), gate.done) == ("source", [])
    write(source, "served as before")


def test_a_connection_of_another_account_that_goes_on_writing_gives_the_switch_up(
    move: MySqlMove, managed: Databases, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _ = managed
    rights = ready(move)
    compare = switching.Switching._compare

    def beside(self: Any, verification: Any, seconds: float) -> dict[str, Any]:
        with source.session() as session:
            session.execute("INSERT INTO records (client) VALUES ('in spite of the fence')")
        return compare(self, verification, seconds)

    monkeypatch.setattr(switching.Switching, "_compare", beside)
    with pytest.raises(GivenUpError, match="behind its fence"):
        move.switch(rights, silent)

    assert (move.serving(), gate.side) == ("source", "source")
    write(source, "served as before")


@pytest.mark.parametrize("stage", ["parking", "fencing", "fenced", "promoting", "letting through"])
def test_a_runner_killed_between_park_and_let_through_is_ended_by_the_next(
    move: MySqlMove, managed: Databases, gate: Gate, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    source, target = managed
    rights = ready(move)
    note = SwitchRecord.note

    def dies(self: Any, at: Any, **facts: Any) -> None:
        note(self, at, **facts)
        if at == stage:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(SwitchRecord, "note", dies)
        with pytest.raises(KeyboardInterrupt):
            move.switch(rights, silent)
    assert move.serving() is None

    ended = move.recover(rights)

    ahead = stage == "letting through"
    assert (ended, move.serving()) == (("done", "target") if ahead else ("given up", "source"))
    assert (gate.side, gate.closed) == (("target" if ahead else "source"), False)
    write(target if ahead else source, "served")
    with pytest.raises(DatabaseError, match="denied"):
        write(source if ahead else target, "refused")


@pytest.mark.parametrize(
    ("before", "after", "count"),
    [
        ("0-30-17,40-40-3", "0-30-17,40-40-9", 6),
        ("0-30-17", "0-30-17,40-40-2", 2),
        ("", "", 0),
        ("a:1-5", "a:1-9,b:3", 5),
        ("a:1-5:7", "a:1-7", 1),
    ],
)
def test_transactions_between_positions(before: str, after: str, count: int) -> None:
    assert transactions_between(before, after) == count


def test_a_position_that_is_none_is_refused() -> None:
    with pytest.raises(StepError, match="position by GTIDs"):
        transactions_between("", "binlog.000001/4")


def test_the_verification_lists_a_row_that_differs_and_goes_on_where_it_was_ended(
    move: MySqlMove, managed: Databases
) -> None:
    ready(move)
    with managed[1].session() as session:
        session.execute("UPDATE records SET client = 'forged' WHERE id = 17")

    said: list[str] = []
    found = move.verify(said.append)

    assert found["mismatches"] == 1
    (line,) = found["differences"]
    assert "id=17" in line
    assert "'17' on the source, 'forged' on the target" in line
    assert any("going on with a verification" in text for text in said)


def test_a_large_dump_says_at_its_end_where_the_source_stood(move: MySqlMove, managed: Databases) -> None:
    source, target = managed
    with source.session() as session:
        session.execute("CREATE TABLE large (id INT PRIMARY KEY, text LONGTEXT)")
        session.execute(
            "INSERT INTO large SELECT seq, REPEAT('SET GLOBAL gtid_slave_pos=''9-9-9''\n', 5000) "
            "FROM seq_1_to_9"
        )
    move.prepare_users()

    found = move.replicate(silent)

    assert found["start"].startswith("0-1-")
    with target.session() as session:
        assert session.value("SELECT COUNT(*) FROM large") == 9
