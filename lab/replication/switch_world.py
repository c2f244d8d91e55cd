"""A small world around a database switch: two databases, BOSS before each, the gate, and clients."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from components.traffic_gate import GateRoute, haproxy_configuration, park_script, state_map
from cutover.fence import Exempt, ReadOnlyFence
from cutover.gate import GateInstance, Gates
from cutover.mysql import Server, binlog_position
from cutover.replication import DmsReplication, NativeReplication, ReplicationUser
from cutover.switching import DatabaseEnd, DmsDrain, Limits, NativeDrain, Switch, SwitchRecord, Way, recover
from cutover.switching.end import Side
from lab.kubernetes.certificates import Authority
from lab.replication.mariadb import LOOPBACK, PASSWORD, SCHEMA, MariaDb, free_port
from lab.setup import find_program
from lab.world import LabError

START_SECONDS = 60.0
RESTART_SECONDS = 2.0
"""What BOSS gets to end when it is restarted."""
POSITION = "SELECT @@GLOBAL.gtid_binlog_pos"
USER = ReplicationUser("replica", PASSWORD)
LIMITS = Limits(park=5.0, fence=3.0, drain=10.0, compare=5.0, total=20.0)


@dataclass(frozen=True)
class Request:
    """One request of a client, and its answer."""

    kind: str
    id: str
    begun: float
    ended: float
    status: int

    @property
    def good(self) -> bool:
        """Whether it was answered with success."""
        return 200 <= self.status < 300


class SwitchWorld:
    """All of it as processes on loopback; they end with the context."""

    def __init__(self, folder: Path, options: Sequence[str] = ()) -> None:
        """`options`: further ones of both databases."""
        self.folder = folder
        self._open = ExitStack()
        authority = Authority("switch")
        # The binlog is as durable as a managed database's: a commit that was answered survives.
        options = ("--sync-binlog=1", "--innodb-flush-log-at-trx-commit=1", *options)
        self.source = MariaDb("source", 1, folder / "source", authority, options)
        self.target = MariaDb("target", 2, folder / "target", authority, options)
        self.gate_port, self.runtime_port = free_port(), free_port()
        self.via: dict[str, int] = {}
        """By which ports whoever switches reaches `source`, `target` and `gate`, where not by their own."""
        self.gate_folder = folder / "gate"
        self._runs = 0
        self._dms: dict[Side, DmsReplication] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._restarted: subprocess.Popen[bytes] | None = None
        self._redis = 0
        self._ports: dict[str, int] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for database in (self.source, self.target):
            database.start()
            self._open.callback(database.stop)
            database.reset(SCHEMA)
        with self.target.session(None) as session:
            session.execute("SET GLOBAL read_only = 1")
        self.forward().set_up()
        self.forward().start()
        redis = self._redis = free_port()
        self._process(
            "redis", [_program("redis-server"), "--bind", LOOPBACK, "--port", str(redis), "--save", ""]
        )
        ports = self._ports = {"source": free_port(), "target": free_port()}
        self._boss("source", ports["source"], self.source, redis)
        _wait("BOSS on the source", lambda: _answers(ports["source"], "/readyz"))
        self.forward().wait_applied(self.forward().position(), START_SECONDS)
        # The target has the tables now; the source follows it from here on, for the way back.
        self.reverse().set_up()
        self.reverse().start()
        self._boss("target", ports["target"], self.target, redis)
        _wait("BOSS on the target", lambda: _answers(ports["target"], "/readyz"))
        self._gate(ports)

    def forward(self) -> NativeReplication:
        """From the source to the target."""
        return NativeReplication(
            self.source.server(), self.target.server(), USER, origin_ca=str(self.source.ca), start=""
        )

    def reverse(self) -> NativeReplication:
        """From the target to the source."""
        return NativeReplication(
            self.target.server(), self.source.server(), USER, origin_ca=str(self.target.ca), start=""
        )

    def gates(self) -> Gates:
        """A connection to the gate."""
        port = self.via.get("gate", self.runtime_port)
        return Gates([GateInstance.at(LOOPBACK, port, folder=str(self.gate_folder))])

    def end(self, side: Side) -> DatabaseEnd:
        """One of the databases, for a switch."""
        server = self._server(side)
        return DatabaseEnd(side, server, ReadOnlyFence(server, (SCHEMA,), Exempt(("replica",))), POSITION)

    def _server(self, side: Side) -> Server:
        database = self.source if side == "source" else self.target
        return replace(database.server(), port=self.via.get(side, database.port))

    def way(self, gates: Gates, old: Side) -> Way:
        """From one database to the other."""
        new: Side = "target" if old == "source" else "source"
        replica = self._server(new)
        drain: NativeDrain | DmsDrain = NativeDrain(replica)
        if self._dms:
            drain = DmsDrain(self._dms[old], self.end(old).server, replica)
        return Way(gates, self.end(old), self.end(new), drain)

    def use_dms(self, forth: DmsReplication, back: DmsReplication, serving: Side) -> None:
        """From now on DMS's tasks carry the changes, of which one runs at a time; the native ones end.

        Both databases hold the same by then, and nobody writes: a task follows from where its origin stands.
        """
        for native in (self.forward(), self.reverse()):
            native.retire()
        self._dms = {"source": forth, "target": back}
        for task in (forth, back):
            task.set_up()
        with self.end(serving).server.connect() as session:
            position = str(binlog_position(session))
        self.turn_dms(serving, position)

    def turn_dms(self, serving: Side, position: str) -> None:
        """Lets the task run that leads away from the database that serves; `position` in its binlog."""
        task = self._dms[serving]
        other = self._dms["target" if serving == "source" else "source"]
        other.stop()
        task.start(position)

    def restart_boss(self, side: Side) -> None:
        """The document's own way: the services are told of a database, restarted, and looked at."""
        process = self._restarted or self._processes["boss-source"]
        # the gate goes on sending to it, as no cluster takes it out of a Service here: it would never be idle
        _end(process, RESTART_SECONDS)
        database = self.source if side == "source" else self.target
        self._restarted = self._boss("source", self._ports["source"], database, self._redis)
        _wait("BOSS after its restart", lambda: _answers(self._ports["source"], "/readyz"))

    def switch(
        self, way: Way, compare: Callable[[float], None] = lambda _seconds: None, limits: Limits = LIMITS
    ) -> Switch:
        """A switch that notes what it does in this world's folder."""
        return Switch(way, limits, SwitchRecord(self.record), compare=compare)

    @property
    def record(self) -> Path:
        """The file in which switches note what they do."""
        return self.folder / "switch.jsonl"

    def recover(self) -> str:
        """Ends what a switch away from the source has left, as its next runner does; see `recover`."""
        with self.gates() as gates, closing(self.way(gates, "source")) as way:
            return recover(self.record, way)

    def as_before(self) -> None:
        """The source serves, both directions replicate, and nothing is on record."""
        self.record.unlink(missing_ok=True)
        for database, read_only in ((self.target, 1), (self.source, 0)):
            with database.session(None) as session:
                session.execute("START SLAVE")
                session.execute(f"SET GLOBAL read_only = {read_only}")
        with self.gates() as gates:
            gates.let_through("source")

    def clients(self, rate: float, share: float) -> Clients:
        """Clients that begin to send requests through the gate."""
        self._runs += 1
        file = self.folder / f"requests-{self._runs}.jsonl"
        argv = ["-m", "lab.replication.load", str(self.gate_port), str(rate), str(share), str(file)]
        return Clients(self._process("clients", [sys.executable, *argv]), file)

    def written(self, side: Side) -> list[str]:
        """The ids of all records in a database, repeated ones repeated."""
        database = self.source if side == "source" else self.target
        with database.session() as session:
            return [str(client) for (client,) in session.rows("SELECT client_id FROM records")]

    def _boss(self, side: str, port: int, database: MariaDb, redis: int) -> subprocess.Popen[bytes]:
        variables = {
            "LISTEN_ADDRESS": LOOPBACK,
            "LISTEN_PORT": str(port),
            "POD_NAME": f"boss-{side}",
            "DATABASE_HOST": LOOPBACK,
            "DATABASE_PORT": str(database.port),
            "DATABASE_NAME": SCHEMA,
            "DATABASE_USER": "app",
            "DATABASE_PASSWORD": PASSWORD,
            "DATABASE_TLS_CA": str(database.ca),
            "DATABASE_CONNECTIONS": "8",
            "REDIS_HOST": LOOPBACK,
            "REDIS_PORT": str(redis),
            "DRAIN_SECONDS": "0.2",
        }
        code = "import sys; from lab.services.boss import main; sys.exit(main())"
        return self._process(f"boss-{side}", [sys.executable, "-c", code], variables)

    def _gate(self, ports: dict[str, int]) -> None:
        self.gate_folder.mkdir(exist_ok=True)
        route = GateRoute(
            "boss", self.gate_port, f"{LOOPBACK}:{ports['source']}", f"{LOOPBACK}:{ports['target']}"
        )
        folder = str(self.gate_folder)
        configuration = haproxy_configuration(
            [route],
            folder=folder,
            address=LOOPBACK,
            runtime_port=self.runtime_port,
            ready_port=free_port(),
            dns=False,
        )
        (self.gate_folder / "haproxy.cfg").write_text(configuration)
        (self.gate_folder / "park.lua").write_text(park_script(f"{folder}/state.map"))
        (self.gate_folder / "state.map").write_text(state_map("source"))
        self._process("gate", [_program("haproxy"), "-W", "-db", "-f", f"{folder}/haproxy.cfg"])
        _wait("the gate", lambda: _answers(self.gate_port, "/readyz"))

    def _process(
        self, name: str, argv: list[str], variables: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(variables or {})},
                cwd=Path(__file__).resolve().parents[2],
            )
        self._open.callback(_end, process)
        self._processes[name] = process
        return process


class Clients:
    """The clients' process, and what they saw."""

    def __init__(self, process: subprocess.Popen[bytes], file: Path) -> None:
        self._process = process
        self._file = file

    def stop(self) -> list[Request]:
        """Waits for the last answers; all requests in the order of their answers."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(START_SECONDS)
        lines = self._file.read_text(encoding="utf-8").splitlines()
        return sorted((Request(*json.loads(line)) for line in lines), key=lambda request: request.ended)


def _answers(port: int, path: str) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=2.0) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: boss\r\n\r\n".encode())
            return b" 200 " in connection.recv(1024).partition(b"\r\n")[0]
    except OSError:
        return False


def _wait(what: str, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise LabError(f"{what} was not ready within {START_SECONDS:g} s")
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes], seconds: float = 15.0) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _program(name: str) -> str:
    path = find_program(name)
    if path is None:
        raise LabError(f"{name} is not installed: run `python3 -m lab.setup`")
    return str(path)
