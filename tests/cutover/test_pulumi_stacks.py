"""The wrapper of the Automation API, with the API itself replaced at its boundary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi import automation
from pulumi.automation import CommandResult, EngineEvent, OutputValue
from pulumi.automation.errors import CommandError, ConcurrentUpdateError, StackNotFoundError

from cutover.errors import CutOffError, StepError
from cutover.ports import Change
from cutover.pulumi_command import TimedCommand
from cutover.pulumi_stacks import PulumiStacks
from stacks.settings import EdgeFlips

RECORD = "cloudflare:index/dnsRecord:DnsRecord"
URN = f"urn:pulumi:prod-edge::landfall::landfall:dns:Records${RECORD}::bill.truewatch.com"
OnEvent = Callable[[EngineEvent], None]


def resource_event(kind: str, operation: str) -> EngineEvent:
    metadata = {"op": operation, "urn": URN, "type": RECORD, "provider": "", "diffs": ["content"]}
    return EngineEvent.from_json({"sequence": 0, "timestamp": 0, kind: {"metadata": metadata}})


def diagnostic(severity: str, message: str) -> EngineEvent:
    content = {"severity": severity, "message": message, "color": "never"}
    return EngineEvent.from_json({"sequence": 0, "timestamp": 0, "diagnosticEvent": content})


class FakeStack:
    """One stack of the Automation API."""

    def __init__(self) -> None:
        self.deployment: dict[str, Any] = {}
        self.events: list[EngineEvent] = []
        self.error: Exception | None = None
        self.programs: list[Any] = []
        self.calls: list[str] = []

    def _operate(self, name: str, on_event: OnEvent) -> SimpleNamespace:
        self.calls.append(name)
        for event in self.events:
            on_event(event)
        if self.error is not None:
            raise self.error
        secret = OutputValue(value="canary", secret=True)
        return SimpleNamespace(
            outputs={"flipped": OutputValue(value={"ttl": "lowered"}, secret=False), "s": secret}
        )

    def preview(self, on_event: OnEvent, program: Any) -> SimpleNamespace:
        self.programs.append(program)
        return self._operate("preview", on_event)

    def preview_refresh(self, on_event: OnEvent) -> SimpleNamespace:
        return self._operate("preview_refresh", on_event)

    def up(self, on_event: OnEvent, show_secrets: bool) -> SimpleNamespace:
        assert not show_secrets
        return self._operate("up", on_event)

    def refresh(self, clear_pending_creates: bool, show_secrets: bool) -> SimpleNamespace:
        assert clear_pending_creates
        return self._operate("refresh", lambda _: None)

    def outputs(self) -> dict[str, OutputValue]:
        return dict(self._operate("outputs", lambda _: None).outputs)

    def export_stack(self) -> SimpleNamespace:
        return SimpleNamespace(deployment=self.deployment)

    def cancel(self) -> None:
        self.calls.append("cancel")


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> FakeStack:
    found = FakeStack()
    monkeypatch.setattr(automation, "create_or_select_stack", lambda *_, **__: found)
    monkeypatch.setattr(automation, "select_stack", lambda *_, **__: found)
    return found


@pytest.fixture
def stacks(stack: FakeStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PulumiStacks:
    _pulumi(tmp_path / "bin", "echo v3.260.0", monkeypatch)
    return PulumiStacks(tmp_path, 30)


def _pulumi(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a `pulumi` first on the PATH."""
    folder.mkdir(exist_ok=True)
    path = folder / "pulumi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def failure(stderr: str) -> CommandError:
    return CommandError(CommandResult("", stderr, 255))


def test_a_preview_tells_operations_and_properties(stacks: PulumiStacks, stack: FakeStack) -> None:
    stack.events = [resource_event("resourcePreEvent", op) for op in ("same", "read", "update", "replace")]

    assert stacks.preview("prod-edge", EdgeFlips()) == [
        Change("update", RECORD, "bill.truewatch.com", ("content",)),
        Change("replace", RECORD, "bill.truewatch.com", ("content",)),
    ]
    assert callable(stack.programs[0])


def test_drift_is_what_a_refresh_finds_and_not_that_it_looks(stacks: PulumiStacks, stack: FakeStack) -> None:
    stack.events = [resource_event("resourcePreEvent", "refresh"), resource_event("resOutputsEvent", "same")]
    assert stacks.drift("prod-edge") == []

    stack.events = [
        resource_event("resourcePreEvent", "refresh"),
        resource_event("resOutputsEvent", "update"),
    ]
    assert [change.operation for change in stacks.drift("prod-edge")] == ["update"]


