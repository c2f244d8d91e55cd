"""Two MariaDB servers for a test process, and empty schemas on them for each test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.kubernetes.certificates import Authority
from lab.replication.mariadb import PASSWORD, SCHEMA, MariaDb

_started: list[str] = []
"""What processes were started with, since the first test."""


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen":
        _started.append(repr(arguments[:2]))


sys.addaudithook(_look)


@pytest.fixture(autouse=True)
def arguments_without_passwords() -> Iterator[None]:
    """Everybody on a machine may read what a process was started with."""
    before = len(_started)
    yield
    assert not [arguments for arguments in _started[before:] if PASSWORD in arguments]


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MariaDb, MariaDb]]:
    """A source and a target that run."""
    folder = tmp_path_factory.mktemp("db")
    authority = Authority("tests")
    servers = [
        MariaDb(name, number, Path(folder, name), authority)
        for number, name in enumerate(("source", "target"), start=1)
    ]
    try:
        for server in servers:
            server.start()
        yield servers[0], servers[1]
    finally:
        for server in servers:
            server.stop()


@pytest.fixture
def databases(pair: tuple[MariaDb, MariaDb]) -> tuple[MariaDb, MariaDb]:
    """Both with an empty schema `boss`, replicating nothing, with empty binlogs and writable."""
    for database in pair:
        database.reset(SCHEMA)
    return pair
