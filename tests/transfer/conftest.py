"""moto's AWS, two MariaDB, a PostgreSQL and two Redis, each started once for the tests that use it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.aws.server import AwsServer
from lab.database import ADMINISTRATOR_RIGHTS
from lab.kubernetes.certificates import Authority
from lab.replication.mariadb import PASSWORD, SCHEMA, MariaDb
from lab.stores.postgres import PostgresDb
from lab.stores.redis import RedisDb
from tests.transfer.transfer_world import TransferWorld, make_world

_ACCESS = {
    "AWS_ACCESS_KEY_ID": "lab",
    "AWS_SECRET_ACCESS_KEY": "lab",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="session")
def aws() -> Iterator[AwsServer]:
    with AwsServer() as server:
        yield server


@pytest.fixture
def world(aws: AwsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TransferWorld]:
    """A context with an AWS that holds nothing yet."""
    for name, value in {**_ACCESS, "AWS_ENDPOINT_URL": aws.url}.items():
        monkeypatch.setenv(name, value)
    yield make_world(tmp_path)
    _forget(aws)


def _forget(aws: AwsServer) -> None:
    import urllib.request  # noqa: PLC0415

    request = urllib.request.Request(f"{aws.url}/moto-api/reset", method="POST")  # noqa: S310 - our own
    urllib.request.urlopen(request, timeout=60).close()  # noqa: S310


@pytest.fixture(scope="session")
def mariadb_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MariaDb, MariaDb]]:
    folder, authority = tmp_path_factory.mktemp("mariadb"), Authority("tests")
    servers = [
        MariaDb(name, number, Path(folder, name), authority, ("--log-bin-trust-function-creators=ON",))
        for number, name in enumerate(("old", "new"), start=1)
    ]
    try:
        for server in servers:
            server.start()
        yield servers[0], servers[1]
    finally:
        for server in servers:
            server.stop()


@pytest.fixture
def mysql_pair(mariadb_servers: tuple[MariaDb, MariaDb], world: TransferWorld) -> tuple[MariaDb, MariaDb]:
    """Two MariaDB with an empty database, known as the system database and the one to be loaded."""
    for server, output, file in zip(
        mariadb_servers, ("system_database", "loaded_database"), ("ca.pem", "other.pem"), strict=True
    ):
        server.reset(SCHEMA)
        with server.session(None) as session:
            # what a managed MySQL gives its administrator: no SUPER
            session.execute(f"CREATE USER administrator@'%' IDENTIFIED BY '{PASSWORD}'")
            session.execute(f"GRANT {ADMINISTRATOR_RIGHTS} ON *.* TO administrator@'%' WITH GRANT OPTION")
        world.give(output, server.server("administrator"))
        (world.context.project / file).write_bytes(server.ca.read_bytes())
    return mariadb_servers


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresDb]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        server = PostgresDb("postgres", Path(folder, "one"), Authority("tests"))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture
def postgres(postgres_server: PostgresDb, world: TransferWorld) -> PostgresDb:
    """A PostgreSQL with an empty database, known as the one to be converted into."""
    postgres_server.reset()
    world.give("conversion_database", postgres_server.server())
    (world.context.project / "postgres.pem").write_bytes(postgres_server.ca.read_bytes())
    return postgres_server


@pytest.fixture
def redis_pair(tmp_path: Path, world: TransferWorld) -> Iterator[tuple[RedisDb, RedisDb]]:
    """Two empty Redis, known as the source's and the destination's; the second takes TLS alone."""
    servers = (
        RedisDb("backend", tmp_path / "backend", ("enable-debug-command yes",)),
        RedisDb("recovered", tmp_path / "recovered", ("appendonly yes",), Authority("tests")),
    )
    try:
        for server, output in zip(servers, ("backend_redis", "recovered_redis"), strict=True):
            server.start()
            world.give(output, server.server())
        (world.context.project / "redis.pem").write_bytes(servers[1].ca.read_bytes())
        yield servers
    finally:
        for server in servers:
            server.stop()
