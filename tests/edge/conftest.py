"""A real MariaDB and a real Redis on loopback, one of each for a test process."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pymysql
import pytest
import redis

from lab.database import Login, connect
from lab.setup import find_program
from tests.edge.support import LOOPBACK, WAIT_SECONDS

Given = TypeVar("Given")
PASSWORD = "a-password-of-the-tests"


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Login]:
    """A login with all rights on an empty database `boss`."""
    folder = tmp_path_factory.mktemp("mariadb")
    data = folder / "data"
    install = [_program("mariadb-install-db"), "--no-defaults", "--skip-test-db", f"--datadir={data}"]
    user = ["--user=root"]
    subprocess.run(
        [*install, *user, "--auth-root-authentication-method=normal"],
        check=True,
        capture_output=True,
        timeout=120,
    )
    init = folder / "init.sql"
    init.write_text(
        "CREATE DATABASE boss CHARACTER SET utf8mb4;\n"
        f"CREATE USER boss@'%' IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO boss@'%';\n"
    )
    port = free_port()
    login = Login(LOOPBACK, port, "boss", "boss", PASSWORD)
    temporary = tmp_path_factory.mktemp("temporary")
    options = [
        f"--datadir={data}",
        f"--tmpdir={temporary}",
        f"--socket={folder}/s",
        f"--pid-file={folder}/pid",
        f"--init-file={init}",
    ]
    server = [
        f"--bind-address={LOOPBACK}",
        f"--port={port}",
        "--skip-name-resolve",
        "--innodb-log-file-size=8M",
    ]

    def answers() -> bool:
        try:
            connect(login).close()
        except (pymysql.MySQLError, OSError):
            return False
        return True

    yield from _serve([_program("mariadbd"), "--no-defaults", *user, *options, *server], login, answers)


@pytest.fixture
def database(mariadb: Login) -> Login:
    """The database `boss` without any table."""
    with connect(mariadb) as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE boss")
        cursor.execute("CREATE DATABASE boss CHARACTER SET utf8mb4")
    return mariadb


@pytest.fixture(scope="session")
def redis_server() -> Iterator[int]:
    """The port of a Redis."""
    port = free_port()
    command = [_program("redis-server"), "--bind", LOOPBACK, "--port", str(port), "--save", ""]

    def answers() -> bool:
        with redis.Redis(LOOPBACK, port) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    yield from _serve(command, port, answers)


@pytest.fixture
def redis_port(redis_server: int) -> int:
    """The port of an empty Redis."""
    with redis.Redis(LOOPBACK, redis_server) as client:
        client.flushall()
    return redis_server


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind((LOOPBACK, 0))
        return int(found.getsockname()[1])


def _program(name: str) -> str:
    path: Path | None = find_program(name)
    assert path is not None, f"{name} is not installed: run `python3 -m lab.setup`"
    return str(path)


def _serve(command: list[str], given: Given, answers: Callable[[], bool]) -> Iterator[Given]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while not answers():
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
            assert time.monotonic() < deadline, f"{command[0]} does not answer"
            time.sleep(0.05)
        yield given
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS)
