"""What is found of a pair of databases before it replicates, and how their schemas are compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from cutover.mysql import Flavour, Session
from cutover.replication.counters import seed_counters
from cutover.replication.dialects import MariaDbDialect, MySqlDialect, Origin, RdsMySqlDialect, later
from cutover.replication.preflight import Finding, errors, inspect_pair, offered
from cutover.verification.catalog import read_catalog, read_counters
from cutover.verification.schema import SchemaDifference, compare_catalogs, compare_counters
from lab.replication.mariadb import SCHEMA, MariaDb

Databases = tuple[MariaDb, MariaDb]
TABLE = "CREATE TABLE records (id INT AUTO_INCREMENT PRIMARY KEY, client CHAR(36), KEY client (client))"


@pytest.fixture
def sessions(databases: Databases) -> Iterator[tuple[Session, Session]]:
    with ExitStack() as stack:
        here, there = (stack.enter_context(database.session()) for database in databases)
        for session in (here, there):
            session.execute(TABLE)
        yield here, there


def inspect(sessions: tuple[Session, Session], free_bytes: int | None = None) -> tuple[Finding, ...]:
    catalog = read_catalog(sessions[0], [SCHEMA])
    return inspect_pair(*sessions, catalog, forward="native", reverse="native", free_bytes=free_bytes)


def about(findings: tuple[Finding, ...], word: str) -> list[Finding]:
    return [finding for finding in findings if word in str(finding)]


def test_a_pair_that_is_ready_is_not_in_the_way(sessions: tuple[Session, Session]) -> None:
    assert errors(inspect(sessions)) == ()


@pytest.mark.parametrize(
    ("version", "text"),
    [
        ("5.6.51", "MySQL 5.6.51 cannot be had: RDS has no mysql 5.6.51; it has 5.7, 8.0, 8.4"),
        ("5.7.44", "past its standard support"),
        ("8.4.7", None),
        ("10.11.6-MariaDB", None),
    ],
)
def test_a_source_whose_version_rds_has_not_is_named(version: str, text: str | None) -> None:
    found = [str(finding) for finding in offered(Flavour.parse(version))]
    assert len(found) == (0 if text is None else 1)
    assert text is None or text in found[0]


CASES = {
    "no primary key": ("source", "CREATE TABLE t (a INT)", "no primary key"),
    "another engine": ("source", "CREATE TABLE t (a INT PRIMARY KEY) ENGINE = Aria", "knows no transactions"),
    "an absent definer": (
        "source",
        "CREATE DEFINER = nobody@'%' VIEW v AS SELECT * FROM records",
        "nobody@%",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_in_the_schema_is_found(sessions: tuple[Session, Session], case: str) -> None:
    _, statement, text = CASES[case]
    sessions[0].execute(statement)

    found = about(inspect(sessions), text)

    assert found
    assert all(finding.advice for finding in found)


@pytest.mark.parametrize(
    ("name", "wrong", "right", "text"),
    [
        ("binlog_row_image", "MINIMAL", "FULL", "needs to be FULL"),
        ("binlog_format", "STATEMENT", "ROW", "needs to be ROW"),
        ("time_zone", "+08:00", "SYSTEM", "TIMESTAMP and NOW"),
        ("sql_mode", "ANSI_QUOTES", "STRICT_TRANS_TABLES", "refused or changed"),
        ("binlog_expire_logs_seconds", "3600", "0", "kept for 1 hours"),
    ],
)
def test_what_is_set_on_the_source_is_found(
    sessions: tuple[Session, Session], name: str, wrong: str, right: str, text: str
) -> None:
    value = wrong if wrong.isdigit() else f"'{wrong}'"
    before = sessions[0].variable(name) or right
    sessions[0].execute(f"SET GLOBAL {name} = {value}")
    try:
        assert about(inspect(sessions), text)
    finally:
        sessions[0].execute(f"SET GLOBAL {name} = {before if before.isdigit() else repr(before)}")


def test_events_that_would_run_twice_are_found(sessions: tuple[Session, Session]) -> None:
    sessions[0].execute("CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM records")
    sessions[1].execute("SET GLOBAL event_scheduler = ON")
    try:
        assert about(errors(inspect(sessions)), "event scheduler")
    finally:
        sessions[1].execute("SET GLOBAL event_scheduler = OFF")


def test_too_little_space_is_found(sessions: tuple[Session, Session]) -> None:
    assert about(errors(inspect(sessions, free_bytes=1000)), "space")
    assert not about(inspect(sessions, free_bytes=10**12), "space")


def test_a_server_without_the_right_to_replicate_cannot_feed_anybody(databases: Databases) -> None:
    source, target = databases
    with source.session(None) as owner:
        owner.execute("GRANT PROCESS, BINLOG MONITOR ON *.* TO app@'%'")
    try:
        with source.server("app").connect(SCHEMA) as here, target.session() as there:
            catalog = read_catalog(here, [SCHEMA])
            found = inspect_pair(here, there, catalog, forward="dms", reverse="dms")
    finally:
        with source.session(None) as owner:
            owner.execute("REVOKE PROCESS, BINLOG MONITOR ON *.* FROM app@'%'")

    assert about(errors(found), "app has no REPLICATION SLAVE")


DIFFERENCES = {
    "table": "DROP TABLE records",
    "column": "ALTER TABLE records MODIFY client CHAR(35)",
    "column's collation": "ALTER TABLE records MODIFY client CHAR(36) COLLATE utf8mb4_bin",
    "column's default": "ALTER TABLE records ALTER client SET DEFAULT 'x'",
    "index": "ALTER TABLE records DROP KEY client",
    "unique": "ALTER TABLE records DROP KEY client, ADD UNIQUE KEY client (client)",
    "foreign key": "CREATE TABLE child (id INT PRIMARY KEY, r INT, FOREIGN KEY (r) REFERENCES records (id))",
    "trigger": "CREATE TRIGGER t BEFORE INSERT ON records FOR EACH ROW SET NEW.client = 'x'",
    "event": "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM records",
    "view": "CREATE VIEW v AS SELECT id FROM records",
    "routine": "CREATE FUNCTION f (a INT) RETURNS INT DETERMINISTIC RETURN a + 1",
    "check": "ALTER TABLE records ADD CONSTRAINT c CHECK (client <> '')",
    "partition": "ALTER TABLE records PARTITION BY HASH (id) PARTITIONS 2",
    "charset of the schema": "ALTER DATABASE boss CHARACTER SET latin1",
    "engine": "ALTER TABLE records ENGINE = Aria",
    "grant": "GRANT SHOW VIEW ON boss.* TO app@'%'",
}


def compare(sessions: tuple[Session, Session]) -> tuple[SchemaDifference, ...]:
    catalogs = [read_catalog(session, [SCHEMA]) for session in sessions]
    return compare_catalogs(catalogs[0], catalogs[1], (sessions[0].flavour, sessions[1].flavour))


def test_equal_schemas_are_equal(sessions: tuple[Session, Session]) -> None:
    for session in sessions:
        for kind in ("trigger", "event", "view", "routine", "check"):
            session.execute(DIFFERENCES[kind])

    assert [
        each for each in compare(sessions) if each.name != f"{SCHEMA}.e" or each.property != "starts"
    ] == []


@pytest.mark.parametrize("kind", DIFFERENCES)
def test_every_kind_of_difference_is_found(sessions: tuple[Session, Session], kind: str) -> None:
    assert compare(sessions) == ()
    try:
        sessions[1].execute(DIFFERENCES[kind])

        found = compare(sessions)
    finally:
        if kind == "grant":
            sessions[1].execute("REVOKE SHOW VIEW ON boss.* FROM app@'%'")

    expected = {"unique": "index", "engine": "table"}.get(kind, kind)
    assert any(each.kind in expected for each in found), found


def test_a_definer_that_is_not_the_same_is_found_and_can_be_mapped(sessions: tuple[Session, Session]) -> None:
    for session, definer in zip(sessions, ("app@'%'", "owner@'%'"), strict=True):
        session.execute(f"CREATE DEFINER = {definer} VIEW v AS SELECT id FROM records")  # noqa: S608
    here, there = (read_catalog(session, [SCHEMA]) for session in sessions)
    flavours = (sessions[0].flavour, sessions[1].flavour)

    (found,) = compare_catalogs(here, there, flavours)

    assert (found.kind, found.property, found.source, found.target) == ("view", "definer", "app@%", "owner@%")
    mapped = compare_catalogs(here, there, flavours, accounts={"app@%": "owner@%"})
    assert [each for each in mapped if each.kind == "view"] == []


def test_a_counter_that_would_give_out_a_number_twice_is_found_and_seeded(
    sessions: tuple[Session, Session],
) -> None:
    here, there = sessions
    here.execute("INSERT INTO records (id) VALUES (500)")
    assert compare_counters(read_counters(here, [SCHEMA]), read_counters(there, [SCHEMA]))

    assert seed_counters(here, there, [SCHEMA], margin=1000) == {"boss.records": 1501}

    assert compare_counters(read_counters(here, [SCHEMA]), read_counters(there, [SCHEMA])) == ()
    assert seed_counters(here, there, [SCHEMA], margin=1000) == {}
    there.execute("INSERT INTO records (client) VALUES ('x')")
    assert there.value("SELECT MAX(id) FROM records") == 1501


def test_versions_are_understood() -> None:
    assert Flavour.parse("8.4.3") == Flavour("mysql", (8, 4, 3))
    assert Flavour.parse("5.5.5-10.11.6-MariaDB-log") == Flavour("mariadb", (10, 11, 6))
    assert str(Flavour.parse("8.0.39-30")) == "MySQL 8.0.39"
    with pytest.raises(ValueError, match="expected a version"):
        Flavour.parse("unknown")


def test_positions_of_mariadb_are_put_together() -> None:
    assert later("0-1-5,1-1-7", "0-2-9") == "0-2-9,1-1-7"
    assert later("", "0-2-9") == "0-2-9"
    assert later("", "") == ""


def test_the_statements_of_mysql_and_rds_are_those_of_the_manuals(databases: Databases) -> None:
    """MySQL itself is not in the lab: what it is told is held against its manual."""
    origin = Origin(databases[0].server("replica"), "CERTIFICATES")
    (statement,) = MySqlDialect().set_up(origin)
    assert "SOURCE_AUTO_POSITION = 1" in statement[0]
    assert "SOURCE_SSL = 1" in statement[0]
    old, new = RdsMySqlDialect(Flavour("mysql", (8, 0, 39))), RdsMySqlDialect(Flavour("mysql", (8, 4, 3)))
    assert old.set_up(origin)[1][0].startswith("CALL mysql.rds_set_external_master_with_auto_position(")
    assert new.set_up(origin)[1][0].startswith("CALL mysql.rds_set_external_source_with_auto_position(")
    assert new.set_up(origin)[0] == (
        "CALL mysql.rds_import_binlog_ssl_material(%s)",
        ('{"ssl_ca": "CERTIFICATES"}',),
    )
    for dialect in (MySqlDialect(), MariaDbDialect(), old, new):
        assert all(origin.server.password not in text for text, _ in dialect.set_up(origin))
    answer = {
        "Replica_IO_Running": "Yes",
        "Replica_SQL_Running": "No",
        "Last_SQL_Error": "Duplicate entry",
        "Seconds_Behind_Source": None,
    }
    assert MySqlDialect().state([answer]).state == "failed"
    assert MySqlDialect().state([{**answer, "Replica_SQL_Running": "Yes", "Last_SQL_Error": ""}]).healthy
    assert MySqlDialect().state([]).state == "absent"
