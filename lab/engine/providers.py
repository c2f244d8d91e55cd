"""A client of a provider: a server of the official ResourceProvider protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import errors_pb2, plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from lab.engine import values, wire
from lab.engine.urn import name_of, type_of
from lab.engine.values import Properties, Unknown

MESSAGE_SIZE = 1024 * 1024 * 400
CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_SIZE),
    ("grpc.max_send_message_length", MESSAGE_SIZE),
]
# Seconds. Creating a database may take most of an hour; a provider gives up by itself well before these.
_QUICK = 120.0
_SLOW = 4 * 3600.0


class ProviderError(Exception):
    """What a provider answered instead of a result."""


class InitializationError(ProviderError):
    """The resource is there but did not become what it should be."""

    def __init__(self, detail: provider_pb2.ErrorResourceInitFailed) -> None:
        self.reasons = tuple(detail.reasons)
        super().__init__("; ".join(self.reasons) or "the resource did not initialize")
        self.id = detail.id
        self.outputs = wire.decode(detail.properties)
        self.inputs = wire.decode(detail.inputs)


@dataclass(frozen=True)
class Change:
    """How one property changes: add, delete or update, with `-replace` where it forces a replacement."""

    kind: str
    input_diff: bool = False


@dataclass(frozen=True)
class Diff:
    """What would change; `changes` is `none`, `some` or `unknown`."""

    changes: str
    replaces: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    detailed: Mapping[str, Change] = field(default_factory=dict)
    delete_before_replace: bool = False


@dataclass(frozen=True)
class Checked:
    """Inputs with the provider's defaults, and what is wrong with them."""

    inputs: Properties
    failures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """What a read found; an empty id if nothing."""

    id: str
    inputs: Properties
    outputs: Properties


_KINDS = {
    provider_pb2.PropertyDiff.Kind.Value(name): name.lower().replace("_", "-")
    for name in list(provider_pb2.PropertyDiff.Kind.keys())
}


