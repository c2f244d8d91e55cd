"""The verification against two real servers."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from cutover.verification import Options, Result, Verification
from lab.replication.mariadb import SCHEMA, MariaDb

Databases = tuple[MariaDb, MariaDb]
LEDGER = """
CREATE TABLE ledger (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    a VARCHAR(50) CHARACTER SET utf8mb4 NULL,
    b VARCHAR(50) CHARACTER SET latin1 NULL,
    c VARBINARY(50) NULL,
    amount DECIMAL(20, 4) NULL,
    small FLOAT NULL,
    large DOUBLE NULL,
    day DATE NULL,
    at DATETIME(6) NULL,
    moment TIMESTAMP(3) NULL,
    clock TIME NULL,
    flags BIT(10) NULL,
    kind ENUM('', 'x', 'X2') NULL,
    tags SET('p', 'q') NULL,
    document JSON NULL,
    long_text LONGTEXT NULL,
    shape POINT NULL,
    password VARCHAR(50) NULL
)
"""


def verify(databases: Databases, **options: object) -> Result:
    """One verification from its beginning to its end, with nothing replicating."""
    source, target = databases
    with Verification(
        source.server(),
        target.server(),
        Options((SCHEMA,), **options),  # type: ignore[arg-type]
    ) as verification:
        verification.begin()
        verification.compare_tables()
        return verification.finish()


def run(database: MariaDb, statements: Sequence[str]) -> None:
    with database.session() as session:
        session.execute("SET SESSION time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES'")
        for statement in statements:
            session.execute(statement)


def on_both(databases: Databases, *statements: str) -> None:
    for database in databases:
        run(database, statements)


def fill(databases: Databases) -> None:
    on_both(
        databases,
        LEDGER,
        "INSERT INTO ledger (a, b, c, amount, small, large, day, at, moment, clock, flags, kind, tags, "
        "document, long_text, shape, password) SELECT CONCAT('a', seq), CONCAT('b', seq), UNHEX(MD5(seq)), "
        "seq / 3, seq / 7, seq / 11, '2026-01-01' + INTERVAL seq DAY, '2026-01-01' + INTERVAL seq SECOND, "
        "'2026-01-01' + INTERVAL seq SECOND, SEC_TO_TIME(seq), seq % 1024, 'x', 'p,q', "
        "JSON_OBJECT('n', seq), REPEAT('z', seq % 100), POINT(seq, 1), MD5(seq) "
        "FROM seq_1_to_5000",
        "ANALYZE TABLE ledger",
    )


FAULTS = {
    "a row is missing": "DELETE FROM ledger WHERE id = 4321",
    "a row too many": "INSERT INTO ledger (id) VALUES (999999)",
    "a row before all others": "INSERT INTO ledger (id) VALUES (18446744073709551000)",
    "a value changed": "UPDATE ledger SET amount = amount + 0.0001 WHERE id = 17",
    "NULL for text": "UPDATE ledger SET a = NULL WHERE id = 17",
    "NULL for a number": "UPDATE ledger SET amount = NULL WHERE id = 17",
    "empty for text": "UPDATE ledger SET a = '' WHERE id = 17",
    "another letter case": "UPDATE ledger SET a = UPPER(a) WHERE id = 17",
    "a space at the end": "UPDATE ledger SET a = CONCAT(a, ' ') WHERE id = 17",
    "an accent": "UPDATE ledger SET b = 'b\u00e9' WHERE id = 17",
    "one bit of a float": "UPDATE ledger SET small = small * (1 + 1.2e-7) WHERE id = 17",
    "one bit of a double": "UPDATE ledger SET large = large * (1 + 2.3e-16) WHERE id = 17",
    "a zero date": "UPDATE ledger SET day = '0000-00-00' WHERE id = 17",
    "a date that is none": "UPDATE ledger SET day = '2026-02-30' WHERE id = 17",
    "a zero time stamp": "UPDATE ledger SET at = '0000-00-00' WHERE id = 17",
    "a microsecond": "UPDATE ledger SET at = at + INTERVAL 1 MICROSECOND WHERE id = 17",
    "an hour, as by a time zone": "UPDATE ledger SET moment = moment + INTERVAL 8 HOUR WHERE id = 17",
    "JSON": "UPDATE ledger SET document = JSON_OBJECT('n', '17') WHERE id = 17",
    "the end of a long text": "UPDATE ledger SET long_text = CONCAT(long_text, 'z') WHERE id = 17",
    "a byte FF": "UPDATE ledger SET c = CONCAT(c, X'FF') WHERE id = 17",
    "an empty label": "UPDATE ledger SET kind = '' WHERE id = 17",
    "an empty set": "UPDATE ledger SET tags = '' WHERE id = 17",
    "a bit": "UPDATE ledger SET flags = 1023 WHERE id = 17",
    "another place": "UPDATE ledger SET shape = POINT(17, 2) WHERE id = 17",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_row_that_differs_is_found(databases: Databases, fault: str) -> None:
    fill(databases)
    run(databases[1], [FAULTS[fault]])

    found = verify(databases)

    assert found.mismatches == 1, found
    assert not found.same
    assert found.schema_differences == () or fault in ("a row too many", "a row before all others")


def test_the_same_data_is_the_same(databases: Databases) -> None:
    fill(databases)

    for twice in (False, True):
        found = verify(databases, twice=twice)

        assert found.same
        assert found.final
        assert (found.tables, found.rows, found.mismatches) == (1, 5000, 0)
        assert found.schema_differences == ()
        assert found.remarks == ()


def test_no_run_gives_a_false_alarm(databases: Databases) -> None:
    """CLEAN_RUNS: how many; `make faults` asks for more."""
    fill(databases)
    for _ in range(int(os.environ.get("CLEAN_RUNS", "1"))):
        assert verify(databases).same


def test_values_that_changed_places_are_found(databases: Databases) -> None:
    """An exclusive or of CRC32 cannot see that two rows swapped values of the same length."""
    fill(databases)
    on_both(
        databases,
        "UPDATE ledger SET a = 'aaaa' WHERE id = 100",
        "UPDATE ledger SET a = 'bbbb' WHERE id = 101",
    )
    run(databases[1], ["UPDATE ledger SET a = IF(id = 100, 'bbbb', 'aaaa') WHERE id IN (100, 101)"])

    found = verify(databases)

    assert found.mismatches == 2


def test_a_separator_in_a_value_hides_nothing(databases: Databases) -> None:
    on_both(
        databases, "CREATE TABLE t (id INT PRIMARY KEY, a VARBINARY(9), b VARBINARY(9), c CHAR(9), d CHAR(9))"
    )
    run(databases[0], ["INSERT INTO t VALUES (1, X'41FF', X'42', 'x', NULL), (2, 'a', NULL, '', 'y')"])
    run(databases[1], ["INSERT INTO t VALUES (1, X'41', X'FF42', 'x', NULL), (2, NULL, 'a', 'y', '')"])

    assert verify(databases).mismatches == 2


def test_both_values_are_shown_and_secrets_are_not(databases: Databases) -> None:
    fill(databases)
    run(databases[1], ["UPDATE ledger SET password = 'canary-2', amount = 1, a = 'other' WHERE id = 17"])

    (difference,) = verify(databases).differences

    assert difference.key == {"id": "17"}
    assert difference.columns["a"] == ("a17", "other")
    assert difference.columns["amount"] == ("5.6667", "1.0000")
    here, there = difference.columns["password"]
    assert here != there
    assert "masked" in str(here)
    assert "canary" not in str(difference)


KEYS = {
    "signed": ("id INT PRIMARY KEY", "CAST(seq AS SIGNED) - 3000"),
    "sparse": ("id BIGINT PRIMARY KEY", "seq * seq * 1000003"),
    "text of any case": ("id VARCHAR(40) COLLATE utf8mb4_general_ci PRIMARY KEY", "CONCAT('Key ', MD5(seq))"),
    "text of bytes": (
        "id CHAR(40) CHARACTER SET latin1 COLLATE latin1_bin PRIMARY KEY",
        "CONCAT('\u00e9', seq)",
    ),
    "bytes": ("id BINARY(16) PRIMARY KEY", "UNHEX(MD5(seq))"),
    "decimal": ("id DECIMAL(20, 5) PRIMARY KEY", "seq / 8"),
    "date and time": ("id DATETIME(3) PRIMARY KEY", "'2026-01-01' + INTERVAL seq SECOND"),
    "two columns": ("other INT DEFAULT 7, id INT, PRIMARY KEY (other, id)", "seq"),
    "a repeated first column": ("id INT, other INT DEFAULT 1, PRIMARY KEY (other, id)", "seq"),
    "text and number": ("id VARCHAR(10), other INT DEFAULT 5, PRIMARY KEY (id, other)", "CONCAT('k', seq)"),
    "unique": ("id INT NOT NULL, UNIQUE KEY u (id)", "seq"),
    "a label first": ("other ENUM('b', 'a') DEFAULT 'a', id INT, PRIMARY KEY (other, id)", "seq"),
    "none": ("id INT", "seq"),
}


@pytest.mark.parametrize("kind", KEYS)
def test_rows_are_found_by_any_key(databases: Databases, kind: str) -> None:
    definition, value = KEYS[kind]
    on_both(
        databases,
        f"CREATE TABLE t ({definition}, v VARCHAR(20))",
        f"INSERT INTO t (id, v) SELECT {value}, seq FROM seq_1_to_20000",  # noqa: S608
        "ANALYZE TABLE t",
    )
    assert verify(databases).same
    run(databases[1], ["UPDATE t SET v = 'changed' WHERE v IN ('1', '9000', '20000')"])
    run(databases[1], ["DELETE FROM t WHERE v = '15000'"])
    run(databases[0], ["DELETE FROM t WHERE v = '5'"])

    found = verify(databases, connections=2)

    rows = 8 if kind == "none" else 5  # a changed row without a key is one too few and one too many
    assert found.mismatches == rows, found.differences
    assert found.rows == 19999
    if kind != "none":
        kinds = sorted(difference.kind for difference in found.differences)
        assert kinds == ["is different"] * 3 + ["is only on the source", "is only on the target"]


def test_keys_that_only_a_collation_takes_for_the_same_are_told_apart(databases: Databases) -> None:
    on_both(databases, "CREATE TABLE t (id VARCHAR(9) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT)")
    run(databases[0], ["INSERT INTO t VALUES ('abc', 1), ('x', 1)"])
    run(databases[1], ["INSERT INTO t VALUES ('ABC', 1), ('x', 1)"])

    found = verify(databases)

    assert [(difference.key["id"], difference.kind) for difference in found.differences] == [
        ("ABC", "is only on the target"),
        ("abc", "is only on the source"),
    ]


def test_a_table_that_the_servers_sort_differently_is_compared_all_the_same(databases: Databases) -> None:
    create = "CREATE TABLE t (id VARCHAR(9) COLLATE {} PRIMARY KEY, v INT)"
    run(databases[0], [create.format("utf8mb4_general_ci")])
    run(databases[1], [create.format("utf8mb4_bin")])
    on_both(databases, "INSERT INTO t SELECT CONCAT(IF(seq % 2, 'a', 'B'), seq), 1 FROM seq_1_to_5000")
    run(databases[1], ["UPDATE t SET v = 2 WHERE id = 'B4000'"])

    found = verify(databases)

    assert [difference.key for difference in found.differences] == [{"id": "B4000"}]
    assert any("do not sort id" in remark for remark in found.remarks)


def test_repeated_rows_without_a_key_are_counted(databases: Databases) -> None:
    on_both(databases, "CREATE TABLE t (a INT, b INT)")
    run(databases[0], ["INSERT INTO t VALUES (1, 1), (1, 1), (2, 2), (2, 2)"])
    run(databases[1], ["INSERT INTO t VALUES (1, 1), (1, 1), (3, 3), (3, 3)"])

    found = verify(databases)

    assert found.mismatches == 4
    assert any("no primary key" in remark for remark in found.remarks)
