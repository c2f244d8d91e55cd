"""A Redis on loopback, for tests."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from cutover.errors import StepError
from cutover.transfer.redis_server import RedisServer
from lab.kubernetes.certificates import Authority
from lab.replication.mariadb import LOOPBACK, PASSWORD, free_port
from lab.setup import find_program
from lab.world import LabError

START_SECONDS = 30.0
USER = "landfall"


@dataclass
class RedisDb:
    """One server; `options` as on its command line. Its data stays between `stop` and `start`."""

    name: str
    folder: Path
    options: tuple[str, ...] = ()
    authority: Authority | None = None
    """With it, it takes TLS and the user `landfall` alone, as a managed one does."""
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def server(self) -> RedisServer:
        """How to connect to it."""
        if self.authority is None:
            return RedisServer(self.name, LOOPBACK, self.port, "", PASSWORD)
        return RedisServer(self.name, LOOPBACK, self.port, USER, PASSWORD, tls=True, ca=str(self.ca))

    @property
    def ca(self) -> Path:
        """The file of the authority that signed its certificate."""
        return self.folder / "ca.pem"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        program = find_program("redis-server")
        if program is None:
            raise LabError("redis-server is not installed: run `python3 -m lab.setup`")
        configuration = self.folder / "redis.conf"
        configuration.touch(mode=0o600)
        lines = [f"bind {LOOPBACK}", f"dir {self.folder}", *self._access()]
        configuration.write_text("\n".join([*lines, "save ''", *self.options]) + "\n")
        self._process = subprocess.Popen([str(program), str(configuration)], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise LabError(f"the Redis {self.name} does not answer")
            time.sleep(0.05)

    def _access(self) -> list[str]:
        if self.authority is None:
            return [f"port {self.port}", f"requirepass {PASSWORD}"]
        if not self.ca.exists():
            self.ca.write_bytes(self.authority.certificate)
            self.authority.server(self.name, [LOOPBACK]).write(self.folder, "server")
        return [
            *("port 0", f"tls-port {self.port}", "tls-auth-clients no", f"tls-ca-cert-file {self.ca}"),
            *(f"tls-cert-file {self.folder}/server.crt", f"tls-key-file {self.folder}/server.key"),
            *("user default off", f"user {USER} on >{PASSWORD} ~* &* +@all"),
        ]

    def stop(self) -> None:
        """Ends it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(START_SECONDS)
            self._process = None

    def kill(self) -> None:
        """Ends it at once, as a lost machine does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_SECONDS)
            self._process = None

    def _answers(self) -> bool:
        try:
            with self.server().open() as store:
                return bool(store.call("PING"))
        except StepError:
            return False
