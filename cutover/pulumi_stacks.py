"""The Pulumi stacks through the Automation API: one thin wrapper with errors of its own.

The small stacks run as inline programs in this process, which has their providers' packages loaded already;
the fixed working folder keeps `Pulumi.<stack>.yaml` the project's own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pulumi import automation
from pulumi.automation.errors import (
    CommandError,
    ConcurrentUpdateError,
    InvalidVersionError,
    StackNotFoundError,
)
from pulumi.automation.events import StepEventMetadata

from cutover.differences import differences
from cutover.errors import CutOffError, StepError
from cutover.ports import BroughtUp, Change
from cutover.pulumi_command import TimedCommand
from stacks import builder_for
from stacks.settings import Flips, SettingsError, load_flips, write_flips

PROJECT = "landfall"
_UNCHANGED = ("same", "read", "refresh")


def _ignore(_text: str) -> None:
    """Where what Pulumi works on goes when nobody asked."""


class PulumiStacks:
    """The stacks of a project's folder. Implements ports.Stacks."""

    def __init__(self, folder: Path, call_seconds: float, note: Callable[[str], None] = _ignore) -> None:
        """`call_seconds` limits everything but `up`, which is given its own limit. Raises StepError.

        `note` is told what Pulumi is working on.
        """
        self._folder = folder.resolve()
        self._seconds = call_seconds
        self._note = note
        try:
            self._command = TimedCommand()
        except (OSError, InvalidVersionError) as error:
            raise StepError(f"the `pulumi` command cannot be used: {error}") from error
        self._open: dict[str, automation.Stack] = {}

    def engine(self) -> str:
        """See ports.Stacks."""
        return str(self._command.version)

    def outputs(self, stack: str) -> Mapping[str, Any]:
        """See ports.Stacks."""
        with _failing(stack, "reading the outputs"), self._limit(self._seconds):
            try:
                found = self._existing(stack).outputs()
            except StackNotFoundError:
                return {}
        return _public(found)

    def flips(self, stack: str) -> Flips:
        """See ports.Stacks."""
        try:
            return load_flips(self._folder, stack)
        except SettingsError as error:
            raise StepError(str(error)) from error

    def write_flips(self, stack: str, flips: Flips) -> None:
        """See ports.Stacks."""
        try:
            write_flips(self._folder, stack, flips)
        except (SettingsError, OSError) as error:
            raise StepError(f"the flip keys of {stack} could not be written: {error}") from error

    def pending(self, stack: str) -> Sequence[str]:
        """See ports.Stacks."""
        with _failing(stack, "reading the state"), self._limit(self._seconds):
            operations = self._deployment(stack).get("pending_operations") or []
        return [f"{item['type']} {_name(item['resource']['urn'])}" for item in operations]

    def drift(self, stack: str) -> Sequence[Change]:
        """See ports.Stacks."""
        seen = self._watch(stack, "looking for drift")
        with _failing(stack, "looking for drift", seen), self._limit(self._seconds):
            self._stack(stack).preview_refresh(on_event=seen.event)
        return seen.outcomes

    def preview(self, stack: str, flips: Flips) -> Sequence[Change]:
        """See ports.Stacks."""
        seen = self._watch(stack, "preview")
        program = builder_for(stack, self._folder, flips)
        with _failing(stack, "the preview", seen), self._limit(self._seconds):
            self._stack(stack).preview(on_event=seen.event, program=program)
        return seen.begun

    def up(self, stack: str, timeout_seconds: float) -> BroughtUp:
        """See ports.Stacks."""
        seen = self._watch(stack, "up")
        with _failing(stack, "`up`", seen), self._limit(timeout_seconds):
            result = self._stack(stack).up(on_event=seen.event, show_secrets=False)
        return BroughtUp(tuple(seen.begun), _public(result.outputs))

    def repair(self, stack: str) -> Sequence[str]:
        """See ports.Stacks. Flips touch what may be written twice, so what was pending is read again."""
        cleared = []
        with _failing(stack, "repairing the state"), self._limit(self._seconds):
            try:
                opened = self._stack(stack)
            except StackNotFoundError:
                return []
            try:
                operations = self._deployment(stack).get("pending_operations") or []
                opened.cancel()
            except ConcurrentUpdateError as error:
                raise StepError(f"{stack} stays locked: {error}") from error
            if operations:
                cleared = [f"pending: {item['type']} {_name(item['resource']['urn'])}" for item in operations]
                opened.refresh(clear_pending_creates=True, show_secrets=False)
        return cleared

    def _stack(self, name: str) -> automation.Stack:
        """The stack, made where it does not exist yet."""
        if name not in self._open:
            self._open[name] = automation.create_or_select_stack(
                name, PROJECT, self._program(name), opts=self._options()
            )
        return self._open[name]

    def _existing(self, name: str) -> automation.Stack:
        """Raises StackNotFoundError."""
        if name not in self._open:
            self._open[name] = automation.select_stack(
                name, PROJECT, self._program(name), opts=self._options()
            )
        return self._open[name]

    def _deployment(self, name: str) -> Mapping[str, Any]:
        exported = self._stack(name).export_stack()
        found: Mapping[str, Any] | None = exported.deployment
        return found or {}

    def _program(self, name: str) -> Callable[[], None]:
        return builder_for(name, self._folder)

    def _options(self) -> automation.LocalWorkspaceOptions:
        return automation.LocalWorkspaceOptions(work_dir=str(self._folder), pulumi_command=self._command)

    def _watch(self, stack: str, what: str) -> _Seen:
        self._note(f"{stack}: {what}")
        return _Seen(lambda text: self._note(f"{stack}: {what}: {text}"))

    @contextmanager
    def _limit(self, seconds: float) -> Iterator[None]:
        before = self._command.seconds
        self._command.seconds = seconds
        try:
            yield
        finally:
            self._command.seconds = before


