"""Dumps of MariaDB and PostgreSQL into moto's S3, and back: real servers, real tools."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cutover.errors import StepError
from cutover.transfer import DumpDatabase, LoadDatabase, manifest, mysql_dump
from cutover.transfer.sums import sums
from lab.replication.mariadb import SCHEMA, MariaDb
from lab.stores.postgres import PostgresDb
from tests.transfer.transfer_world import CONVERTED, DUMP, LOADED, SYSTEM, TransferWorld

pytestmark = pytest.mark.lab

_STATEMENTS = (
    "CREATE TABLE accounts (id BIGINT AUTO_INCREMENT PRIMARY KEY, org_name VARCHAR(255), data BLOB, f FLOAT)",
    "INSERT INTO accounts (org_name, data, f) "
    "VALUES ('a', X'00FF27', 0.1), (NULL, NULL, NULL), ('é😀', '', 1)",
    "CREATE TABLE plans (id INT PRIMARY KEY, tenant INT)",
    "CREATE DEFINER = CURRENT_USER TRIGGER t BEFORE INSERT ON plans FOR EACH ROW SET NEW.tenant = 7",
    "CREATE DEFINER = CURRENT_USER PROCEDURE p() SELECT 1",
    "CREATE DEFINER = CURRENT_USER VIEW v AS SELECT id FROM accounts",
    "INSERT INTO plans (id) VALUES (1), (2)",
)


def fill(server: MariaDb) -> None:
    with server.session() as session:
        for statement in _STATEMENTS:
            session.execute(statement)


@pytest.mark.parametrize("threads", [1, 2], ids=["mysqldump", "mydumper"])
def test_what_is_dumped_is_loaded_and_compared(
    world: TransferWorld, mysql_pair: tuple[MariaDb, MariaDb], threads: int
) -> None:
    world.bucket("dumps")
    old, new = mysql_pair
    fill(old)
    dump = DumpDatabase(source=SYSTEM, dump=DUMP, threads=threads)
    load = LoadDatabase(dump=DUMP, target=LOADED, threads=threads)
    assert dump.observe(world.context).state == "not done"
    evidence = dump.apply(world.context)
    assert evidence["rows"] == 5
    assert dump.observe(world.context).state == "done"
    assert load.observe(world.context).state == "not done"
    assert load.apply(world.context) == {"tables": 2, "rows": 5, "compared": True}
    assert load.observe(world.context).state == "done"
    assert sums(world.context, new.server(), SCHEMA) == sums(world.context, old.server(), SCHEMA)
    with new.session() as session:
        session.execute("INSERT INTO plans (id) VALUES (3)")
        assert session.value("SELECT tenant FROM plans WHERE id = 3") == 7
        assert session.value("SELECT COUNT(*) FROM v") == 3
        assert session.rows("CALL p()") == [(1,)]
    load.undo(world.context)
    with new.session(None) as session:
        assert (
            session.value("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s", (SCHEMA,))
            == 0
        )
    dump.undo(world.context)
    assert manifest.find(world.context, DUMP) is None


def test_a_database_with_other_tables_is_left_as_it_is(
    world: TransferWorld, mysql_pair: tuple[MariaDb, MariaDb]
) -> None:
    world.bucket("dumps")
    fill(mysql_pair[0])
    DumpDatabase(source=SYSTEM, dump=DUMP, threads=1).apply(world.context)
    with mysql_pair[1].session() as session:
        session.execute("CREATE TABLE theirs (id INT)")
    load = LoadDatabase(dump=DUMP, target=LOADED)
    with pytest.raises(StepError, match="already holds 1 tables"):
        load.apply(world.context)
    load.undo(world.context)
    with mysql_pair[1].session() as session:
        assert session.value("SELECT COUNT(*) FROM theirs") == 0


def test_a_load_that_was_killed_begins_anew(
    world: TransferWorld, mysql_pair: tuple[MariaDb, MariaDb], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.bucket("dumps")
    fill(mysql_pair[0])
    DumpDatabase(source=SYSTEM, dump=DUMP, threads=1).apply(world.context)
    load = LoadDatabase(dump=DUMP, target=LOADED)

    class KilledError(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        with mysql_pair[1].session() as session:
            session.execute("CREATE TABLE accounts (id INT)")
        raise KilledError

    with monkeypatch.context() as patched, pytest.raises(KilledError):
        patched.setattr("cutover.transfer.mysql_dump.load", killed)
        load.apply(world.context)
    assert load.observe(world.context).state == "not done"
    assert load.apply(world.context)["rows"] == 5


def test_a_database_that_is_written_to_is_not_dumped(
    world: TransferWorld, mysql_pair: tuple[MariaDb, MariaDb], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.bucket("dumps")
    fill(mysql_pair[0])
    made = mysql_dump.dump

    def meanwhile(*arguments: Any) -> str:
        found = made(*arguments)
        with mysql_pair[0].session() as session:
            session.execute("INSERT INTO plans (id) VALUES (9)")
        return found

    monkeypatch.setattr(mysql_dump, "dump", meanwhile)
    with pytest.raises(StepError, match=r"written to while it was dumped: plans has 3 rows instead of 2"):
        DumpDatabase(source=SYSTEM, dump=DUMP).apply(world.context)
    assert manifest.find(world.context, DUMP) is None


_KILLED = """
import sys
from pathlib import Path
from cutover.transfer import DumpDatabase, LoadDatabase
from tests.transfer.transfer_world import DUMP, LOADED, SYSTEM, make_world
world = make_world(Path(sys.argv[1]))
world.stacks.values.update(__import__("json").loads(sys.argv[2]))
action = sys.argv[3]
print("begun", flush=True)
if action == "dump":
    DumpDatabase(source=SYSTEM, dump=DUMP, threads=1).apply(world.context)
