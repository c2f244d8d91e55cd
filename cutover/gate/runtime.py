"""Driving the gate over HAProxy's runtime API: one connection an instance, kept open."""

from __future__ import annotations

import csv
import io
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol, Self

from cutover.errors import StepError, StepTimeoutError
from cutover.ports import PodCommand

Side = Literal["source", "target"]
CALL_SECONDS = 5.0
_PROMPT = b"\n> "


@dataclass(frozen=True)
class GateState:
    """What an instance does with requests."""

    closed: bool
    side: Side


class Channel(Protocol):
    """A connection to HAProxy's runtime API. Methods raise OSError or StepError."""

    def send(self, data: bytes) -> None:
        """Gives it a command."""

    def receive(self) -> bytes:
        """What it says next; waits for it at most `CALL_SECONDS`."""

    def close(self) -> None:
        """Ends the connection."""


class SocketChannel:
    """Where the API's port can be reached. Implements Channel."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=CALL_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        """See Channel."""
        self._socket.sendall(data)

    def receive(self) -> bytes:
        """See Channel."""
        if not (piece := self._socket.recv(65536)):
            raise ConnectionError("it closed the connection")
        return piece

    def close(self) -> None:
        """See Channel."""
        self._socket.close()


class PodChannel:
    """Through a command in the gate's own pod, as its API listens on loopback alone. Implements Channel."""

    def __init__(self, command: PodCommand) -> None:
        self._command = command

    def send(self, data: bytes) -> None:
        """See Channel."""
        self._command.write(data)

    def receive(self) -> bytes:
        """See Channel."""
        if not (piece := self._command.read(CALL_SECONDS)):
            raise TimeoutError(f"no answer within {CALL_SECONDS:g} s")
        return piece

    def close(self) -> None:
        """See Channel."""
        self._command.close()


class GateInstance:
    """One HAProxy. Methods raise StepError."""

    def __init__(self, place: str, open_channel: Callable[[], Channel], folder: str) -> None:
        """`place`: what it is called in messages."""
        self._place = place
        self._map = f"{folder}/state.map"
        self._open_channel = open_channel
        self._channel: Channel | None = None
        self._connect()

    @classmethod
    def at(cls, host: str, port: int, *, folder: str) -> Self:
        """One whose runtime API can be reached. Raises StepError."""
        return cls(f"the gate at {host}:{port}", lambda: SocketChannel(host, port), folder)

    def state(self) -> GateState:
        """What it does now."""
        found = dict(
            line.split()[1:3] for line in self._call(f"show map {self._map}").splitlines() if line.strip()
        )
        side: Side = "target" if found.get("side") == "target" else "source"
        if found.get("side") not in ("source", "target") or found.get("gate") not in ("open", "closed"):
            raise StepError(f"{self._place} has no state that is understood: {found}")
        return GateState(found["gate"] == "closed", side)

    def close_gate(self) -> None:
        """From now on new requests are held."""
        self._set("gate", "closed")

    def open_gate(self, side: Side) -> None:
        """Lets requests through to a side, those that are held first."""
        self._set("side", side)
        self._set("gate", "open")

    def in_flight(self) -> int:
        """How many requests are with the services behind the gate."""
        rows = csv.DictReader(io.StringIO(self._call("show stat -1 2 -1").removeprefix("# ")))
        return sum(int(row["scur"]) for row in rows)

    def disconnect(self) -> None:
        """Ends the connection to the runtime API; the gate stays as it is."""
        if self._channel is None:
            return
        # asked to, HAProxy ends it at once; a command in a pod may outlive us, and hold up the gate's own end
        with suppress(OSError, StepError):
            self._channel.send(b"quit\n")
        self._channel.close()
        self._channel = None

    def _set(self, key: str, value: str) -> None:
        if answer := self._call(f"set map {self._map} {key} {value}").strip():
            raise StepError(f"{self._place} did not take {key} = {value}: {answer}")

    def _connect(self) -> Channel:
        try:
            self._channel = self._open_channel()
        except OSError as error:
            raise StepError(f"{self._place} does not answer: {error}") from error
        # In this mode the connection stays open and every answer ends with a prompt.
        self._ask(self._channel, "prompt")
        self._ask(self._channel, "set timeout cli 1h")
        return self._channel

    def _call(self, command: str) -> str:
        """Whatever failed on a connection, the next command is sent on a new one."""
        return self._ask(self._channel or self._connect(), command)

    def _ask(self, channel: Channel, command: str) -> str:
        try:
            channel.send(f"{command}\n".encode())
            return _read(channel)
        except (OSError, StepError) as error:
            self._channel = None
            channel.close()
            raise StepError(f"{self._place} did not answer `{command}`: {error}") from error


def _read(channel: Channel) -> str:
    data = b""
    while not data.endswith(_PROMPT):
        data += channel.receive()
    return data.removesuffix(_PROMPT).decode()


class NoGates:
    """Where nothing can hold requests: they meet the fence, and those that write are refused."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def states(self) -> tuple[GateState, ...]:
        """See Gates."""
        return ()

    def park(self, seconds: float) -> float:  # noqa: ARG002 - the interface of Gates
        """Nothing is held: 0 ms."""
        return 0.0

    def let_through(self, side: Side) -> float:  # noqa: ARG002 - the interface of Gates
        """Nothing was held: 0 ms."""
        return 0.0


class Gates:
    """All instances of the gate, driven as one."""

    def __init__(self, instances: Sequence[GateInstance]) -> None:
        if not instances:
            raise StepError("there is no gate to close: none of its pods is ready")
        self._instances = tuple(instances)
        self._executor = ThreadPoolExecutor(len(self._instances)) if len(self._instances) > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for instance in self._instances:
            instance.disconnect()
        if self._executor is not None:
            self._executor.shutdown()

    def states(self) -> tuple[GateState, ...]:
        """What each instance does."""
        return tuple(instance.state() for instance in self._instances)

    def park(self, seconds: float) -> float:
        """Holds new requests, and waits until those in flight have got their answers.

        Returns:
            How many milliseconds that took.

        Raises:
            StepTimeoutError: some request did not end in time. The gate stays closed until `let_through`.
            StepError: an instance could not be closed.
        """
        begun = time.monotonic()
        self._each(GateInstance.close_gate)
        while left := sum(instance.in_flight() for instance in self._instances):
            if time.monotonic() - begun > seconds:
                raise StepTimeoutError(
                    f"{left} requests are still being answered {seconds:g} s after the gate was closed"
                )
            time.sleep(0.0005)
        return (time.monotonic() - begun) * 1000

    def let_through(self, side: Side) -> float:
        """Lets requests through to a side; returns how many milliseconds it took. Raises StepError."""
        begun = time.monotonic()
        self._each(lambda instance: instance.open_gate(side))
        return (time.monotonic() - begun) * 1000

    def _each(self, what: Callable[[GateInstance], None]) -> None:
        """On all instances at once; all are tried before an error is raised."""
        if self._executor is None:
            what(self._instances[0])
            return
        jobs = [self._executor.submit(what, instance) for instance in self._instances]
        errors = [error for job in jobs if (error := job.exception()) is not None]
        if errors:
            raise errors[0]