class Provider:
    """One instance of a provider, on a channel of its own: a server tells its instances apart by their peers.

    `configured` is false where, in a preview, its configuration is not known: then it is not asked.
    """

    def __init__(self, package: str, address: str, *, preview: bool) -> None:
        self.package = package
        self.address = address
        self.configured = False
        self._preview = preview
        # Without a pool of its own, a channel to the same address would share a connection.
        options = [*CHANNEL_OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
        self._channel = grpc.insecure_channel(address, options=options)
        self._stub: Any = provider_pb2_grpc.ResourceProviderStub(self._channel)
        self._accepts_secrets = False
        self._supports_preview = False

    def attach(self, engine_address: str, root: str, program: str) -> None:
        """Makes the engine and the provider known to each other.

        Raises:
            ProviderError: the server does not answer.
        """
        request = provider_pb2.ProviderHandshakeRequest(
            engine_address=engine_address,
            root_directory=root,
            program_directory=program,
            configure_with_urn=True,
            invoke_with_preview=True,
        )
        answer = self._optional("Handshake", request)
        if answer is not None:
            self._accepts_secrets = answer.accept_secrets
        self._call("Attach", plugin_pb2.PluginAttach(address=engine_address))
        self._call("GetPluginInfo", empty_pb2.Empty())

    def _call(self, method: str, request: Any, timeout: float = _QUICK) -> Any:
        try:
            return getattr(self._stub, method)(request, timeout=timeout)
        except grpc.RpcError as error:
            raise self._error(method, error) from error

    def _optional(self, method: str, request: Any) -> Any:
        """The answer, or None where the provider does not have the method."""
        try:
            return getattr(self._stub, method)(request, timeout=_QUICK)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNIMPLEMENTED:
                return None
            raise self._error(method, error) from error

    def _error(self, method: str, error: grpc.RpcError) -> ProviderError:
        if error.code() == grpc.StatusCode.UNAVAILABLE:
            return ProviderError(
                f"the provider {self.package} at {self.address} (of PULUMI_DEBUG_PROVIDERS) does not answer "
                f"{method}: {error.details()}"
            )
        reasons: list[str] = []
        metadata: Any = error.trailing_metadata() or ()
        for key, value in metadata:
            if key != "grpc-status-details-bin":
                continue
            for detail in status_pb2.Status.FromString(value).details:
                failed, cause = provider_pb2.ErrorResourceInitFailed(), errors_pb2.ErrorCause()
                if detail.Unpack(failed):
                    return InitializationError(failed)
                if detail.Unpack(cause):
                    reasons.append(cause.message)
        text = error.details() or f"{method} failed with {error.code().name}"
        return ProviderError(": ".join([text, *(reason for reason in reasons if reason not in text)]))

    def _encode(self, properties: Properties) -> Any:
        return wire.encode(properties, secrets=self._accepts_secrets)

    def check_config(self, urn: str, old: Properties, new: Properties) -> Checked:
        """The instance's configuration with defaults."""
        request = provider_pb2.CheckRequest(
            urn=urn,
            olds=wire.encode(old, secrets=True),
            news=wire.encode(new, secrets=True),
            name=urn.rsplit("::", 1)[-1],
            type=f"pulumi:providers:{self.package}",
        )
        answer = self._optional("CheckConfig", request)
        if answer is None:
            return Checked(new)
        return Checked(values.mark_like(wire.decode(answer.inputs), new), _failures(answer.failures))

    def diff_config(self, urn: str, old: Properties, new: Properties) -> Diff:
        """What a change of the configuration means."""
        request = provider_pb2.DiffRequest(
            urn=urn,
            olds=wire.encode(old, secrets=True),
            old_inputs=wire.encode(old, secrets=True),
            news=wire.encode(new, secrets=True),
        )
        answer = self._optional("DiffConfig", request)
        return Diff("unknown") if answer is None else _diff(answer)

    def configure(self, urn: str, identifier: str, inputs: Properties) -> None:
        """Configures the instance, unless its configuration holds unknowns."""
        settings = {key: item for key, item in inputs.items() if key not in {"version", "pluginDownloadURL"}}
        if values.contains(settings, Unknown):
            return
        plain = values.plain(settings)
        answer = self._call(
            "Configure",
            provider_pb2.ConfigureRequest(
                variables={
                    f"{self.package}:config:{key}": item if isinstance(item, str) else values.compact(item)
                    for key, item in plain.items()
                    if item is not None
                },
                args=wire.encode(settings, secrets=True),
                acceptSecrets=True,
                acceptResources=True,
                sends_old_inputs=True,
                sends_old_inputs_to_delete=True,
                id=identifier,
                urn=urn,
                name=urn.rsplit("::", 1)[-1],
                type=f"pulumi:providers:{self.package}",
            ),
        )
        self._accepts_secrets = self._accepts_secrets or answer.acceptSecrets
        self._supports_preview = answer.supportsPreview
        self.configured = True

    def check(self, urn: str, old: Properties, new: Properties, seed: bytes) -> Checked:
        """A resource's inputs with defaults."""
        if not self.configured:
            return Checked(new)
        request = provider_pb2.CheckRequest(
            urn=urn,
            olds=self._encode(old),
            news=self._encode(new),
            randomSeed=seed,
            name=name_of(urn),
            type=type_of(urn),
        )
        answer = self._call("Check", request)
        return Checked(values.mark_like(wire.decode(answer.inputs), new), _failures(answer.failures))

    def diff(
        self,
        urn: str,
        identifier: str,
        state: tuple[Properties, Properties],
        new: Properties,
        ignore: tuple[str, ...],
    ) -> Diff:
        """What `new` inputs change at a resource of the given inputs and outputs."""
        if not self.configured:
            return Diff("unknown")
        request = provider_pb2.DiffRequest(
            id=identifier,
            urn=urn,
            old_inputs=self._encode(state[0]),
            olds=self._encode(state[1]),
            news=self._encode(new),
            ignoreChanges=ignore,
            name=name_of(urn),
            type=type_of(urn),
        )
        return _diff(self._call("Diff", request))

    def create(self, urn: str, inputs: Properties, timeout: float) -> tuple[str, Properties]:
        """Creates a resource, or foretells what that would give; returns its id and outputs."""
        if self._preview and not (self.configured and self._supports_preview):
            return "", dict(inputs) if self.configured else {}
        request = provider_pb2.CreateRequest(
            urn=urn,
            properties=self._encode(inputs),
            timeout=timeout,
            preview=self._preview,
            name=name_of(urn),
            type=type_of(urn),
        )
        answer = self._call("Create", request, timeout + _SLOW)
        if not answer.id and not self._preview:
            raise ProviderError(
                f"the provider {self.package} returned no id for the resource that it created"
            )
        return answer.id, values.mark_like(wire.decode(answer.properties), inputs)

    def update(
        self,
        urn: str,
        identifier: str,
        state: tuple[Properties, Properties],
        new: Properties,
        *,
        ignore: tuple[str, ...],
        timeout: float,
    ) -> Properties:
        """Updates a resource, or foretells what that would give; returns its outputs."""
        if self._preview and not (self.configured and self._supports_preview):
            return dict(new) if self.configured else {}
        request = provider_pb2.UpdateRequest(
            id=identifier,
            urn=urn,
            old_inputs=self._encode(state[0]),
            olds=self._encode(state[1]),
            news=self._encode(new),
            ignoreChanges=ignore,
            timeout=timeout,
            preview=self._preview,
            name=name_of(urn),
            type=type_of(urn),
        )
        answer = self._call("Update", request, timeout + _SLOW)
        outputs: Properties = values.mark_like(wire.decode(answer.properties), new)
        return outputs

    def read(self, urn: str, identifier: str, inputs: Properties, outputs: Properties) -> Found:
        """What is there of a resource."""
        request = provider_pb2.ReadRequest(
            id=identifier,
            urn=urn,
            properties=self._encode(outputs),
            inputs=self._encode(inputs),
            name=name_of(urn),
            type=type_of(urn),
        )
        answer = self._call("Read", request, _SLOW)
        read_inputs = wire.decode(answer.inputs) if answer.HasField("inputs") else inputs
        found = wire.decode(answer.properties)
        return Found(
            answer.id,
            values.mark_like(read_inputs, inputs),
            values.mark_like(values.mark_like(found, outputs), inputs),
        )

    def delete(
        self, urn: str, identifier: str, inputs: Properties, outputs: Properties, timeout: float
    ) -> None:
        """Deletes a resource; one that is already gone is no error."""
        request = provider_pb2.DeleteRequest(
            id=identifier,
            urn=urn,
            properties=self._encode(outputs),
            old_inputs=self._encode(inputs),
            timeout=timeout,
            name=name_of(urn),
            type=type_of(urn),
        )
        self._call("Delete", request, timeout + _SLOW)

    def invoke(self, token: str, arguments: Properties) -> tuple[Properties, tuple[tuple[str, str], ...]]:
        """Calls a function; returns its result and its failures as (property, reason)."""
        request = provider_pb2.InvokeRequest(
            tok=token, args=wire.encode(arguments, secrets=False), preview=self._preview
        )
        answer = self._call("Invoke", request, _SLOW)
        result = wire.decode(getattr(answer, "return"))
        return result, tuple((failure.property, failure.reason) for failure in answer.failures)

    def cancel(self) -> None:
        """Asks the provider to give up what it is doing; one that cannot is left alone."""
        try:
            self._stub.Cancel(empty_pb2.Empty(), timeout=5.0)
        except grpc.RpcError as error:
            if error.code() not in {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAVAILABLE}:
                raise self._error("Cancel", error) from error

    def close(self) -> None:
        """Ends the connection."""
        self._channel.close()


def _failures(failures: Any) -> tuple[str, ...]:
    return tuple(f"{item.property}: {item.reason}" if item.property else item.reason for item in failures)


def _diff(answer: Any) -> Diff:
    detailed = {path: Change(_KINDS[item.kind], item.inputDiff) for path, item in answer.detailedDiff.items()}
    replaces = tuple(answer.replaces) or tuple(
        dict.fromkeys(top_level(path) for path, item in detailed.items() if item.kind.endswith("-replace"))
    )
    keys = tuple(answer.diffs) or tuple(dict.fromkeys(top_level(path) for path in detailed))
    changes = {
        provider_pb2.DiffResponse.DIFF_NONE: "none",
        provider_pb2.DiffResponse.DIFF_SOME: "some",
    }.get(answer.changes, "unknown")
    if replaces or (changes == "unknown" and keys):
        changes = "some"
    return Diff(changes, replaces, keys, detailed, answer.deleteBeforeReplace)


def top_level(path: str) -> str:
    """The property that a path begins with; the path itself where a provider writes paths in its own way."""
    try:
        return str(values.parse_path(path)[0])
    except (ValueError, IndexError):
        return path