def test_secret_outputs_stay_behind(stacks: PulumiStacks, stack: FakeStack) -> None:
    assert stacks.outputs("prod-edge") == {"flipped": {"ttl": "lowered"}}
    assert "s" not in stacks.up("prod-edge", 30).outputs


def test_a_stack_that_does_not_exist_has_no_outputs(
    stacks: PulumiStacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_: Any, **__: Any) -> None:
        raise StackNotFoundError(CommandResult("", "no stack named 'prod' found", 255))

    monkeypatch.setattr(automation, "select_stack", absent)
    assert stacks.outputs("prod") == {}


def test_errors_say_what_failed_and_why(stacks: PulumiStacks, stack: FakeStack) -> None:
    stack.events = [
        diagnostic("warning", "never mind"),
        diagnostic("error", "updating: 429\n  rate limited"),
        resource_event("resourcePreEvent", "update"),
    ]
    stack.error = failure("update failed")

    with pytest.raises(StepError, match=r"^prod-edge: `up` failed: updating: 429 rate limited$"):
        stacks.up("prod-edge", 30)


def test_errors_without_a_diagnostic_come_from_the_output(stacks: PulumiStacks, stack: FakeStack) -> None:
    stack.error = failure("noise\nerror: passphrase must be set\nnoise")

    with pytest.raises(StepError, match="passphrase must be set"):
        stacks.preview("prod-edge", EdgeFlips())


def test_a_locked_stack_is_named_with_the_command(stacks: PulumiStacks, stack: FakeStack) -> None:
    stack.error = ConcurrentUpdateError(CommandResult("", "the stack is currently locked by", 255))

    with pytest.raises(StepError, match=r"somebody else works.*pulumi cancel --stack prod-edge"):
        stacks.up("prod-edge", 30)


def test_pending_operations_are_read_from_the_state(stacks: PulumiStacks, stack: FakeStack) -> None:
    stack.deployment = {"pending_operations": [{"type": "updating", "resource": {"urn": URN}}]}

    assert stacks.pending("prod-edge") == ["updating bill.truewatch.com"]


def test_a_repair_unlocks_and_reads_the_world_again(stacks: PulumiStacks, stack: FakeStack) -> None:
    stack.deployment = {"pending_operations": [{"type": "updating", "resource": {"urn": URN}}]}

    assert stacks.repair("prod-edge") == ["pending: updating bill.truewatch.com"]
    assert stack.calls == ["cancel", "refresh"]


def test_a_repair_without_pending_operations_unlocks_alone(stacks: PulumiStacks, stack: FakeStack) -> None:
    assert stacks.repair("prod-edge") == []
    assert stack.calls == ["cancel"]


def test_an_absent_pulumi_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(StepError, match="`pulumi` command cannot be used"):
        PulumiStacks(tmp_path, 30)


def test_a_command_that_takes_too_long_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "interrupted"
    script = f'[ "$1" = version ] && echo v3.260.0 && exit\ntrap "touch {mark}; exit 1" INT\nsleep 60 & wait'
    _pulumi(tmp_path / "bin", script, monkeypatch)
    monkeypatch.setattr("cutover.pulumi_command.INTERRUPT_SECONDS", 10.0)
    command = TimedCommand()
    command.seconds = 2.5

    with pytest.raises(CutOffError, match=r"took longer than 2\.5 s"):
        command.run(["up"], str(tmp_path), {})

    assert mark.exists()


def test_a_command_that_ignores_the_interruption_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = '[ "$1" = version ] && echo v3.260.0 && exit\ntrap "" INT\nwhile :; do sleep 1; done'
    _pulumi(tmp_path / "bin", script, monkeypatch)
    monkeypatch.setattr("cutover.pulumi_command.INTERRUPT_SECONDS", 0.5)
    command = TimedCommand()
    command.seconds = 0.5

    with pytest.raises(CutOffError, match="took longer"):
        command.run(["up"], str(tmp_path), {})


def test_output_is_passed_on_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = '[ "$1" = version ] && echo v3.260.0 && exit\necho "$@"; echo oops >&2; exit 3'
    _pulumi(tmp_path / "bin", script, monkeypatch)
    out: list[str] = []
    err: list[str] = []

    with pytest.raises(CommandError, match="code: 3"):
        TimedCommand().run(["stack", "ls"], str(tmp_path), {}, out.append, err.append)

    assert out == ["--non-interactive stack ls"]
    assert err == ["oops"]
