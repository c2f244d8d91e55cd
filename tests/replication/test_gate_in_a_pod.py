"""The gate driven through a command in its pod: the same command against a real HAProxy on loopback."""

from __future__ import annotations

import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from components.traffic_gate import GateRoute, haproxy_configuration, park_script, state_map
from cutover.database_move.gates import bridge
from cutover.errors import StepError
from cutover.gate import GateInstance, Gates, PodChannel
from lab.replication.mariadb import LOOPBACK, free_port
from lab.setup import find_program


class LocalCommand:
    """A command as a process of this machine. Implements ports.PodCommand."""

    def __init__(self, argv: tuple[str, ...]) -> None:
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)

    def read(self, seconds: float) -> bytes:
        output = self._process.stdout
        assert output is not None
        if not select.select([output], [], [], seconds)[0]:
            return b""
        if not (found := output.read(65536)):
            raise StepError("the command has ended")
        return found

    def close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process.kill()
        self._process.wait()


@contextmanager
def haproxy(folder: Path) -> Iterator[int]:
    """One that runs; the port of its runtime API."""
    port = free_port()
    route = GateRoute("boss", free_port(), f"{LOOPBACK}:1", f"{LOOPBACK}:2")
    text = haproxy_configuration(
        [route],
        folder=str(folder),
        address=LOOPBACK,
        runtime_port=port,
        ready_port=free_port(),
        dns=False,
    )
    (folder / "haproxy.cfg").write_text(text)
    (folder / "park.lua").write_text(park_script(f"{folder}/state.map"))
    (folder / "state.map").write_text(state_map("source"))
    program = find_program("haproxy")
    assert program is not None
    process = subprocess.Popen([str(program), "-db", "-f", str(folder / "haproxy.cfg")])
    try:
        yield port
    finally:
        process.kill()
        process.wait()


def opened(port: int, folder: Path) -> GateInstance:
    """Once it answers."""
    for _ in range(100):
        try:
            return GateInstance("the gate", lambda: PodChannel(LocalCommand(bridge(port))), str(folder))
        except StepError:
            continue
    raise AssertionError("the gate never answered")


def test_it_is_closed_and_opened_through_a_command_in_its_pod(tmp_path: Path) -> None:
    with haproxy(tmp_path) as port, Gates([opened(port, tmp_path)]) as gates:
        assert [(state.closed, state.side) for state in gates.states()] == [(False, "source")]
        gates.park(1.0)
        assert gates.states()[0].closed
        gates.let_through("target")
        assert [(state.closed, state.side) for state in gates.states()] == [(False, "target")]


def test_a_gate_that_ends_is_an_error_and_not_a_wait(tmp_path: Path) -> None:
    with haproxy(tmp_path) as port:
        instance = opened(port, tmp_path)
    with pytest.raises(StepError):
        instance.state()
    instance.disconnect()
