"""The servers' own replication, there and back, and what keeps writers out meanwhile."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql
import pytest

from cutover.errors import StepError
from cutover.fence import Exempt, Fence, GrantsFence, ReadOnlyFence
from cutover.fence.fence import still_moving
from cutover.mysql import DatabaseError
from cutover.replication import NativeReplication, ReplicationUser
from cutover.verification import Options, Verification
from lab.replication.mariadb import PASSWORD, SCHEMA, MariaDb
from tests.replication.writers import Writers

Databases = tuple[MariaDb, MariaDb]
POSITION = "SELECT @@GLOBAL.gtid_binlog_pos"
USER = ReplicationUser("replica", PASSWORD)
TABLE = "CREATE TABLE records (id INT AUTO_INCREMENT PRIMARY KEY, client CHAR(36), amount DECIMAL(12, 2))"
SECONDS = 20.0


def replication(origin: MariaDb, replica: MariaDb, start: str | None = "") -> NativeReplication:
    return NativeReplication(origin.server(), replica.server(), USER, origin_ca=str(origin.ca), start=start)


@pytest.fixture
def replicating(databases: Databases) -> Databases:
    """The target follows the source, which has a table."""
    source, target = databases
    forward = replication(source, target)
    forward.set_up()
    forward.start()
    with source.session() as session:
        session.execute(TABLE)
    forward.wait_applied(forward.position(), SECONDS)
    return databases


@contextmanager
def verification(databases: Databases, checkpoint: Path | None = None) -> Iterator[Verification]:
    source, target = databases
    with Verification(
        source.server(), target.server(), Options((SCHEMA,), connections=2), checkpoint=checkpoint
    ) as found:
        found.begin()
        yield found


def test_what_is_written_arrives_over_tls(replicating: Databases) -> None:
    source, target = replicating
    forward = replication(source, target)
    with source.session() as session:
        session.execute("INSERT INTO records (client, amount) VALUES ('a', 1.5)")

    forward.wait_applied(forward.position(), SECONDS)

    with target.session() as session:
        assert session.value("SELECT client FROM records") == "a"
        assert session.records("SHOW SLAVE STATUS")[0]["Master_SSL_Allowed"] == "Yes"
    assert forward.state().healthy
    assert forward.measure_lag(SECONDS) < SECONDS


def test_a_broken_replication_says_what_is_wrong(replicating: Databases) -> None:
    source, target = replicating
    forward = replication(source, target)
    forward.wait_applied(forward.position(), SECONDS)
    with target.session() as session:
        session.execute("SET SESSION sql_log_bin = 0")
        session.execute("INSERT INTO records VALUES (1, 'rogue', 1)")
    with source.session() as session:
        session.execute("INSERT INTO records VALUES (1, 'a', 1)")

    with pytest.raises(StepError, match="Duplicate entry '1'"):
        forward.wait_applied(forward.position(), 1.0)

    assert forward.state().state == "failed"
    assert not forward.state().healthy


def test_a_wrong_password_is_told_and_not_shown(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = databases
    monkeypatch.setattr("cutover.replication.native.CONNECTED_SECONDS", 2.0)
    forward = NativeReplication(
        source.server(),
        target.server(),
        ReplicationUser("replica", "canary"),
        origin_ca=str(source.ca),
        start="",
    )
    forward.set_up()

    with pytest.raises(StepError, match="Access denied") as told:
        forward.start()

    assert "canary" not in str(told.value)


def test_the_way_back_runs_beside_the_way_there(replicating: Databases) -> None:
    source, target = replicating
    forward, reverse = replication(source, target), replication(target, source)
    forward.wait_applied(forward.position(), SECONDS)
    reverse.set_up()
    reverse.start()
    with source.session() as session:
        session.execute("INSERT INTO records (client) VALUES ('before')")
    forward.wait_applied(forward.position(), SECONDS)
    forward.stop()

    with target.session() as session:
        session.execute("INSERT INTO records (client) VALUES ('after')")
    reverse.wait_applied(reverse.position(), SECONDS)

    with source.session() as session:
        assert session.rows("SELECT client FROM records ORDER BY id") == [("before",), ("after",)]
    assert reverse.state().healthy
    reverse.retire()
    reverse.retire()
    assert reverse.state().state == "absent"


def fences(source: MariaDb) -> dict[str, Fence]:
    exempt = Exempt(("replica", "owner"))
    return {
        "read_only": ReadOnlyFence(source.server(), (SCHEMA,), exempt),
        "grants": GrantsFence(source.server(), (SCHEMA,), exempt, accounts=("app@%",)),
    }


@pytest.mark.parametrize("method", ["read_only", "grants"])
def test_no_write_gets_through_a_fence_and_none_that_was_answered_is_lost(
    replicating: Databases, method: str
) -> None:
    source, target = replicating
    forward = replication(source, target)
    fence = fences(source)[method]
    with source.server().connect() as session, Writers(source, 4) as writers:
        assert fence.problems(session) == []
        fence.prepare(session)
        writers.wait_for(50)
        report = fence.raise_fence(session, POSITION, SECONDS)
        forward.wait_applied(report.position, SECONDS)
        acknowledged = writers.acknowledged()

        assert fence.is_up(session)
        assert session.value(POSITION) == report.position
        with target.session() as there:
            arrived = {client for (client,) in there.rows("SELECT client FROM records")}
        assert set(acknowledged) <= arrived

        fence.lower(session)
        assert not fence.is_up(session)
        writers.wait_for(len(acknowledged) + 50)


def test_an_open_transaction_is_ended_and_leaves_nothing(replicating: Databases) -> None:
    source, _ = replicating
    fence = fences(source)["read_only"]
    with source.server().connect() as session, source.server("app").connect(SCHEMA) as app:
        app.execute("BEGIN")
        app.execute("INSERT INTO records (client) VALUES ('open')")

        report = fence.raise_fence(session, POSITION, SECONDS)

        assert report.ended == ("app@127.0.0.1",)
        with pytest.raises(DatabaseError):
            app.execute("COMMIT")
        assert session.value(f"SELECT COUNT(*) FROM {SCHEMA}.records") == 0  # noqa: S608


def test_an_idle_connection_goes_on_after_a_switch_that_was_given_up(replicating: Databases) -> None:
    source, _ = replicating
    fence = fences(source)["read_only"]
    with source.server().connect() as session, source.server("app").connect(SCHEMA) as app:
        app.ping()
        fence.raise_fence(session, POSITION, SECONDS)
        with pytest.raises(DatabaseError) as refused:
            app.execute("INSERT INTO records (client) VALUES ('refused')")
        assert refused.value.read_only

        fence.lower(session)

        app.execute("INSERT INTO records (client) VALUES ('taken')")


def test_locked_tables_do_not_hold_the_fence_up(replicating: Databases) -> None:
    source, _ = replicating
    fence = fences(source)["read_only"]
    with source.server().connect() as session, source.session() as locker:
        fence.exempt = Exempt(("replica",))
        locker.execute("GRANT LOCK TABLES ON boss.* TO app@'%'")
        with source.server("app").connect(SCHEMA) as app:
            app.execute("LOCK TABLES records WRITE")

            fence.raise_fence(session, POSITION, SECONDS)

            assert fence.is_up(session)


def test_a_writer_who_may_pass_the_fence_is_named_ended_and_noticed(replicating: Databases) -> None:
    source, _ = replicating
    with source.session(None) as owner:
        owner.execute("CREATE OR REPLACE USER rogue@'%%' IDENTIFIED BY %s", (PASSWORD,))
        owner.execute("GRANT ALL ON *.* TO rogue@'%'")
    try:
        fence = ReadOnlyFence(source.server(), (SCHEMA,), Exempt(("replica",)))
        with source.server().connect() as session, source.server("rogue").connect(SCHEMA) as rogue:
            assert any("rogue" in problem for problem in fence.problems(session))

            report = fence.raise_fence(session, POSITION, SECONDS)

            assert "rogue@127.0.0.1" in report.ended
            with pytest.raises(DatabaseError):
                rogue.ping()
            assert still_moving(session, POSITION, 0.1) is None
            with source.server("rogue").connect(SCHEMA) as back:
                thread = threading.Timer(0.1, back.execute, ["INSERT INTO records (client) VALUES ('rogue')"])
                thread.start()
                assert still_moving(session, POSITION, 5.0) is not None
                thread.join()
    finally:
        with source.session(None) as owner:
            owner.execute("DROP USER rogue@'%'")


def test_a_session_that_is_open_already_may_write_as_soon_as_the_grants_are_back(
    replicating: Databases,
) -> None:
    """Pods that wait for a promotion hold connections; rights on a schema alone would not reach those."""
    source, _ = replicating
    fence = fences(source)["grants"]
    with source.server().connect() as session:
        fence.raise_fence(session, POSITION, SECONDS)
        with source.server("app").connect(SCHEMA) as waiting:
            assert waiting.value("SELECT COUNT(*) FROM records") == 0
            with pytest.raises(DatabaseError, match="denied"):
                waiting.execute("INSERT INTO records (client) VALUES ('refused')")

            fence.lower(session)

            waiting.execute("INSERT INTO records (client) VALUES ('taken')")
        with source.server("app").connect(SCHEMA) as fresh:
            fresh.execute("ALTER TABLE records ADD COLUMN further INT")


def test_what_the_grants_fence_took_can_be_given_back_by_another_program(replicating: Databases) -> None:
    source, _ = replicating
    with source.server().connect() as session:
        before = session.rows("SHOW GRANTS FOR app@'%'")
        first = fences(source)["grants"]
        assert isinstance(first, GrantsFence)
        first.raise_fence(session, POSITION, SECONDS)
        kept = json.loads(json.dumps(first.remembered))
        assert PASSWORD not in str(kept)
        assert "IDENTIFIED" not in str(kept)

        second = fences(source)["grants"]
        assert isinstance(second, GrantsFence)
        second.remembered = kept
        second.lower(session)

        # MariaDB lists the rights of a grant in an order of its own
        assert {line for (line,) in before} <= {line for (line,) in session.rows("SHOW GRANTS FOR app@'%'")}


def test_the_reverse_applier_passes_the_fence(replicating: Databases) -> None:
    source, target = replicating
    forward, reverse = replication(source, target), replication(target, source)
    forward.wait_applied(forward.position(), SECONDS)
    reverse.set_up()
    reverse.start()
    fence = fences(source)["read_only"]
    with source.server().connect() as session:
        report = fence.raise_fence(session, POSITION, SECONDS)
        forward.wait_applied(report.position, SECONDS)
        forward.stop()
        with target.session() as there:
            there.execute("INSERT INTO records (client) VALUES ('after')")

        reverse.wait_applied(reverse.position(), SECONDS)

        assert session.value(f"SELECT client FROM {SCHEMA}.records") == "after"  # noqa: S608
        assert fence.is_up(session)


def test_data_that_changes_all_the_time_is_proven_under_the_fence(replicating: Databases) -> None:
    source, target = replicating
    forward = replication(source, target)
    with source.session() as session:
        session.execute("INSERT INTO records (client, amount) SELECT UUID(), seq FROM seq_1_to_20000")
    fence = fences(source)["read_only"]
    with (
        source.server().connect() as session,
        Writers(source, 4, also_change=True) as writers,
        verification(replicating) as found,
    ):
        found.compare_tables()
        found.follow()
        writers.wait_for(300)
        report = fence.raise_fence(session, POSITION, SECONDS)
        forward.wait_applied(report.position, SECONDS)

        result = found.finish()

    assert result.same, result
    assert result.final
    assert result.rows >= 20000


@pytest.mark.parametrize("fault", ["INSERT", "UPDATE", "DELETE"])
def test_one_row_changed_behind_everyones_back_is_found(replicating: Databases, fault: str) -> None:
    """After the row was compared, on the target alone: only the target's own binlog tells."""
    source, target = replicating
    forward = replication(source, target)
    with source.session() as session:
        session.execute("INSERT INTO records (client, amount) SELECT UUID(), seq FROM seq_1_to_20000")
    forward.wait_applied(forward.position(), SECONDS)
    statement = {
        "INSERT": "INSERT INTO records (id, client) VALUES (700000, 'rogue')",
        "UPDATE": "UPDATE records SET amount = amount + 0.01 WHERE id = 9999",
        "DELETE": "DELETE FROM records WHERE id = 9999",
    }[fault]
    with verification(replicating) as found:
        found.compare_tables()
        found.follow()
        with target.session() as there:
            there.execute("SET SESSION gtid_domain_id = 9")  # not mistaken for the source's
            there.execute(statement)

        result = found.finish()

    assert result.mismatches == 1
    assert result.rechecked_under_fence == 1
    assert result.differences[0].key == {"id": "700000" if fault == "INSERT" else "9999"}


