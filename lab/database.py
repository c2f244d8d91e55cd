"""The old cloud's managed MySQL (Huawei RDS), a MariaDB in a host of its own.

The host `huawei-rds` is linked to `huawei` by the lab's topology (198.51.100.30, the internal address).
Its public address (EIP) is not there until `bind_eip`, which also makes the link to the internet, and a
packet filter stands for the security group: silent to every source that `allow` has not named.
"""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pymysql

from lab.setup import Tools
from lab.supervisor import Supervisor
from lab.topology import DATABASE_EIP, DATABASE_HOST, DATABASE_INTERNAL, DATABASE_NAME, INTERNET_GATEWAY
from lab.world import WORLD, LabError, World

PORT = 3306
SCHEMA = "boss"
CORESTONE = "corestone"
UPLINK = "203.0.113.31"  # the database host's own end of the link to the internet; serves nothing
PROCESS = "huawei-rds"
INSTALL_SECONDS = 60.0

_CONFIGURATION = """\
[mariadbd]
user = root
datadir = {data}
socket = {socket}
pid_file = {folder}/mariadb.pid
# of its own: at its start a server removes temporary tables there, also those of other servers
tmpdir = {folder}/tmp
init_file = {init}
bind_address = {address}
port = {port}
skip_name_resolve = ON
default_time_zone = +00:00
max_connections = 200
character_set_server = utf8mb4
performance_schema = OFF
innodb_buffer_pool_size = 64M
innodb_log_file_size = 32M
# durable as the managed service is: a commit that was answered survives a crash
innodb_flush_log_at_trx_commit = 1
sync_binlog = 1
# for replication from one cloud to the other
server_id = {server_id}
log_bin = {data}/binlog
binlog_format = ROW
binlog_row_image = FULL
gtid_strict_mode = ON
log_slave_updates = ON
binlog_expire_logs_seconds = 86400
{further}
"""
_APPLICATION_RIGHTS = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP, REFERENCES, CREATE TEMPORARY TABLES, "
    "LOCK TABLES, CREATE VIEW, SHOW VIEW, TRIGGER, EXECUTE, CREATE ROUTINE, ALTER ROUTINE"
)
# What a managed MySQL gives its administrator: no SUPER, no FILE, no SHUTDOWN, no read_only.
ADMINISTRATOR_RIGHTS = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, "
    "SHOW DATABASES, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, BINLOG MONITOR, "
    "CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER, CONNECTION ADMIN, "
    "BINLOG ADMIN"
)
_SECURITY_GROUP = f"""
table ip security_group {{
    set admitted {{ type ipv4_addr; }}
    chain input {{
        type filter hook input priority filter; policy drop;
        iif lo accept
        ct state established,related accept
        ip daddr {DATABASE_INTERNAL} ip saddr 198.51.100.0/25 tcp dport {PORT} accept
        ip daddr {DATABASE_EIP} ip saddr @admitted tcp dport {PORT} accept
    }}
    chain forward {{ type filter hook forward priority filter; policy drop; }}
}}
"""


@dataclass(frozen=True)
class Tls:
    """The server's certificate and key, and the CA that signed it: PEM files."""

    certificate: Path
    key: Path
    ca: Path


@dataclass(frozen=True)
class Login:
    """How to connect: by TCP to `host`, or by `unix_socket` where that is set. `ca`: a PEM file for TLS."""

    host: str
    port: int
    name: str
    user: str
    password: str
    unix_socket: str | None = None
    ca: str | None = None

    def write(self, path: Path) -> Path:
        """Writes the login as JSON that only this user can read; for programs that are told a file."""
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        return path


