"""The new cloud's managed MySQL (RDS), a MariaDB at an address of its own in the AWS network.

It starts once `pulumi up` has declared it, with the administrator that RDS keeps in Secrets Manager. It
answers under the name that the RDS API gives it, which public DNS resolves to its private address, as RDS's
names do.
"""

from __future__ import annotations

from pathlib import Path

from lab.database import ADMINISTRATOR_RIGHTS, SCHEMA, ManagedServer, Tls
from lab.setup import Tools
from lab.supervisor import Supervisor
from lab.topology import AWS, TARGET_DATABASE
from lab.world import World

PROCESS = "aws-rds"
_OPTIONS = (
    # what the environment's parameter group says
    "log_bin_trust_function_creators = ON",
    "require_secure_transport = ON",
    # its own transactions are told apart from those that it applies
    "gtid_domain_id = 40",
)
# What RDS offers by procedures is the statements themselves here.
_REPLICA_RIGHTS = "REPLICATION SLAVE ADMIN, SLAVE MONITOR, SET USER"


class AwsDatabase:
    """The managed database of the new cloud; its operator's password is new in each lab."""

    def __init__(self, world: World, supervisor: Supervisor, tools: Tools, folder: Path, tls: Tls) -> None:
        """`folder`: where its data is kept, made by `start`."""
        self._world = world
        self._server = ManagedServer(PROCESS, AWS.host, supervisor, tools, folder)
        self._tls = tls
        self.operator = self._server.operator

    def start(self, user: str, password: str) -> None:
        """Installs it if it is absent and starts it, with its administrator. Raises LabError."""
        statements = (
            f"CREATE DATABASE IF NOT EXISTS {SCHEMA} CHARACTER SET utf8mb4",
            f"CREATE OR REPLACE USER '{user}'@'%' IDENTIFIED BY '{password}'",
            f"GRANT {ADMINISTRATOR_RIGHTS}, {_REPLICA_RIGHTS} ON *.* TO '{user}'@'%' WITH GRANT OPTION",
        )
        self._world.address(AWS.host, TARGET_DATABASE)
        self._server.start(
            address=TARGET_DATABASE, server_id=40, tls=self._tls, statements=statements, options=_OPTIONS
        )
