"""The connection to a gate's runtime API: one that failed is not used again."""

from __future__ import annotations

import pytest

from cutover.errors import StepError
from cutover.gate import GateInstance


class FakeChannel:
    """A runtime API that answers with a prompt, until it breaks."""

    def __init__(self, opened: list[FakeChannel]) -> None:
        self.said: list[str] = []
        self.broken = self.closed = False
        opened.append(self)

    def send(self, data: bytes) -> None:
        self.said.append(data.decode().strip())

    def receive(self) -> bytes:
        if self.broken:
            raise TimeoutError("no answer within 5 s")
        return b"\n> "

    def close(self) -> None:
        self.closed = True


def test_what_failed_on_a_connection_is_sent_on_a_new_one() -> None:
    opened: list[FakeChannel] = []
    gate = GateInstance("the gate", lambda: FakeChannel(opened), "/etc/gate")
    opened[0].broken = True

    with pytest.raises(StepError, match="did not answer `set map"):
        gate.close_gate()
    assert opened[0].closed

    gate.open_gate("source")
    assert opened[1].said == [
        "prompt",
        "set timeout cli 1h",
        "set map /etc/gate/state.map side source",
        "set map /etc/gate/state.map gate open",
    ]


def test_a_connection_that_breaks_at_its_start_is_closed() -> None:
    opened: list[FakeChannel] = []

    def broken() -> FakeChannel:
        channel = FakeChannel(opened)
        channel.broken = True
        return channel

    with pytest.raises(StepError, match="did not answer `prompt`"):
        GateInstance("the gate", broken, "/etc/gate")
    assert opened[0].closed
