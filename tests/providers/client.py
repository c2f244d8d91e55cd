"""An engine's side of the provider protocol, as far as the tests need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from lab.providers.base import Properties, State, decode, encode

SEED = b"a seed that an engine would draw"


@dataclass(frozen=True)
class Diff:
    """A Diff answer in plain values."""

    changes: bool
    paths: dict[str, str]
    replaces: tuple[str, ...]
    delete_before_replace: bool


class CallError(Exception):
    """A call that failed; `code` is the gRPC status, `state` what exists in spite of it."""

    def __init__(self, code: grpc.StatusCode, details: str, state: State | None) -> None:
        super().__init__(f"{code.name}: {details}")
        self.code = code
        self.state = state


class ProviderClient:
    """One provider instance: a channel of its own, configured."""

    def __init__(self, port: int, settings: Mapping[str, Any] | None = None) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=options)
        self.stub = provider_pb2_grpc.ResourceProviderStub(self._channel)
        if settings is not None:
            self.configure(settings)

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Configure as an engine does, settings as they come from the SDK."""
        self._call("Handshake", provider_pb2.ProviderHandshakeRequest(engine_address="127.0.0.1:1"))
        self._call("Configure", provider_pb2.ConfigureRequest(args=encode(settings)))

    def __enter__(self) -> ProviderClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def _call(self, method: str, request: Any) -> Any:
        try:
            return getattr(self.stub, method)(request, timeout=120)
        except grpc.RpcError as error:
            raise CallError(error.code(), error.details() or "", _partial(error)) from error

    def check(self, urn: str, news: Properties, olds: Properties | None = None) -> Properties:
        """Checked inputs; AssertionError with the failures, if any."""
        inputs, failures = self.check_failures(urn, news, olds)
        assert not failures, failures
        return inputs

    def check_failures(
        self, urn: str, news: Properties, olds: Properties | None = None
    ) -> tuple[Properties, dict[str, str]]:
        """Checked inputs and failures by property."""
        answer = self._call(
            "Check",
            provider_pb2.CheckRequest(urn=urn, olds=encode(olds or {}), news=encode(news), randomSeed=SEED),
        )
        return decode(answer.inputs), {failure.property: failure.reason for failure in answer.failures}

    def diff(self, urn: str, old: State, news: Properties) -> Diff:
        """A diff of checked inputs with a remembered state."""
        answer = self._call(
            "Diff",
            provider_pb2.DiffRequest(
                id=old.id, urn=urn, olds=encode(old.outputs), old_inputs=encode(old.inputs), news=encode(news)
            ),
        )
        kinds = provider_pb2.PropertyDiff.Kind
        return Diff(
            answer.changes == provider_pb2.DiffResponse.DIFF_SOME,
            {path: kinds.Name(item.kind) for path, item in answer.detailedDiff.items()},
            tuple(answer.replaces),
            answer.deleteBeforeReplace,
        )

    def create(self, urn: str, inputs: Properties, *, preview: bool = False, timeout: float = 0) -> State:
        """Create; the state that an engine would remember."""
        answer = self._call(
            "Create",
            provider_pb2.CreateRequest(urn=urn, properties=encode(inputs), preview=preview, timeout=timeout),
        )
        return State(answer.id, decode(answer.properties), inputs)

    def update(
        self, urn: str, old: State, news: Properties, *, preview: bool = False, timeout: float = 0
    ) -> State:
        """Update in place."""
        answer = self._call(
            "Update",
            provider_pb2.UpdateRequest(
                id=old.id,
                urn=urn,
                olds=encode(old.outputs),
                old_inputs=encode(old.inputs),
                news=encode(news),
                preview=preview,
                timeout=timeout,
            ),
        )
        return State(old.id, decode(answer.properties), news)

    def delete(self, urn: str, old: State, *, timeout: float = 0) -> None:
        """Delete."""
        self._call(
            "Delete",
            provider_pb2.DeleteRequest(
                id=old.id,
                urn=urn,
                properties=encode(old.outputs),
                old_inputs=encode(old.inputs),
                timeout=timeout,
            ),
        )

    def read(self, urn: str, old: State) -> State | None:
        """Refresh."""
        answer = self._call(
            "Read",
            provider_pb2.ReadRequest(
                id=old.id, urn=urn, properties=encode(old.outputs), inputs=encode(old.inputs)
            ),
        )
        return State(answer.id, decode(answer.properties), decode(answer.inputs)) if answer.id else None

    def import_(self, urn: str, identity: str) -> State | None:
        """Import by id."""
        return self.read(urn, State(identity, {}, {}))

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Call a function."""
        answer = self._call("Invoke", provider_pb2.InvokeRequest(tok=token, args=encode(arguments)))
        return decode(getattr(answer, "return"))


def urn(kind: str, name: str = "it") -> str:
    """A resource's URN."""
    return f"urn:pulumi:test::landfall::{kind}::{name}"


def _partial(error: Any) -> State | None:
    from pulumi.runtime.proto import status_pb2  # noqa: PLC0415 - only for partial failures

    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value)
            failed = provider_pb2.ErrorResourceInitFailed()
            status.details[0].Unpack(failed)
            return State(failed.id, decode(failed.properties), decode(failed.inputs))
    return None
