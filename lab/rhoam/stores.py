"""The data stores of the lab: MariaDB, PostgreSQL and Redis, each a server of its own at its own address."""

from __future__ import annotations

import hashlib
import os
import secrets
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
import psycopg.sql
import redis

from lab.database import ADMINISTRATOR_RIGHTS, Login, ManagedServer, Tls
from lab.kubernetes.certificates import KeyPair, write_private
from lab.setup import Tools
from lab.supervisor import Supervisor
from lab.world import LabError, World

REDIS_PORT, POSTGRES_PORT = 6379, 5432
COMMAND_SECONDS = 60.0
NOBODY = 65534
"""PostgreSQL runs as nobody: it refuses root."""


@dataclass(frozen=True)
class Machine:
    """What every store of a lab is made with. `folder`: the lab's own."""

    world: World
    supervisor: Supervisor
    tools: Tools
    folder: Path


class MySql:
    """A MariaDB, which stands for MySQL.

    Debian has one MariaDB, so old and new are the same program: the old one has the defaults of MySQL 5.7's
    time, the new one those of 8.0's. An upgrade stops it, starts it as the new one, and runs mariadb-upgrade.
    """

    def __init__(self, machine: Machine, name: str, host: str, address: str, server_id: int) -> None:
        self._machine = machine
        self._name, self._host, self.address = name, host, address
        self._server_id = server_id
        self._folder = machine.folder / name
        self._server = ManagedServer(
            name, host, machine.supervisor, machine.tools, self._folder, schema="system"
        )
        self._statements: tuple[str, ...] = ()
        self._tls: Tls | None = None

    @property
    def operator(self) -> Login:
        """The cloud's own access, by a socket, to the database `system`."""
        return self._server.operator

    def start(self, version: str, statements: Sequence[str], tls: Tls | None = None) -> None:
        """Serve with the defaults of that version of MySQL. Raises LabError."""
        self._statements, self._tls = tuple(statements), tls
        self._server.start(
            address=self.address,
            server_id=self._server_id,
            tls=tls,
            statements=self._statements,
            options=_options(version),
        )

    def stop(self) -> None:
        """End it; its data stays."""
        self._server.stop()

    def upgrade(self, version: str) -> None:
        """Serve as another version does, with the system tables upgraded. Raises LabError."""
        self.stop()
        self.start(version, self._statements, self._tls)
        login = self._server.operator
        options = self._folder / "upgrade.cnf"
        write_private(options, f"[client]\nuser={login.user}\npassword={login.password}\n".encode())
        argv = [
            str(self._machine.tools.mariadb_upgrade),
            f"--defaults-extra-file={options}",
            f"--socket={login.unix_socket}",
            "--force",
            "--silent",
        ]
        _run(argv)


def _options(version: str) -> tuple[str, ...]:
    old = version.startswith("5.")
    mode = "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
    return (
        f"sql_mode = {'' if old else mode}",
        f"innodb_strict_mode = {'OFF' if old else 'ON'}",
    )


def administrator(user: str, password: str, *schemas: str) -> tuple[str, ...]:
    """The statements that make a managed MySQL's administrator, and its databases."""
    return (
        *(f"CREATE DATABASE IF NOT EXISTS `{schema}` CHARACTER SET utf8mb4" for schema in schemas),
        f"CREATE OR REPLACE USER '{user}'@'%' IDENTIFIED BY '{password}'",
        f"GRANT {ADMINISTRATOR_RIGHTS} ON *.* TO '{user}'@'%' WITH GRANT OPTION",
    )


