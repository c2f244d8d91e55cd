"""The new cloud's managed MySQL (RDS), a MariaDB at an address of its own in the AWS network.

It starts once `pulumi up` has declared it, with the administrator that RDS keeps in Secrets Manager. It
answers under the name that the RDS API gives it, which public DNS resolves to its private address, as RDS's
names do.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import pymysql

from lab.database import ADMINISTRATOR_RIGHTS, PORT, SCHEMA, Login, Tls, connect, install
from lab.setup import Tools
from lab.supervisor import Supervisor
from lab.topology import AWS, TARGET_DATABASE
from lab.world import World

PROCESS = "aws-rds"
_CONFIGURATION = """\
[mariadbd]
user = root
datadir = {data}
socket = {socket}
pid_file = {folder}/mariadb.pid
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
# what the environment's parameter group says
log_bin_trust_function_creators = ON
require_secure_transport = ON
server_id = 40
# its own transactions are told apart from those that it applies
gtid_domain_id = 40
log_bin = {data}/binlog
binlog_format = ROW
binlog_row_image = FULL
gtid_strict_mode = ON
log_slave_updates = ON
binlog_expire_logs_seconds = 86400
ssl_cert = {certificate}
ssl_key = {key}
"""
# What RDS offers by procedures is the statements themselves here.
_REPLICA_RIGHTS = "REPLICATION SLAVE ADMIN, SLAVE MONITOR, SET USER"


class AwsDatabase:
    """The managed database of the new cloud; its operator's password is new in each lab."""

    def __init__(self, world: World, supervisor: Supervisor, tools: Tools, folder: Path, tls: Tls) -> None:
        """`folder`: where its data is kept, made by `start`."""
        self._world = world
        self._supervisor = supervisor
        self._tools = tools
        self._folder = folder.resolve()
        self._tls = tls
        self._socket = self._folder / "mariadb.sock"
        self.operator = Login(
            "localhost", PORT, SCHEMA, "root", secrets.token_urlsafe(18), unix_socket=str(self._socket)
        )
        """The cloud's own access, by a socket that every host of the lab sees: for the lab's judge."""

    def start(self, user: str, password: str) -> None:
        """Installs it if it is absent and starts it, with its administrator. Raises LabError."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self._folder / "tmp").mkdir(exist_ok=True, mode=0o700)
        data = self._folder / "data"
        if not data.exists():
            install(self._tools, data)
        init = self._folder / "init.sql"
        init.touch(mode=0o600)
        statements = [
            "SET SESSION sql_log_bin = 0",
            f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{self.operator.password}'",
            f"CREATE DATABASE IF NOT EXISTS {SCHEMA} CHARACTER SET utf8mb4",
            f"CREATE OR REPLACE USER '{user}'@'%' IDENTIFIED BY '{password}'",
            f"GRANT {ADMINISTRATOR_RIGHTS}, {_REPLICA_RIGHTS} ON *.* TO '{user}'@'%' WITH GRANT OPTION",
        ]
        init.write_text("".join(f"{statement};\n" for statement in statements), encoding="utf-8")
        configuration = self._folder / "mariadb.cnf"
        configuration.write_text(
            _CONFIGURATION.format(
                data=data,
                socket=self._socket,
                folder=self._folder,
                init=init,
                address=TARGET_DATABASE,
                port=PORT,
                certificate=self._tls.certificate,
                key=self._tls.key,
            ),
            encoding="utf-8",
        )
        self._world.address(AWS.host, TARGET_DATABASE)
        self._supervisor.start(
            PROCESS,
            [str(self._tools.mariadbd), f"--defaults-file={configuration}"],
            host=AWS.host,
            ready=self._answers,
        )

    def _answers(self) -> bool:
        try:
            connect(self.operator).close()
        except (pymysql.MySQLError, OSError):
            return False
        return True
