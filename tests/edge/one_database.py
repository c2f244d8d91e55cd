"""Run in a world by test_database: the Huawei RDS, and who reaches it when."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from lab import topology
from lab.database import HuaweiDatabase, Login, Tls, connect
from lab.kubernetes.certificates import Authority
from lab.setup import find_tools
from lab.supervisor import Supervisor
from lab.world import WORLD, World

ATTEMPT = """
import json, sys, pymysql
address, source, ca = sys.argv[2], sys.argv[3] or None, sys.argv[4] or None
login = json.load(open(sys.argv[1]))
try:
    with pymysql.connect(
        host=address, user=login["user"], password=login["password"], database=login["name"],
        connect_timeout=2, bind_address=source, ssl={"ca": ca} if ca else None, ssl_disabled=ca is None,
    ) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        print("TLS" if cursor.fetchone()[1] else "connected")
except pymysql.MySQLError as error:
    print("timed out" if "timed out" in str(error) else error)
"""


class Scenario:
    """The database with its network, and attempts to connect from elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = World(folder)
        self.supervisor = Supervisor(self.world)
        topology.build(self.world)
        authority = Authority("lab")
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(authority.certificate)
        names = [topology.DATABASE_NAME, topology.DATABASE_EIP, topology.DATABASE_INTERNAL]
        certificate, key = authority.server(topology.DATABASE_NAME, names).write(folder, "rds")
        tls = Tls(certificate, key, self.ca)
        self.database = HuaweiDatabase(self.world, self.supervisor, find_tools(), folder / "rds", tls)

    def attempt(self, host: str, address: str, login: Login, *, source: str = "", tls: bool = False) -> str:
        """What a connection from `host` to `address` comes to."""
        path = login.write(self.folder / "attempt.json")
        code = [sys.executable, "-c", ATTEMPT, str(path), address, source, str(self.ca) if tls else ""]
        result = subprocess.run(
            self.world.command(host, code), capture_output=True, text=True, timeout=30, check=True
        )
        return result.stdout.strip()

    def resolve(self) -> list[str]:
        """What the private name is in the two clouds."""
        records = self.folder / "records.json"
        entry = {"name": topology.DATABASE_NAME, "content": topology.DATABASE_INTERNAL}
        records.write_text(json.dumps({"records": [entry]}))
        resolver = [
            sys.executable,
            "-m",
            "lab.dns",
            "--records",
            str(records),
            "--upstream",
            topology.PUBLIC_DNS,
        ]
        self.supervisor.start("vpc-dns", [*resolver, "--listen", topology.HUAWEI.node], host="huawei")
        zones, token = self.folder / "zones.json", self.folder / "token"
        zones.write_text(json.dumps({"zones": [{"name": "truewatch.com"}]}))
        token.write_text("token")
        listen = ["--listen", topology.CLOUDFLARE_API, "--dns", topology.PUBLIC_DNS]
        files = ["--zones", str(zones), "--token-file", str(token)]
        self.supervisor.start("cloudflare", [sys.executable, "-m", "lab.cloudflare", *listen, *files])
        look_up = f"import socket; print(socket.gethostbyname({topology.DATABASE_NAME!r}))"
        retry = f'for i in 1 2 3 4 5 6 7 8 9; do {sys.executable} -c "{look_up}" && break; sleep 1; done'
        found = []
        for host, command in (("huawei", retry), ("aws", f'{sys.executable} -c "{look_up}" || true')):
            result = subprocess.run(
                self.world.command(host, ["sh", "-c", command]),
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            found.append(result.stdout.strip())
        return found


def main(folder: Path) -> None:
    """Prints what was seen as one line of JSON."""
    scenario = Scenario(folder)
    database, eip, user = scenario.database, topology.DATABASE_EIP, topology.USERS
    boss = database.application
    database.start()
    seen: dict[str, object] = {
        "inside": scenario.attempt("huawei", topology.DATABASE_INTERNAL, boss),
        "inside with TLS": scenario.attempt("huawei", topology.DATABASE_INTERNAL, boss, tls=True),
        "before the EIP": scenario.attempt(WORLD, eip, boss, source=user),
    }
    database.bind_eip()
    database.bind_eip()
    seen["nobody admitted"] = scenario.attempt(WORLD, eip, boss, source=user)
    database.allow(user)
    database.allow(user)
    seen["admitted"] = scenario.attempt(WORLD, eip, boss, source=user)
    seen["admitted with TLS"] = scenario.attempt(WORLD, eip, boss, source=user, tls=True)
    seen["another source"] = scenario.attempt(WORLD, eip, boss, source=topology.AWS_API)
    seen["internal address from outside"] = scenario.attempt(
        WORLD, topology.DATABASE_INTERNAL, boss, source=user
    )
    database.revoke(user)
    database.revoke(user)
    seen["revoked"] = scenario.attempt(WORLD, eip, boss, source=user)
    database.allow(user)
    database.release_eip()
    database.release_eip()
    seen["released"] = scenario.attempt(WORLD, eip, boss, source=user)
    database.bind_eip()
    seen["bound again"] = scenario.attempt(WORLD, eip, boss, source=user)
    with connect(database.operator) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW GRANTS FOR root@'%'")
        seen["administrator"] = cursor.fetchall()[0][0]
        cursor.execute("SELECT @@sync_binlog, @@innodb_flush_log_at_trx_commit, @@binlog_format, @@log_bin")
        seen["durability"] = cursor.fetchone()
        cursor.execute("CREATE TABLE boss.kept (id INT)")
    database.stop()
    database.start()
    with connect(database.operator) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        seen["after a restart"] = [name for (name,) in cursor.fetchall()]
    seen["after a restart, inside"] = scenario.attempt("huawei", topology.DATABASE_INTERNAL, boss)
    passwords = [login.password for login in (boss, database.administrator, database.operator)]
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, timeout=10, check=True)
    logs = "".join(path.read_text() for path in (folder / "logs").iterdir())
    seen["leaked"] = any(password in processes.stdout + logs for password in passwords)
    seen["resolved"] = scenario.resolve()
    scenario.supervisor.check()
    scenario.supervisor.stop_all()
    sys.stdout.write(json.dumps(seen) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
