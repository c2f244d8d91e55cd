"""What every provider shares: the interface of an instance, the encoding of values, and errors.

A provider is written against plain Python values. `lab.providers.service` translates between them and the
gRPC messages of ``pulumi/provider.proto``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from google.protobuf import struct_pb2
from grpc import StatusCode

Properties = dict[str, Any]

# Sentinels by which an engine marks a value that is not known yet (pulumi/sdk: resource/plugin/rpc.go).
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
UNKNOWNS = frozenset(
    {
        UNKNOWN,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
    }
)
SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"


class ProviderError(Exception):
    """A call that failed, with the gRPC status that says how.

    The message names what was tried, on what, and what the other side answered.
    """

    def __init__(self, message: str, code: StatusCode = StatusCode.UNKNOWN) -> None:
        super().__init__(message)
        self.code = code


class PartialFailureError(ProviderError):
    """A resource exists but is not as it should be: the engine keeps it in its state, and retries it
    later."""

    def __init__(self, message: str, state: State) -> None:
        super().__init__(message)
        self.state = state


@dataclass(frozen=True)
class Resource:
    """The resource that a call is about."""

    urn: str

    @property
    def type(self) -> str:
        """The resource's own type token, such as ``aws:ec2/vpc:Vpc``."""
        return self.urn.split("::")[2].rsplit("$", 1)[-1]

    @property
    def name(self) -> str:
        """The resource's logical name in the program."""
        return self.urn.split("::", 3)[3]


@dataclass(frozen=True)
class State:
    """What an engine remembers of a resource."""

    id: str
    outputs: Properties
    inputs: Properties


@dataclass(frozen=True)
class Change:
    """One property that differs. `kind` is ``add``, ``delete`` or ``update``."""

    path: tuple[str | int, ...]
    kind: str
    replace: bool = False


@dataclass(frozen=True)
class Difference:
    """How what is wanted differs from what is there."""

    changes: tuple[Change, ...] = ()
    delete_before_replace: bool = False

    @property
    def replaces(self) -> bool:
        """Whether the resource has to be made anew."""
        return any(change.replace for change in self.changes)


@dataclass(frozen=True)
class Checked:
    """Inputs with defaults filled in, and what is wrong with them: (property, reason)."""

    inputs: Properties
    failures: Sequence[tuple[str, str]] = field(default=())


class Instance(Protocol):
    """A configured provider. Every method may raise ProviderError."""

    def check(self, resource: Resource, olds: Properties, news: Properties, seed: bytes) -> Checked:
        """Validate inputs and fill in defaults; `olds` are the inputs of the last operation, if any."""

    def diff(self, resource: Resource, old: State, news: Properties) -> Difference:
        """Compare checked inputs with what the engine remembers."""

    def create(self, resource: Resource, inputs: Properties, *, preview: bool, timeout: float) -> State:
        """Create a resource; `timeout` in seconds, 0 for the default. A preview has the id ``""``."""

    def update(
        self, resource: Resource, old: State, inputs: Properties, *, preview: bool, timeout: float
    ) -> Properties:
        """Bring a resource to `inputs`; returns its outputs."""

    def delete(self, resource: Resource, old: State, *, timeout: float) -> None:
        """Delete a resource and wait until it is gone; one that is gone already is no error."""

    def read(self, resource: Resource, old: State) -> State | None:
        """The live state; None if there is no such resource. Without `old.inputs` this is an import."""

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """Call a function of the provider."""


class Provider(Protocol):
    """A kind of provider: makes instances from configuration."""

    name: str
    version: str

    def configure(self, settings: Mapping[str, Any]) -> Instance:
        """An instance with these settings, whose keys are those of the provider's resource (camelCase)."""


def is_unknown(value: object) -> bool:
    """Whether a value is one of the sentinels for what is not known yet."""
    return isinstance(value, str) and value in UNKNOWNS


def has_unknown(value: object) -> bool:
    """Whether a value is, or holds, something that is not known yet."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return is_unknown(value)


def decode(struct: struct_pb2.Struct) -> Properties:
    """Plain values of a Struct: whole numbers become int, secrets lose their wrapper, nulls of maps are left
    out."""
    return {key: _decode(value) for key, value in struct.fields.items() if not value.HasField("null_value")}


def _decode(value: struct_pb2.Value) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            plain = decode(value.struct_value)
            return plain.get("value") if plain.get(SIGNATURE_KEY) == SECRET_SIGNATURE else plain
        case "list_value":
            return [_decode(item) for item in value.list_value.values]
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case _:
            return None


def encode(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """A Struct of plain values; entries that are None are left out."""
    struct = struct_pb2.Struct()
    struct.update(_without_none(values))
    return struct


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(item) for item in value]
    return value


def settings_of(variables: Mapping[str, str], arguments: Mapping[str, Any]) -> Properties:
    """A provider's settings: its arguments, else its configuration variables (``aws:config:region``).

    Everything that is not a string travels as JSON in a string (pulumi/sdk: provider resources).
    """
    merged: Properties = {key.rsplit(":", 1)[-1]: value for key, value in variables.items()}
    merged.update(arguments)
    return {key: _from_json(value) for key, value in merged.items() if key not in {"version", "__internal"}}


def _from_json(value: Any) -> Any:
    if not isinstance(value, str) or (value not in {"true", "false"} and value[:1] not in {"{", "["}):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value  # a string that merely looks like JSON, such as a kubeconfig in YAML's flow style


def random_suffix(seed: bytes, urn: str, length: int) -> str:
    """Hexadecimal digits for an automatic name: the same for the same seed, new where the engine gives
    none."""
    if not seed:
        import secrets  # noqa: PLC0415 - only old engines send no seed

        seed = secrets.token_bytes(16)
    return hashlib.sha256(seed + urn.encode()).hexdigest()[:length]
