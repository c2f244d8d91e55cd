"""The lab's DMS: it really replicates, and it has DMS's habits."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.replication.mariadb import LOOPBACK, PASSWORD, SCHEMA, MariaDb

Databases = tuple[MariaDb, MariaDb]
LAG = 0.3
WAIT_SECONDS = 30.0
TABLE = "CREATE TABLE records (id INT AUTO_INCREMENT PRIMARY KEY, client CHAR(36), KEY client (client))"


class Task:
    """One run of the worker."""

    def __init__(self, folder: Path, databases: Databases, **job: object) -> None:
        self._status = folder / "status.json"
        ends = [
            {
                "host": LOOPBACK,
                "port": database.port,
                "user": "owner",
                "password": PASSWORD,
                "ca": str(database.ca),
            }
            for database in databases
        ]
        described = {
            "source": ends[0],
            "target": ends[1],
            "schemas": [SCHEMA],
            "tables": ["%"],
            "load": True,
            "changes": True,
            "position": None,
            "lag": LAG,
            **job,
        }
        path = folder / "job.json"
        path.write_text(json.dumps(described))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lab.replication.dms_worker", str(path), str(self._status)]
        )

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._status.read_text()) if self._status.exists() else {}
        return found

    def tables(self) -> dict[str, str]:
        return {table["name"]: table["state"] for table in self.status().get("tables", [])}

    def loaded(self) -> bool:
        return self.status().get("progress") == 100

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(WAIT_SECONDS)


@pytest.fixture
def tasks() -> Iterator[list[Task]]:
    started: list[Task] = []
    yield started
    for task in started:
        if task.process.poll() is None:
            task.stop()


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def clients(database: MariaDb, table: str = "records") -> list[str]:
    with database.session() as session:
        return [client for (client,) in session.rows(f"SELECT client FROM {table} ORDER BY id")]  # noqa: S608


def test_rows_are_loaded_and_changes_follow_with_a_lag(
    databases: Databases, tmp_path: Path, tasks: list[Task]
) -> None:
    source, target = databases
    with source.session() as session:
        session.execute(TABLE)
        session.execute("INSERT INTO records (client) VALUES ('a'), ('b')")
        tasks.append(Task(tmp_path, databases, prepare="DROP_AND_CREATE"))
        until(tasks[0].loaded)
        begun = time.monotonic()
        session.execute("INSERT INTO records (client) VALUES ('c')")
        session.execute("UPDATE records SET client = 'B' WHERE id = 2")
        session.execute("DELETE FROM records WHERE id = 1")

    until(lambda: clients(target) == ["B", "c"])

    assert time.monotonic() - begun >= LAG
    assert tasks[0].status()["state"] == "running"


def test_many_changes_share_one_lag(databases: Databases, tmp_path: Path, tasks: list[Task]) -> None:
    """A change waits for its own lag, and not for that of all changes before it."""
    source, target = databases
    with source.session() as session:
        session.execute(TABLE)
        tasks.append(Task(tmp_path, databases, prepare="DROP_AND_CREATE"))
        until(tasks[0].loaded)
        begun = time.monotonic()
        for number in range(200):
            session.execute("INSERT INTO records (client) VALUES (%s)", (str(number),))

    until(lambda: len(clients(target)) == 200)

    assert time.monotonic() - begun < 200 * LAG


def test_it_makes_no_secondary_index_and_no_counter(
    databases: Databases, tmp_path: Path, tasks: list[Task]
) -> None:
    source, target = databases
    with source.session() as session:
        session.execute(TABLE)
        session.execute("CREATE TRIGGER t BEFORE INSERT ON records FOR EACH ROW SET NEW.client = NEW.client")
    tasks.append(Task(tmp_path, databases, prepare="DROP_AND_CREATE"))
    until(tasks[0].loaded)

    with target.session() as session:
        shown = session.rows("SHOW CREATE TABLE records")[0][1]
        assert "PRIMARY KEY" in shown
        assert "KEY `client`" not in shown
        assert "AUTO_INCREMENT" not in shown
        assert session.rows("SHOW TRIGGERS") == []


def test_a_row_that_cannot_be_applied_suspends_its_table_alone(
    databases: Databases, tmp_path: Path, tasks: list[Task]
) -> None:
    source, target = databases
    with source.session() as session, target.session() as there:
        session.execute(TABLE)
        session.execute("CREATE TABLE other LIKE records")
        tasks.append(Task(tmp_path, databases, prepare="DROP_AND_CREATE"))
        until(tasks[0].loaded)
        there.execute("INSERT INTO records (id, client) VALUES (1, 'rogue')")
        session.execute("INSERT INTO records (id, client) VALUES (1, 'a')")
        session.execute("INSERT INTO other (id, client) VALUES (1, 'a')")

    until(lambda: clients(target, "other") == ["a"])

    assert tasks[0].tables() == {"records": "Table error", "other": "Table completed"}
    assert tasks[0].status()["state"] == "running"
    assert clients(target) == ["rogue"]


def test_it_follows_from_a_position_and_goes_on_where_it_stopped(
    databases: Databases, tmp_path: Path, tasks: list[Task]
) -> None:
    source, target = databases
    for database in databases:
        with database.session() as session:
            session.execute(TABLE)
    with source.session() as session:
        session.execute("INSERT INTO records (client) VALUES ('before')")
        found = session.records("SHOW MASTER STATUS")[0]
        position = f"{found['File']}:{found['Position']}"
        session.execute("INSERT INTO records (client) VALUES ('after')")
        tasks.append(Task(tmp_path, databases, load=False, position=position))
        until(lambda: clients(target) == ["after"])
        tasks[0].stop()
        assert tasks[0].status()["state"] == "stopped"
        session.execute("INSERT INTO records (client) VALUES ('later')")
        tasks.append(Task(tmp_path, databases, load=False, position=tasks[0].status()["position"]))

    until(lambda: clients(target) == ["after", "later"])


def test_a_source_that_goes_away_ends_the_task_as_stopped(
    databases: Databases, tmp_path: Path, tasks: list[Task]
) -> None:
    source, _ = databases
    with source.session() as session:
        session.execute(TABLE)
    tasks.append(Task(tmp_path, databases, prepare="DROP_AND_CREATE"))
    until(tasks[0].loaded)
    try:
        source.kill()
        until(lambda: tasks[0].status()["state"] == "stopped")
        assert "LOST" in tasks[0].status()["reason"]
    finally:
        source.start()