class ManagedServer:
    """What a cloud's managed MySQL is in the lab: a MariaDB that a process of the supervisor serves."""

    def __init__(
        self,
        process: str,
        host: str,
        supervisor: Supervisor,
        tools: Tools,
        folder: Path,
        *,
        schema: str = SCHEMA,
    ) -> None:
        """`process`: its name for the supervisor; `folder`: where its data is kept, made by `start`."""
        self._process = process
        self._host = host
        self._supervisor = supervisor
        self._tools = tools
        self._folder = folder.resolve()
        self._socket = self._folder / "mariadb.sock"
        self.operator = Login(
            "localhost", PORT, schema, "root", secrets.token_urlsafe(18), unix_socket=str(self._socket)
        )
        """The cloud's own access, by a socket that every host of the lab sees: for the lab's judge."""

    def start(
        self,
        *,
        address: str,
        server_id: int,
        tls: Tls | None,
        statements: Iterable[str],
        options: Iterable[str] = (),
    ) -> None:
        """Installs the data directory if it is absent, and starts the server. Raises LabError.

        Args:
            address: where it listens.
            statements: what it runs before it accepts anybody, without a word of that in its binlog.
            options: further lines of its configuration.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self._folder / "tmp").mkdir(exist_ok=True, mode=0o700)
        data = self._folder / "data"
        if not data.exists():
            _install(self._tools, data)
        first = (
            "SET SESSION sql_log_bin = 0",  # accounts are the cloud's own and no part of what is replicated
            f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{self.operator.password}'",
        )
        init = self._folder / "init.sql"
        init.touch(mode=0o600)
        init.write_text("".join(f"{each};\n" for each in (*first, *statements)), encoding="utf-8")
        certificate = (f"ssl_cert = {tls.certificate}", f"ssl_key = {tls.key}") if tls else ()
        configuration = self._folder / "mariadb.cnf"
        configuration.write_text(
            _CONFIGURATION.format(
                data=data,
                socket=self._socket,
                folder=self._folder,
                init=init,
                address=address,
                port=PORT,
                server_id=server_id,
                further="\n".join((*options, *certificate)),
            ),
            encoding="utf-8",
        )
        self._supervisor.start(
            self._process,
            [str(self._tools.mariadbd), f"--defaults-file={configuration}"],
            host=self._host,
            ready=self._answers,
        )

    def stop(self) -> None:
        """Ends the server; its data stays."""
        self._supervisor.stop(self._process, grace=15.0)

    def _answers(self) -> bool:
        try:
            connect(self.operator).close()
        except (pymysql.MySQLError, OSError):
            return False
        return True


class HuaweiDatabase:
    """The managed database of the old cloud. Passwords are new in each lab."""

    def __init__(
        self, world: World, supervisor: Supervisor, tools: Tools, folder: Path, tls: Tls | None = None
    ) -> None:
        """`folder`: where the data and the passwords of this database are kept, made by `start`."""
        self._world = world
        self._server = ManagedServer(PROCESS, DATABASE_HOST, supervisor, tools, folder)
        self._tls = tls
        self._uplinked = False
        self._bound = False
        self._admitted: set[str] = set()
        ca = str(tls.ca) if tls else None
        self.application = Login(DATABASE_NAME, PORT, SCHEMA, "boss", secrets.token_urlsafe(18), ca=ca)
        self.corestone = Login(DATABASE_NAME, PORT, CORESTONE, "corestone", secrets.token_urlsafe(18), ca=ca)
        self.administrator = Login(DATABASE_INTERNAL, PORT, SCHEMA, "root", secrets.token_urlsafe(18), ca=ca)
        self.operator = self._server.operator

    def start(self) -> None:
        """Installs the data directory if it is absent, and starts the server. Raises LabError."""
        self._world.nft(DATABASE_HOST, _SECURITY_GROUP)
        self._server.start(address="0.0.0.0", server_id=30, tls=self._tls, statements=self._accounts())

    def stop(self) -> None:
        """Ends the server; its data stays."""
        self._server.stop()

    def bind_eip(self) -> None:
        """Gives the database its public address; does nothing if it has it. Nobody is admitted on it yet."""
        if self._bound:
            return
        if not self._uplinked:
            self._world.link(WORLD, DATABASE_HOST, INTERNET_GATEWAY, UPLINK)
            self._world.route(DATABASE_HOST, "default", INTERNET_GATEWAY)
            self._world.route(WORLD, DATABASE_EIP, UPLINK)
            self._uplinked = True
        self._world.address(DATABASE_HOST, DATABASE_EIP)
        self._bound = True

    def release_eip(self) -> None:
        """Takes the public address away again; connections on it hang, as they do in the cloud."""
        if self._bound:
            self._world.drop_address(DATABASE_HOST, DATABASE_EIP)
            self._bound = False

    def allow(self, address: str) -> None:
        """Lets new connections from one source address in on the EIP; does nothing if it already is."""
        if address not in self._admitted:
            self._change_admitted("add", address)
            self._admitted.add(address)

    def revoke(self, address: str) -> None:
        """Lets no new connections from that address in; open ones stay, as with a security group."""
        if address in self._admitted:
            self._change_admitted("delete", address)
            self._admitted.remove(address)

    def _change_admitted(self, verb: str, address: str) -> None:
        self._world.nft(DATABASE_HOST, f"{verb} element ip security_group admitted {{ {address} }}")

    def _accounts(self) -> list[str]:
        administrator = self.administrator
        return [
            *(statement for login in (self.application, self.corestone) for statement in _schema(login)),
            f"CREATE OR REPLACE USER '{administrator.user}'@'%' IDENTIFIED BY '{administrator.password}'",
            f"GRANT {ADMINISTRATOR_RIGHTS} ON *.* TO '{administrator.user}'@'%' WITH GRANT OPTION",
        ]


def _install(tools: Tools, data: Path) -> None:
    """Makes an empty data directory. Raises LabError."""
    command = [
        str(tools.mariadb_install_db),
        "--no-defaults",
        "--user=root",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        f"--datadir={data}",
    ]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired as error:
        shutil.rmtree(data, ignore_errors=True)
        raise LabError(f"mariadb-install-db did not end within {INSTALL_SECONDS:.0f} s") from error
    if result.returncode != 0:
        shutil.rmtree(data, ignore_errors=True)
        raise LabError(f"mariadb-install-db ended with {result.returncode}: {result.stderr[-2000:]}")


def _schema(login: Login) -> list[str]:
    """A service's schema, and who uses it."""
    return [
        f"CREATE DATABASE IF NOT EXISTS {login.name} CHARACTER SET utf8mb4",
        f"CREATE OR REPLACE USER '{login.user}'@'%' IDENTIFIED BY '{login.password}'",
        f"GRANT {_APPLICATION_RIGHTS} ON {login.name}.* TO '{login.user}'@'%'",
    ]


def connect(login: Login, *, timeout: float = 5.0) -> pymysql.connections.Connection[pymysql.cursors.Cursor]:
    """A connection with autocommit; `timeout` in seconds for connecting and for each answer.

    Raises pymysql.MySQLError or OSError.
    """
    connection: pymysql.connections.Connection[pymysql.cursors.Cursor] = pymysql.connect(
        host=login.host,
        port=login.port,
        user=login.user,
        password=login.password,
        database=login.name,
        unix_socket=login.unix_socket,
        autocommit=True,
        connect_timeout=max(1, int(timeout)),
        read_timeout=timeout,
        write_timeout=timeout,
        ssl={"ca": login.ca} if login.ca and not login.unix_socket else None,
    )
    return connection
