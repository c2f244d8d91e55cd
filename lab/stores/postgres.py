"""A PostgreSQL server on loopback, for tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from cutover.postgres import PostgresError, PostgresServer, PostgresSession
from lab.kubernetes.certificates import Authority
from lab.replication.mariadb import LOOPBACK, PASSWORD, free_port
from lab.setup import find_program
from lab.world import LabError

START_SECONDS = 60.0
USER = "landfall"
_ACCOUNT = "postgres"
"""The server refuses to run as root; Debian's package makes this account."""


def server_folder() -> Path:
    """Where Debian keeps the server's programs. Raises LabError where it is not installed."""
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True
    )
    if not versions:
        raise LabError("PostgreSQL is not installed: run `python3 -m lab.setup`")
    return versions[0]


@dataclass
class PostgresDb:
    """One server. Its data stays between `stop` and `start`."""

    name: str
    folder: Path
    """Where the server's account may go: not below a test's own folder, which is closed to others."""
    authority: Authority
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def server(self) -> PostgresServer:
        """How to connect to it, as its administrator."""
        return PostgresServer(self.name, LOOPBACK, self.port, USER, PASSWORD, ca=str(self.ca))

    @property
    def ca(self) -> Path:
        """The file of the authority that signed its certificate."""
        return self.folder / "ca.pem"

    def session(self, database: str = "system") -> PostgresSession:
        """A session with all rights."""
        return self.server().connect(database)

    def start(self) -> None:
        """Starts it and waits until it answers; it has a database `system`."""
        new = not (self.folder / "data").exists()
        if new:
            self._install()
        arguments = ["-D", f"{self.folder}/data", "-p", str(self.port), "-h", LOOPBACK, "-k", ""]
        for name, value in (("ssl", "on"), ("ssl_cert_file", "server.crt"), ("ssl_key_file", "server.key")):
            arguments += ["-c", f"{name}={value if value == 'on' else self.folder / value}"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_as_account(), str(server_folder() / "postgres"), *arguments, "-c", "fsync=off"],
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                tail = (self.folder / "log").read_text()[-2000:]
                raise LabError(f"the PostgreSQL {self.name} does not answer:\n{tail}")
            time.sleep(0.05)
        if new:
            with self.session("postgres") as session:
                session.execute("CREATE DATABASE system")

    def stop(self) -> None:
        """Ends it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(START_SECONDS)
            self._process = None

    def reset(self) -> None:
        """Makes the database `system` anew."""
        with self.session("postgres") as session:
            session.execute("DROP DATABASE IF EXISTS system WITH (FORCE)")
            session.execute("CREATE DATABASE system")

    def _install(self) -> None:
        self.folder.mkdir(parents=True)
        password = self.folder / "password"
        password.write_text(PASSWORD)
        self.ca.write_bytes(self.authority.certificate)
        self.authority.server(self.name, [LOOPBACK]).write(self.folder, "server")
        if os.geteuid() == 0:
            for path in (self.folder, password, self.folder / "server.crt", self.folder / "server.key"):
                shutil.chown(path, _ACCOUNT)
        subprocess.run(
            [
                *_as_account(),
                str(server_folder() / "initdb"),
                *("-D", f"{self.folder}/data", "-U", USER, f"--pwfile={password}", "-A", "scram-sha-256"),
                *("-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        password.unlink()
        with (self.folder / "data" / "pg_hba.conf").open("w") as rules:
            rules.write("hostssl all all 127.0.0.1/32 scram-sha-256\n")

    def _answers(self) -> bool:
        try:
            self.session("postgres").close()
        except PostgresError:
            return False
        return True


def _as_account() -> list[str]:
    if os.geteuid() != 0:
        return []
    runner = find_program("setpriv")
    if runner is None:
        raise LabError("setpriv is not installed: it is part of util-linux")
    return [str(runner), f"--reuid={_ACCOUNT}", f"--regid={_ACCOUNT}", "--init-groups", "--"]