else:
    LoadDatabase(dump=DUMP, target=LOADED).apply(world.context)
"""


@pytest.mark.parametrize("action", ["dump", "load"])
def test_a_process_that_was_killed_leaves_nothing_that_stands_in_the_way(
    world: TransferWorld, mysql_pair: tuple[MariaDb, MariaDb], action: str
) -> None:
    world.bucket("dumps")
    fill(mysql_pair[0])
    with mysql_pair[0].session() as session:
        session.execute("INSERT INTO accounts (org_name) SELECT REPEAT('x', 200) FROM seq_1_to_50000")
    dump, load = DumpDatabase(source=SYSTEM, dump=DUMP, threads=1), LoadDatabase(dump=DUMP, target=LOADED)
    if action == "load":
        dump.apply(world.context)
    process = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(world.context.project), json.dumps(world.stacks.values), action],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        time.sleep(0.5)
        process.kill()
    if action == "dump":
        dump.apply(world.context)
    assert load.apply(world.context)["rows"] == 50_005


def test_a_changed_and_a_cut_short_dump_are_refused(
    world: TransferWorld, mysql_pair: tuple[MariaDb, MariaDb]
) -> None:
    s3 = world.bucket("dumps")
    fill(mysql_pair[0])
    DumpDatabase(source=SYSTEM, dump=DUMP, threads=1).apply(world.context)
    key = f"{DUMP.prefix}/{SCHEMA}.sql.gz"
    whole = s3.get_object(Bucket="dumps", Key=key)["Body"].read()
    s3.put_object(Bucket="dumps", Key=key, Body=whole[:-20])
    load = LoadDatabase(dump=DUMP, target=LOADED)
    with pytest.raises(StepError, match="is not what was dumped"):
        load.apply(world.context)
    s3.delete_object(Bucket="dumps", Key=f"{DUMP.prefix}/manifest.json")
    with pytest.raises(StepError, match=r"no manifest\.json"):
        load.apply(world.context)
    assert gzip.decompress(whole).rstrip().splitlines()[-1].startswith(b"-- Dump completed")


def test_postgres_there_and_back(world: TransferWorld, postgres: PostgresDb) -> None:
    world.bucket("dumps")
    with postgres.session() as session:
        session.execute("CREATE TABLE t (id bigserial PRIMARY KEY, v text, b bytea, d double precision)")
        session.execute("INSERT INTO t (v, b, d) VALUES ('é', '\\x00ff', 0.1), (NULL, NULL, NULL)")
    before = sums(world.context, postgres.server(), "system")
    dump, load = DumpDatabase(source=CONVERTED, dump=DUMP), LoadDatabase(dump=DUMP, target=CONVERTED)
    dump.apply(world.context)
    postgres.reset()
    assert load.apply(world.context)["rows"] == 2
    assert sums(world.context, postgres.server(), "system") == before
    assert load.observe(world.context).state == "done"
    with postgres.session() as session:
        session.execute("INSERT INTO t (v) VALUES ('x')")
        assert session.value("SELECT max(id) FROM t") == 3


def test_nothing_is_left_on_the_disk(world: TransferWorld, mysql_pair: tuple[MariaDb, MariaDb]) -> None:
    world.bucket("dumps")
    fill(mysql_pair[0])
    DumpDatabase(source=SYSTEM, dump=DUMP).apply(world.context)
    assert list(Path(world.context.project, ".cutover", "transfer").iterdir()) == []
