"""HAProxy in a pod, as far as its runtime API is used: a map, a count of requests, a prompt."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from cutover.errors import StepError


@dataclass(eq=False)
class GatePod:
    """One instance."""

    namespace: str
    name: str
    side: str = "source"
    closed: bool = False
    in_flight: int = 0

    def answer(self, command: str) -> str:
        """What the runtime API says to a line."""
        match command.split():
            case ["prompt"]:
                return "\n> "
            case ["set", "timeout", "cli", _]:
                return "\n> "
            case ["show", "map", _]:
                return f"0x1 gate {'closed' if self.closed else 'open'}\n0x2 side {self.side}\n\n> "
            case ["set", "map", _, "gate", value]:
                self.closed = value == "closed"
                return "\n> "
            case ["set", "map", _, "side", value]:
                self.side = value
                return "\n> "
            case ["show", "stat", *_]:
                return f"# pxname,svname,scur,\nservices,BACKEND,{self.in_flight},\n\n> "
        raise AssertionError(f"a simulated gate does not know: {command}")


class GateCommand:
    """The command in the gate's pod that leads to its runtime API. Implements ports.PodCommand."""

    def __init__(self, pod: GatePod, call: Callable[[str, Callable[[], str]], str]) -> None:
        """`call` carries a line out, or lets it fail."""
        self._pod, self._call = pod, call
        self._answer = b""
        self._ended = False

    def write(self, data: bytes) -> None:
        if self._ended:
            raise StepError(f"the command in {self._pod.name} has ended")
        line = data.decode().strip()
        if line == "quit":
            self._ended = True
            return
        name = re.sub(r" \S+/state.map", "", line)
        try:
            self._answer += self._call(name, lambda: self._pod.answer(line)).encode()
        except StepError:
            self._ended = True  # what was sent, and whether it came to an end, is not known any more
            raise

    def read(self, seconds: float) -> bytes:
        found, self._answer = self._answer, b""
        if not found and self._ended:
            raise StepError(f"the command in {self._pod.name} has ended")
        return found

    def close(self) -> None:
        self._ended = True
