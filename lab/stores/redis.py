"""A Redis on loopback, for tests."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from cutover.errors import StepError
from cutover.transfer.redis_server import RedisServer
from lab.replication.mariadb import LOOPBACK, PASSWORD, free_port
from lab.setup import find_program
from lab.world import LabError

START_SECONDS = 30.0


@dataclass
class RedisDb:
    """One server; `options` as on its command line. Its data stays between `stop` and `start`."""

    name: str
    folder: Path
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    def server(self) -> RedisServer:
        """How to connect to it."""
        return RedisServer(self.name, LOOPBACK, self.port, "", PASSWORD)

    def start(self) -> None:
        """Starts it and waits until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        program = find_program("redis-server")
        if program is None:
            raise LabError("redis-server is not installed: run `python3 -m lab.setup`")
        configuration = self.folder / "redis.conf"
        configuration.touch(mode=0o600)
        lines = [f"bind {LOOPBACK}", f"port {self.port}", f"dir {self.folder}", f"requirepass {PASSWORD}"]
        configuration.write_text("\n".join([*lines, "save ''", *self.options]) + "\n")
        self._process = subprocess.Popen([str(program), str(configuration)], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise LabError(f"the Redis {self.name} does not answer")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(START_SECONDS)
            self._process = None

    def _answers(self) -> bool:
        try:
            with self.server().open() as store:
                return bool(store.call("PING"))
        except StepError:
            return False
