"""Property values to and from the protocol's `google.protobuf.Struct`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import struct_pb2

from lab.engine.values import (
    OUTPUT_SIGNATURE,
    SECRET_SIGNATURE,
    SIGNATURE,
    UNKNOWN,
    UNKNOWN_STRING,
    UNKNOWN_STRINGS,
    Properties,
    Secret,
    Unknown,
    contains,
    plain,
)


def decode(struct: struct_pb2.Struct) -> Properties:
    """The properties that a message holds."""
    return {key: _decode(item) for key, item in struct.fields.items()}


def _decode(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value in UNKNOWN_STRINGS else value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_decode(item) for item in value.list_value.values]
    if kind == "struct_value":
        return _decode_object(value.struct_value.fields)
    return None


def _decode_object(fields: Mapping[str, struct_pb2.Value]) -> Any:
    signature = fields[SIGNATURE].string_value if SIGNATURE in fields else ""
    if signature == SECRET_SIGNATURE:
        inner = _decode(fields["value"])
        return inner if isinstance(inner, Secret) else Secret(inner)
    if signature == OUTPUT_SIGNATURE:
        inner = _decode(fields["value"]) if "value" in fields else UNKNOWN
        return Secret(inner) if "secret" in fields and fields["secret"].bool_value else inner
    return {key: _decode(item) for key, item in fields.items()}


def encode(properties: Properties, *, secrets: bool, unknowns: bool = True) -> struct_pb2.Struct:
    """A message of the properties.

    Args:
        secrets: marks secrets as such; else their plain values are sent.
        unknowns: sends unknowns as the protocol's sentinel; else properties that hold any are left out.
    """
    struct = struct_pb2.Struct()
    for key, item in properties.items():
        if not unknowns and contains(item, Unknown):
            continue
        _encode(item if secrets else plain(item), struct.fields[key])
    return struct


def _encode(item: Any, into: struct_pb2.Value) -> None:
    if item is None:
        into.null_value = struct_pb2.NullValue.NULL_VALUE
    elif isinstance(item, bool):
        into.bool_value = item
    elif isinstance(item, int | float):
        into.number_value = item
    elif isinstance(item, str):
        into.string_value = item
    elif isinstance(item, Unknown):
        into.string_value = UNKNOWN_STRING
    elif isinstance(item, Secret):
        if isinstance(item.value, Unknown):
            into.string_value = UNKNOWN_STRING
            return
        fields = into.struct_value.fields
        fields[SIGNATURE].string_value = SECRET_SIGNATURE
        _encode(item.value, fields["value"])
    elif isinstance(item, dict):
        into.struct_value.SetInParent()
        for key, inner in item.items():
            _encode(inner, into.struct_value.fields[key])
    elif isinstance(item, list):
        into.list_value.SetInParent()
        for inner in item:
            _encode(inner, into.list_value.values.add())
    else:
        raise TypeError(f"a property of type {type(item).__name__} cannot be sent")