def test_an_interrupted_verification_goes_on_where_it_was(
    replicating: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = replicating
    forward = replication(source, target)
    with source.session() as session:
        session.execute("INSERT INTO records (client, amount) SELECT UUID(), seq FROM seq_1_to_200000")
        session.execute("ANALYZE TABLE records")
    forward.wait_applied(forward.position(), SECONDS)
    checkpoint = tmp_path / "verification.json"
    monkeypatch.setattr("cutover.verification.verification.SAVE_SECONDS", 0.0)
    with source.server().connect(SCHEMA) as session, verification(replicating, checkpoint) as found:
        save = found._save

        def interrupted() -> None:
            save()
            if sum(state.rows for state in found._progress.values()) > 100_000:
                raise KeyboardInterrupt

        monkeypatch.setattr(found, "_save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            found.compare_tables()
        # rows that were compared already change while nobody looks
        session.execute("UPDATE records SET amount = 0 WHERE id IN (1, 2, 3)")
    with target.session() as there:
        there.execute("UPDATE records SET amount = 5 WHERE id = 7")
    forward.wait_applied(forward.position(), SECONDS)

    with verification(replicating, checkpoint) as found:
        before = sum(state.rows for state in found._progress.values())
        found.compare_tables()
        result = found.finish()

    assert before > 100_000
    assert result.rows == 200_000
    assert [difference.key["id"] for difference in result.differences] == ["7"]
    assert (checkpoint.stat().st_mode & 0o777) == 0o600


def test_a_checkpoint_of_other_tables_is_refused(replicating: Databases, tmp_path: Path) -> None:
    source, target = replicating
    checkpoint = tmp_path / "verification.json"
    with verification(replicating, checkpoint) as found:
        found.compare_tables()
    with source.session() as session:
        session.execute("ALTER TABLE records ADD COLUMN further INT")
    replication(source, target).wait_applied(replication(source, target).position(), SECONDS)

    with (
        pytest.raises(StepError, match="tables that have changed since"),
        verification(replicating, checkpoint),
    ):
        pass
    checkpoint.write_text("{}")
    with pytest.raises(StepError, match="is no checkpoint"), verification(replicating, checkpoint):
        pass


def test_a_table_that_is_altered_meanwhile_stops_the_verification(replicating: Databases) -> None:
    source, _ = replicating
    with verification(replicating) as found:
        with source.session() as session:
            session.execute("ALTER TABLE records ADD COLUMN further INT")
            session.execute("INSERT INTO records (client) VALUES ('x')")

        with pytest.raises(StepError, match="ALTER TABLE while it was verified"):
            for _ in range(200):
                found.settle()
                time.sleep(0.1)


def test_the_writers_of_these_tests_see_refusals(replicating: Databases) -> None:
    """Guards the tests above: a writer that ignored its errors would prove nothing."""
    source, _ = replicating
    with source.session(None) as session, Writers(source, 1) as writers:
        writers.wait_for(3)
        session.execute("SET GLOBAL read_only = 1")
        deadline = time.monotonic() + SECONDS
        while not writers.refused:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert issubclass(pymysql.MySQLError, Exception)