class Postgres:
    """A PostgreSQL cluster of the lab's own. Its data is in memory: it ends with the lab's world."""

    def __init__(self, machine: Machine, name: str, host: str, address: str) -> None:
        self._machine = machine
        self._name, self._host, self.address = name, host, address
        short = hashlib.sha256(str(machine.folder).encode()).hexdigest()[:8]
        self._folder = Path("/run") / f"{name}-{short}"
        self._operator = secrets.token_urlsafe(18)

    @property
    def url(self) -> str:
        """The cloud's own access, by a socket, to the database `system`: for the lab's judge."""
        return f"postgresql://rdsadmin:{self._operator}@/system?host={self._folder}&port={POSTGRES_PORT}"

    def start(self, user: str, password: str, database: str, pair: KeyPair) -> None:
        """Serve, with an administrator who owns the database and is no superuser. Raises LabError."""
        self._folder.mkdir(mode=0o711)
        os.chown(self._folder, NOBODY, NOBODY)
        secret = self._folder / "password"
        for path, content in ((secret, self._operator.encode()), *self._certificate(pair)):
            write_private(path, content)
            os.chown(path, NOBODY, NOBODY)
        data = self._folder / "data"
        as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        initialize = [
            *(*as_nobody, str(self._machine.tools.initdb), f"--pgdata={data}", "--username=rdsadmin"),
            *(
                f"--pwfile={secret}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ),
        ]
        _run(initialize)
        with (data / "pg_hba.conf").open("a", encoding="utf-8") as file:
            file.write("hostssl all all 0.0.0.0/0 scram-sha-256\n")
        settings = {
            "listen_addresses": self.address,
            "port": POSTGRES_PORT,
            "unix_socket_directories": self._folder,
            "ssl": "on",
            "ssl_cert_file": self._folder / "server.crt",
            "ssl_key_file": self._folder / "server.key",
            "shared_buffers": "32MB",
            "max_connections": 100,
            "fsync": "on",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._machine.supervisor.start(
            self._name,
            [*as_nobody, str(self._machine.tools.postgres), "-D", str(data), *options],
            host=self._host,
            ready=self._answers,
        )
        with psycopg.connect(self._maintenance, autocommit=True, connect_timeout=5) as connection:
            role = psycopg.sql.Identifier(user)
            word = psycopg.sql.Literal(password)
            connection.execute(
                psycopg.sql.SQL("CREATE ROLE {} LOGIN CREATEDB CREATEROLE PASSWORD {}").format(role, word)
            )
            made = psycopg.sql.SQL("CREATE DATABASE {} OWNER {}").format(
                psycopg.sql.Identifier(database), role
            )
            connection.execute(made)

    def _certificate(self, pair: KeyPair) -> tuple[tuple[Path, bytes], ...]:
        return (self._folder / "server.crt", pair.certificate), (self._folder / "server.key", pair.key)

    @property
    def _maintenance(self) -> str:
        return self.url.replace("/system?", "/postgres?")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._maintenance, connect_timeout=3).close()
        except psycopg.Error:
            return False
        return True


class Redis:
    """A Redis; a managed one wants TLS and a user's password, a customer's own has neither."""

    def __init__(self, machine: Machine, name: str, host: str, address: str) -> None:
        self._machine = machine
        self._name, self._host, self.address = name, host, address
        self._folder = machine.folder / name
        self._login: tuple[str, str] | None = None

    @property
    def client(self) -> redis.Redis:
        """The cloud's own access, by a socket: for the lab's judge."""
        return redis.Redis(
            unix_socket_path=str(self._folder / "socket"),
            decode_responses=True,
            socket_timeout=5.0,
            username=self._login[0] if self._login else None,
            password=self._login[1] if self._login else None,
        )

    def start(self, user: str = "", password: str = "", tls: Tls | None = None) -> None:
        """Serve. Raises LabError."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        options: list[str] = []
        if tls is not None:
            accounts = self._folder / "users.acl"
            digest = hashlib.sha256(password.encode()).hexdigest()
            own = secrets.token_urlsafe(18)
            judge = hashlib.sha256(own.encode()).hexdigest()
            lines = ["user default off -@all"]
            lines += [
                f"user {name} on #{word} ~* &* +@all" for name, word in ((user, digest), ("judge", judge))
            ]
            write_private(accounts, "\n".join([*lines, ""]).encode())
            self._login = "judge", own
            options = [
                *("--port", "0", "--tls-port", str(REDIS_PORT), "--aclfile", str(accounts)),
                *("--tls-cert-file", str(tls.certificate), "--tls-key-file", str(tls.key)),
                *("--tls-ca-cert-file", str(tls.ca), "--tls-auth-clients", "no"),
            ]
        argv = [
            *(str(self._machine.tools.redis_server), "--bind", self.address, "--protected-mode", "no"),
            *("--dir", str(self._folder), "--unixsocket", str(self._folder / "socket")),
            # as 3scale's own image has it: it writes what it holds from time to time, and every change
            *("--appendonly", "yes", "--appendfsync", "everysec", "--save", "900 1", *options),
        ]
        self._machine.supervisor.start(self._name, argv, host=self._host, ready=self._answers)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False


def _run(argv: Sequence[str]) -> None:
    try:
        result = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
            cwd=tempfile.gettempdir(),
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{Path(argv[0]).name} did not end within {COMMAND_SECONDS:.0f} s") from error
    if result.returncode != 0:
        raise LabError(f"`{' '.join(argv[:4])} …` ended with {result.returncode}: {result.stderr[-2000:]}")
