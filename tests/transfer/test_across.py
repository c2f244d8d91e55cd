"""MariaDB into PostgreSQL by pgloader, and the comparison of both: real servers, real tool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cutover.errors import StepError
from cutover.transfer import CompareAcross, ConvertToPostgres
from lab.replication.mariadb import MariaDb
from lab.stores.postgres import PostgresDb
from tests.transfer.transfer_world import CONVERTED, SYSTEM, TransferWorld

pytestmark = pytest.mark.lab

CONVERT = ConvertToPostgres(source=SYSTEM, target=CONVERTED)
COMPARE = CompareAcross(source=SYSTEM, target=CONVERTED)
_TABLES = (
    """CREATE TABLE accounts (
        id BIGINT AUTO_INCREMENT PRIMARY KEY, org_name VARCHAR(255) NOT NULL DEFAULT 'it''s',
        approved TINYINT(1) DEFAULT 1, small SMALLINT, tiny TINYINT, uns INT UNSIGNED,
        ubig BIGINT UNSIGNED, mid MEDIUMINT,
        created_at DATETIME, updated_at TIMESTAMP NULL, born DATE, yr YEAR, at TIME,
        cost DECIMAL(20,4) DEFAULT 1.5, f FLOAT, d DOUBLE, data BLOB, bin BINARY(4), note TEXT,
        js JSON, kind ENUM('a','b''c'),
        flags SET('x','y'), c CHAR(5), bits BIT(1), bits8 BIT(8), frac DATETIME(6),
        password_digest VARCHAR(80),
        UNIQUE KEY index_name (org_name), KEY idx_small (small, tiny))""",
    """CREATE TABLE users (id INT AUTO_INCREMENT PRIMARY KEY, account_id BIGINT NOT NULL, login VARCHAR(40),
        CONSTRAINT fk_account FOREIGN KEY (account_id) REFERENCES accounts(id) ON DELETE CASCADE)""",
    "CREATE TABLE joins (a INT NOT NULL, b VARCHAR(10))",
    "CREATE TABLE names (a VARCHAR(20) COLLATE utf8mb4_bin, b INT, v TEXT, PRIMARY KEY (a, b))",
    "CREATE TABLE nothing (id INT AUTO_INCREMENT PRIMARY KEY, x INT)",
)
_ROWS = (
    "INSERT INTO accounts VALUES (1, 'plain', 1, -3, 5, 4294967295, 18446744073709551615, -8388608, "
    "'2020-01-02 03:04:05', '2020-01-02 03:04:05', '2020-02-29', 1999, '12:34:56', 12.5, 0.1, 0.1, "
    "X'0001FF27', X'00010000', X'C3A9F09F9880', '{\"b\":1,\"a\":[1,2]}', 'a', 'x,y', 'ab', b'1', "
    "b'10101010', '2020-01-02 03:04:05.123450', 'canary')",
    "INSERT INTO accounts VALUES (2, 'tab\\tnl\\nbs\\\\q''\"', 0, NULL, NULL, NULL, NULL, NULL, "
    "'0000-00-00 00:00:00', NULL, '0000-00-00', 0, NULL, -0.0001, -1e30, 1e308, '', NULL, '', NULL, 'b''c', "
    "'', ' x ', b'0', b'0', '2020-01-02 03:04:05.1', '')",
    "INSERT INTO accounts VALUES (3, 'odd years', NULL, 1, 1, 1, 1, 1, '0020-01-01 00:00:00', "
    "'1970-01-01 00:00:01', '9999-12-31', 2155, '00:00:00', 99999999999999.9999, 16777217, "
    "1.7976931348623157e308, NULL, X'20202020', 'a b', NULL, NULL, NULL, '', NULL, NULL, NULL, NULL)",
    "INSERT INTO users (account_id, login) VALUES (1, 'a'), (1, 'b'), (3, NULL), (3, '')",
    "INSERT INTO joins VALUES (1, 'x'), (1, 'x'), (3, NULL)",
    "INSERT INTO names VALUES ('A', 1, 'x'), ('a', 1, 'y'), ('é', 2, 'z')",
    "INSERT INTO nothing VALUES (41, 1)",
    "DELETE FROM nothing",
)


def fill(server: MariaDb, more: Sequence[str] = ()) -> None:
    with server.session() as session:
        session.execute("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'")
        for statement in (*_TABLES, *_ROWS, *more):
            session.execute(statement)


def test_everything_arrives_and_every_change_afterwards_is_found(
    world: TransferWorld, mysql_pair: tuple[MariaDb, MariaDb], postgres: PostgresDb
) -> None:
    fill(mysql_pair[0])
    assert CONVERT.observe(world.context).state == "not done"
    assert CONVERT.apply(world.context)["rows"] == 13
    assert CONVERT.observe(world.context).state == "done"
    found = COMPARE.apply(world.context)["verification"]
    assert (found["tables"], found["rows"]) == (5, 13)
    assert sum("zero dates" in remark for remark in found["remarks"]) == 2
    with postgres.session() as session:
        assert session.value("INSERT INTO nothing (x) VALUES (1) RETURNING id") == 42
        session.execute("DELETE FROM nothing")
    for change, told, back in _CHANGES:
        with postgres.session() as session:
            session.execute(change)
        with pytest.raises(StepError, match=told) as error:
            COMPARE.apply(world.context)
        assert "canary" not in str(error.value)
        with postgres.session() as session:
            session.execute(back)
    COMPARE.apply(world.context)
    CONVERT.undo(world.context)
    assert CONVERT.observe(world.context).state == "not done"


_CHANGES = (
    ("UPDATE accounts SET approved = NULL WHERE id = 1", r"accounts \(id=1\) is different: approved",
     "UPDATE accounts SET approved = true WHERE id = 1"),
    ("UPDATE accounts SET note = NULL WHERE id = 2", r"note: '' on MySQL, NULL on PostgreSQL",
     "UPDATE accounts SET note = '' WHERE id = 2"),
    ("UPDATE accounts SET data = '\\x0001ff28' WHERE id = 1", r"data: '0001ff27' on MySQL, '0001ff28'",
     "UPDATE accounts SET data = '\\x0001ff27' WHERE id = 1"),
    ("UPDATE accounts SET d = 0.10000000000000002 WHERE id = 1", r"d: '0.1' on MySQL",
     "UPDATE accounts SET d = 0.1 WHERE id = 1"),
    ("UPDATE accounts SET created_at = NULL WHERE id = 3", r"created_at: '0020-01-01' on MySQL, NULL",
     "UPDATE accounts SET created_at = '0020-01-01' WHERE id = 3"),
    ("UPDATE accounts SET password_digest = 'other' WHERE id = 1", r"password_digest: 'masked \(6 bytes",
     "UPDATE accounts SET password_digest = 'canary' WHERE id = 1"),
    ("DELETE FROM joins WHERE ctid = (SELECT min(ctid) FROM joins)", r"2 times on MySQL, 1 times on Postgre",
     "INSERT INTO joins VALUES (1, 'x')"),
    ("INSERT INTO names VALUES ('é', 3, 'z')", r"names \(a=é, b=3\) is only on PostgreSQL",
     "DELETE FROM names WHERE b = 3"),
    ("DROP INDEX idx_small", r"index of accounts \(small tiny\) is missing",
     "CREATE INDEX idx_small ON accounts (small, tiny)"),
    ("ALTER TABLE users DROP CONSTRAINT fk_account",
     r"key of users \(account_id accounts id CASCADE\) is miss",
     "ALTER TABLE users ADD CONSTRAINT fk_account FOREIGN KEY (account_id) REFERENCES accounts "
     "ON DELETE CASCADE"),
    ("ALTER TABLE users ALTER account_id DROP NOT NULL", r"users\.account_id is not required on PostgreSQL",
     "ALTER TABLE users ALTER account_id SET NOT NULL"),
    ("SELECT setval('users_id_seq', 2)", r"sequence of users\.id goes on with 3, and MySQL would with 5",
     "SELECT setval('users_id_seq', 4)"),
    ("ALTER TABLE accounts ALTER approved DROP DEFAULT", r"default of accounts\.approved is None",
     "ALTER TABLE accounts ALTER approved SET DEFAULT true"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("more", "told"),
    [
        pytest.param(
            ("INSERT INTO accounts (id, org_name, at) VALUES (9, 'x', '-12:00:00')",),
            r"accounts: 1 of 4 rows were rejected \(22007: invalid input syntax for type time: …\)",
            id="a time below zero",
        ),
        pytest.param(
            (
                "CREATE TABLE strict (id INT PRIMARY KEY, day DATE NOT NULL, secret VARCHAR(9))",
                "INSERT INTO strict VALUES (1, '0000-00-00', 'canary'), (2, '2020-01-01', 'x')",
            ),
            r"strict: 1 of 2 rows were rejected \(23502: null value in column \"day\"",
            id="a zero date where none may be empty",
        ),
    ],
)
def test_rejected_rows_stop_the_plan_and_a_mended_database_goes_on(
    world: TransferWorld,
    mysql_pair: tuple[MariaDb, MariaDb],
    postgres: PostgresDb,
    more: Sequence[str],
    told: str,
) -> None:
    fill(mysql_pair[0], more)
    with pytest.raises(StepError, match=told) as error:
        CONVERT.apply(world.context)
    assert "canary" not in str(error.value)
    assert "then `cutover run` converts anew" in str(error.value)
    assert CONVERT.observe(world.context).state == "not done"
    with mysql_pair[0].session() as session:
        session.execute("DELETE FROM accounts WHERE id = 9")
        session.execute("DROP TABLE IF EXISTS strict")
    assert CONVERT.apply(world.context)["rows"] == 13
    COMPARE.apply(world.context)


def test_a_truth_value_that_is_none_is_told(
    world: TransferWorld, mysql_pair: tuple[MariaDb, MariaDb], postgres: PostgresDb
) -> None:
    fill(mysql_pair[0], ("UPDATE accounts SET approved = 2 WHERE id = 3",))
    CONVERT.apply(world.context)
    with pytest.raises(StepError, match=r"approved: '!2' on MySQL, 't' on PostgreSQL"):
        COMPARE.apply(world.context)


def test_a_server_that_does_not_answer_is_told_although_pgloader_ends_with_0(
    world: TransferWorld, mysql_pair: tuple[MariaDb, MariaDb], postgres: PostgresDb
) -> None:
    fill(mysql_pair[0])
    world.give("system_database", replace(mysql_pair[0].server("administrator"), password="canary"))
    with pytest.raises(StepError, match=r"it did not come to its end.*Failed to connect to mysql"):
        CONVERT.apply(world.context)
