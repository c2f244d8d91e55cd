"""Engine events: what happens in an operation, for whoever follows it."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from lab.engine import urn as urns
from lab.engine import values
from lab.engine.providers import Change
from lab.engine.state import Resource
from lab.engine.values import SECRET_SIGNATURE, SIGNATURE, UNKNOWN_STRING, Secret, Unknown

Event = dict[str, Any]
Sink = Callable[[Event], None]


@dataclass(frozen=True)
class Step:
    """One step of an operation, `op` by its official name.

    `keys` are the properties that force a replacement, `diffs` those that change, `detailed` how each path
    does. `logical` steps are counted in the summary; the parts of a replacement are not.
    """

    op: str
    old: Resource | None
    new: Resource | None
    keys: tuple[str, ...] = ()
    diffs: tuple[str, ...] = ()
    detailed: Mapping[str, Change] = field(default_factory=dict)
    logical: bool = True

    @property
    def resource(self) -> Resource:
        """What the step is about."""
        found = self.new or self.old
        if found is None:
            raise ValueError("a step needs an old or a new state")
        return found


@dataclass(frozen=True)
class Violation:
    """What a policy pack finds fault with; `level` is advisory or mandatory, `urn` empty for a stack."""

    pack: str
    version: str
    policy: str
    level: str
    message: str
    urn: str = ""


def blinded(value: Any) -> Any:
    """`value` as events show it: a secret is there, its content is not."""

    def visit(found: Secret | Unknown) -> Any:
        if isinstance(found, Unknown):
            return UNKNOWN_STRING
        return {SIGNATURE: SECRET_SIGNATURE, "ciphertext": "[secret]"}

    return values.transform(value, visit)


def _state(resource: Resource | None) -> dict[str, Any] | None:
    if resource is None:
        return None
    found: dict[str, Any] = {
        "type": resource.type,
        "urn": resource.urn,
        "id": resource.id,
        "parent": resource.parent,
        "provider": resource.provider,
        "inputs": blinded(resource.inputs),
        "outputs": blinded(resource.outputs),
    }
    flags = {
        "custom": resource.custom,
        "delete": resource.delete,
        "protect": resource.protect,
        "retainOnDelete": resource.retain_on_delete,
        "initErrors": list(resource.init_errors),
    }
    return found | {key: value for key, value in flags.items() if value}


def _metadata(step: Step) -> dict[str, Any]:
    resource = step.resource
    return {
        "op": step.op,
        "urn": resource.urn,
        "type": resource.type,
        "provider": resource.provider,
        "old": _state(step.old),
        "new": _state(step.new),
        "keys": list(step.keys) or None,
        "diffs": list(step.diffs) or None,
        "detailedDiff": {
            path: {"diffKind": item.kind, "inputDiff": item.input_diff}
            for path, item in step.detailed.items()
        }
        or None,
        "logical": step.logical,
    }


class Events:
    """Numbers events and gives them to sinks, one after another; texts of secrets are masked in messages."""

    def __init__(self, sinks: Iterable[Sink], *, preview: bool) -> None:
        self._sinks = list(sinks)
        self._preview = preview
        self._lock = threading.Lock()
        self._sequence = 0
        self._hidden: set[str] = set()
        self.counts: dict[str, int] = {}
        self.errors = 0
        # Name and version of each policy pack that judged.
        self.packs: dict[str, str] = {}

    def hide(self, texts: Iterable[str]) -> None:
        """Masks these texts in all messages to come. Very short ones are left: masking them tells more."""
        with self._lock:
            self._hidden.update(text for text in texts if len(text) > 3)

    def redact(self, message: str) -> str:
        """`message` without the texts of secrets."""
        with self._lock:
            hidden = sorted(self._hidden, key=len, reverse=True)
        for text in hidden:
            message = message.replace(text, "[secret]")
        return message

    def _emit(self, kind: str, content: Mapping[str, Any]) -> None:
        with self._lock:
            event = {"sequence": self._sequence, "timestamp": int(time.time()), kind: dict(content)}
            self._sequence += 1
            for sink in self._sinks:
                sink(event)

    def prelude(self, config: Mapping[str, str]) -> None:
        """The operation begins with this configuration, secrets masked."""
        self._emit("preludeEvent", {"config": dict(config)})

    def _hidden_step(self, step: Step) -> bool:
        return urns.is_default_provider(step.resource.urn)

    def before(self, step: Step) -> None:
        """A step begins."""
        if not self._hidden_step(step):
            self._emit("resourcePreEvent", {"metadata": _metadata(step), "planning": self._preview})

    def after(self, step: Step) -> None:
        """A step is done."""
        if self._hidden_step(step):
            return
        if step.logical:
            with self._lock:
                self.counts[step.op] = self.counts.get(step.op, 0) + 1
        self._emit("resOutputsEvent", {"metadata": _metadata(step), "planning": self._preview})

    def outputs(self, step: Step) -> None:
        """A component has got its outputs."""
        self._emit("resOutputsEvent", {"metadata": _metadata(step), "planning": self._preview})

    def failed(self, step: Step) -> None:
        """A step failed; a diagnostic says why."""
        self._emit("resOpFailedEvent", {"metadata": _metadata(step), "status": 0, "steps": 0})

    def diagnostic(
        self, severity: str, message: str, urn: str = "", *, stream: int = 0, ephemeral: bool = False
    ) -> None:
        """A message; `severity` is debug, info, info#err, warning or error."""
        if severity == "error":
            with self._lock:
                self.errors += 1
        content = {
            "urn": urn,
            "prefix": f"{severity}: ",
            "message": self.redact(message) + "\n",
            "color": "never",
            "severity": severity,
            "streamID": stream,
            "ephemeral": ephemeral,
        }
        self._emit("diagnosticEvent", content)

    def violation(self, found: Violation) -> None:
        """A policy is violated."""
        content = {
            "resourceUrn": found.urn,
            "message": self.redact(found.message) + "\n",
            "color": "never",
            "policyName": found.policy,
            "policyPackName": found.pack,
            "policyPackVersion": found.version,
            "policyPackVersionTag": found.version,
            "enforcementLevel": found.level,
        }
        self._emit("policyEvent", content)

    def stdout(self, message: str) -> None:
        """What the engine itself has to say."""
        self._emit("stdoutEvent", {"message": self.redact(message), "color": "never"})

    def summary(self, seconds: float) -> None:
        """The operation has ended."""
        content = {
            "maybeCorrupt": False,
            "durationSeconds": int(seconds),
            "resourceChanges": dict(self.counts),
            "PolicyPacks": dict(self.packs),
        }
        self._emit("summaryEvent", content)

    def end(self) -> None:
        """Nothing comes after this."""
        self._emit("cancelEvent", {})


class FileLog:
    """Writes events to a file, one JSON text a line."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def __call__(self, event: Event) -> None:
        """Writes an event."""
        self._file.write(json.dumps(event) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class StreamLog:
    """Streams events to an `Events` service at `tcp://host:port`."""

    def __init__(self, address: str) -> None:
        # Only a process that streams its events needs these classes.
        from pulumi.runtime.proto import events_pb2, events_pb2_grpc  # noqa: PLC0415

        self._request: Any = events_pb2.EventRequest
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._channel = grpc.insecure_channel(address.removeprefix("tcp://"))
        stub: Any = events_pb2_grpc.EventsStub(self._channel)
        self._answer = stub.StreamEvents.future(self._stream())

    def _stream(self) -> Iterator[Any]:
        while (event := self._queue.get()) is not None:
            yield self._request(event=json.dumps(event))

    def __call__(self, event: Event) -> None:
        """Sends an event."""
        self._queue.put(event)

    def close(self) -> None:
        """Waits until all events have arrived; a listener that has gone is no error."""
        self._queue.put(None)
        with suppress(grpc.FutureTimeoutError):
            self._answer.exception(timeout=30.0)
        self._channel.close()
