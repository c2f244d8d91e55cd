"""MariaDB servers on loopback, with certificates: for tests and benchmarks of what is done to databases."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cutover.mysql import DatabaseError, Server, Session
from lab.kubernetes.certificates import Authority
from lab.setup import find_program
from lab.world import LabError

LOOPBACK = "127.0.0.1"
START_SECONDS = 60.0
_PORTS = (15_000, 32_000)
"""Below those that Linux takes for outgoing connections."""
PASSWORD = "a-password-of-the-tests"
"""Of the accounts `owner` (all rights), `app` (what an application has) and `replica`."""
SCHEMA = "boss"
_USERS = ("owner", "app", "replica")
RIGHTS = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP, REFERENCES, TRIGGER, EXECUTE"


def free_port() -> int:
    """A port that nobody listens on, and that the kernel gives to no outgoing connection meanwhile."""
    while True:
        port = random.SystemRandom().randrange(*_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port


@dataclass
class MariaDb:
    """One server. Its data stays between `stop` and `start`."""

    name: str
    number: int
    folder: Path
    authority: Authority
    options: Sequence[str] = ()
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def ca(self) -> Path:
        """The file of the authority that signed its certificate."""
        return self.folder / "ca.pem"

    def server(self, user: str = "owner") -> Server:
        """How to connect to it."""
        return Server(self.name, LOOPBACK, self.port, user, PASSWORD, ca=str(self.ca))

    def session(self, schema: str | None = SCHEMA) -> Session:
        """A session with all rights."""
        return self.server().connect(schema)

    def start(self) -> None:
        """Starts it and waits until it answers."""
        if not (self.folder / "data").exists():
            self._install()
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [_program("mariadbd"), *self._arguments()], stdout=subprocess.DEVNULL, stderr=log
            )
        self._process = process
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                tail = (self.folder / "log").read_text()[-2000:]
                raise LabError(f"the MariaDB {self.name} does not answer:\n{tail}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(START_SECONDS)
            self._process = None

    def kill(self) -> None:
        """Ends it as a loss of power does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_SECONDS)
            self._process = None

    @contextmanager
    def hanging(self) -> Iterator[Callable[[], None]]:
        """What it gives stops the process, which then ends no connection either; it goes on at the end."""
        process = self._process
        if process is None:
            raise LabError(f"the MariaDB {self.name} does not run")
        try:
            yield lambda: process.send_signal(signal.SIGSTOP)
        finally:
            process.send_signal(signal.SIGCONT)

    def reset(self, schema: str) -> None:
        """Makes the schema empty, ends replication and takes back what a test may have set."""
        with self.session(None) as session:
            session.execute("SET GLOBAL read_only = 0")
            session.execute("STOP SLAVE")
            session.execute("RESET SLAVE ALL")
            session.execute("SET SESSION sql_log_bin = 0")
            session.execute(f"DROP DATABASE IF EXISTS {schema}")
            session.execute(f"CREATE DATABASE {schema} CHARACTER SET utf8mb4")
            for (name,) in session.rows(
                "SELECT User FROM mysql.user WHERE Host = '%%' AND User NOT IN %s", (_USERS,)
            ):
                session.execute(f"DROP USER `{name}`@'%'")
            for user in ("app", "replica"):
                session.execute(f"ALTER USER {user}@'%' ACCOUNT UNLOCK")
            session.execute("REVOKE ALL PRIVILEGES, GRANT OPTION FROM app@'%'")
            session.execute(f"GRANT {RIGHTS} ON {schema}.* TO app@'%'")
            session.execute("RESET MASTER")
            session.execute("SET GLOBAL gtid_slave_pos = ''")

    def _install(self) -> None:
        (self.folder / "temporary").mkdir(parents=True)
        self.ca.write_bytes(self.authority.certificate)
        self.authority.server(self.name, [LOOPBACK]).write(self.folder, "server")
        accounts = [
            "SET SESSION sql_log_bin = 0",
            f"CREATE DATABASE {SCHEMA} CHARACTER SET utf8mb4",
            f"CREATE USER owner@'%' IDENTIFIED BY '{PASSWORD}'",
            "GRANT ALL ON *.* TO owner@'%' WITH GRANT OPTION",
            f"CREATE USER app@'%' IDENTIFIED BY '{PASSWORD}'",
            f"GRANT {RIGHTS} ON {SCHEMA}.* TO app@'%'",
            f"CREATE USER replica@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL",
            "GRANT REPLICATION SLAVE ON *.* TO replica@'%'",
        ]
        init = self.folder / "init.sql"
        init.write_text("".join(f"{statement};\n" for statement in accounts))
        subprocess.run(
            [
                _program("mariadb-install-db"),
                "--no-defaults",
                "--user=root",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                f"--datadir={self.folder}/data",
                f"--tmpdir={self.folder}/temporary",
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        subprocess.run(
            [_program("mariadbd"), *self._arguments(), "--bootstrap", "--skip-log-bin"],
            check=True,
            capture_output=True,
            timeout=120,
            input=f"FLUSH PRIVILEGES;\n{init.read_text()}".encode(),
        )

    def _arguments(self) -> list[str]:
        return [
            "--no-defaults",
            "--user=root",
            f"--datadir={self.folder}/data",
            # of its own: at its start a server removes temporary tables there, also those of other servers
            f"--tmpdir={self.folder}/temporary",
            f"--socket={self.folder}/s",
            f"--pid-file={self.folder}/pid",
            f"--bind-address={LOOPBACK}",
            f"--port={self.port}",
            f"--server-id={self.number}",
            "--skip-name-resolve",
            "--innodb-log-file-size=16M",
            "--innodb-buffer-pool-size=128M",
            f"--log-bin={self.folder}/data/binlog",
            "--binlog-format=ROW",
            "--gtid-strict-mode=ON",
            "--log-slave-updates=ON",
            "--character-set-server=utf8mb4",
            f"--ssl-cert={self.folder}/server.crt",
            f"--ssl-key={self.folder}/server.key",
            f"--ssl-ca={self.ca}",
            *self.options,
        ]

    def _answers(self) -> bool:
        try:
            self.session(None).close()
        except DatabaseError:
            return False
        return True


def _program(name: str) -> str:
    path = find_program(name)
    if path is None:
        raise LabError(f"{name} is not installed: run `python3 -m lab.setup`")
    return str(path)