def _public(outputs: Mapping[str, automation.OutputValue]) -> dict[str, Any]:
    return {name: output.value for name, output in outputs.items() if not output.secret}


class _Seen:
    """What an operation's events told. Events arrive in another thread, where an exception would be lost."""

    def __init__(self, note: Callable[[str], None] = _ignore) -> None:
        self.begun: list[Change] = []
        self.outcomes: list[Change] = []
        self.errors: list[str] = []
        self._note = note

    def event(self, event: automation.EngineEvent) -> None:
        """Notes what matters of an event."""
        if event.resource_pre_event:
            before = len(self.begun)
            _note(self.begun, event.resource_pre_event.metadata)
            for change in self.begun[before:]:
                self._note(str(change))
        if event.res_outputs_event:
            _note(self.outcomes, event.res_outputs_event.metadata)
        if event.diagnostic_event:
            message = " ".join(event.diagnostic_event.message.split())
            if event.diagnostic_event.severity == "error":
                self.errors.append(message)
            elif message:
                # such as the kubernetes provider's "Waiting for app ReplicaSet be available"
                self._note(f"{_name(event.diagnostic_event.urn or '')} {message}".strip())


def _note(changes: list[Change], metadata: StepEventMetadata) -> None:
    operation = getattr(metadata.op, "value", str(metadata.op))
    if operation not in _UNCHANGED:
        properties = tuple(sorted(metadata.detailed_diff or metadata.diffs or ()))
        changes.append(
            Change(operation, metadata.type, _name(metadata.urn), properties, differences(metadata))
        )


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]


@contextmanager
def _failing(stack: str, what: str, seen: _Seen | None = None) -> Iterator[None]:
    """Turns Pulumi's errors into one line that says what failed and why."""
    try:
        yield
    except StackNotFoundError:
        raise
    except CutOffError as error:
        raise CutOffError(f"{stack}: {what} failed: {error}") from error
    except ConcurrentUpdateError as error:
        raise StepError(
            f"{stack}: {what}: somebody else works on the stack. If not: `pulumi cancel --stack {stack}`"
        ) from error
    except (CommandError, InvalidVersionError) as error:
        reasons = seen.errors if seen and seen.errors else _reasons(str(error))
        raise StepError(f"{stack}: {what} failed: {'; '.join(reasons)}") from error
    except (RuntimeError, OSError, ValueError) as error:
        raise StepError(f"{stack}: {what} failed: {error}") from error


def _reasons(text: str) -> list[str]:
    """The lines of a command's output that say why it failed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines)[-5:]


def warm() -> None:
    """Loads the providers' packages, which take seconds, ahead of the first flip."""
    os.environ.setdefault("PULUMI_SKIP_UPDATE_CHECK", "true")
    import pulumi_cloudflare  # noqa: F401, PLC0415
    import pulumi_kubernetes.apps.v1  # noqa: PLC0415
    import pulumi_kubernetes.core.v1  # noqa: F401, PLC0415
