"""Values of Pulumi's form and of AWS's, translated along botocore's shapes."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.providers.base import Properties, is_unknown

MISSING = object()
_PLACEHOLDER = re.compile(r"\{([A-Za-z0-9_.]+)(!?)\}")
# Members that every call of a service takes and no property means.
_NOT_PROPERTIES = {"DryRun", "ClientToken", "clientRequestToken", "dryRun"}


class ShapeError(ValueError):
    """A value that does not fit where it belongs. `path` is the property's."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason


class _DropAroundError(Exception):
    """A placeholder that takes the structure around it with it."""


def fold(name: str) -> str:
    """What two names of the same thing have in common."""
    return name.replace("_", "").replace("-", "").lower()


def camel(member: str) -> str:
    """A member's name as a Pulumi property: ``DBSubnetGroup`` becomes ``dbSubnetGroup``."""
    run = len(member) - len(member.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"))
    if run == len(member):
        return member.lower()
    lowered = max(run - 1, 1) if run else 0
    name = member[:lowered].lower() + member[lowered:]
    return re.sub(r"(ID|ARN|URL|IP)(s?)$", lambda found: found[1].capitalize() + found[2], name)


def member_of(shape: Any, name: str, path: str, names: Mapping[str, str]) -> str | None:
    """The member of a structure that a property means, if any; a plural may stand for a singular."""
    if path in names:
        return names[path] if names[path] in shape.members else None
    members: dict[str, str] = {
        fold(member): member for member in shape.members if member not in _NOT_PROPERTIES
    }
    folded = fold(name)
    for candidate in (folded, folded.removesuffix("s"), folded + "s"):
        if candidate in members:
            return members[candidate]
    return None


def to_aws(shape: Any, value: Any, path: str = "", names: Mapping[str, str] | None = None) -> Any:
    """A Pulumi value in the form of a shape. Raises ShapeError for what has no place or another type.

    What is not known yet becomes a value of the right type, so that a preview can validate the rest.
    """
    names = names or {}
    kind = shape.type_name
    if is_unknown(value):
        return _stand_in(shape)
    if kind == "structure":
        return _structure_to_aws(shape, value, path, names)
    if kind == "list":
        if isinstance(value, Mapping) and (pair := pair_members(shape)):
            key, item = pair
            return [{key: name, item: _text(text)} for name, text in value.items()]
        items = value if isinstance(value, list) else [value]
        return [to_aws(shape.member, item, path, names) for item in items if item is not None]
    if kind == "map":
        if not isinstance(value, Mapping):
            raise ShapeError(path, f"expected a map, got {value!r}")
        return {key: to_aws(shape.value, item, f"{path}.{key}", names) for key, item in value.items()}
    return _scalar_to_aws(kind, value, path)


def _structure_to_aws(shape: Any, value: Any, path: str, names: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        if len(value) > 1:
            raise ShapeError(path, "expected at most one block")
        value = value[0] if value else {}
    if not isinstance(value, Mapping):
        raise ShapeError(path, f"expected an object, got {value!r}")
    filled = {}
    for key, item in value.items():
        at = f"{path}.{key}" if path else key
        member = member_of(shape, key, at, names)
        if member is None:
            raise ShapeError(at, f"is not known to AWS here ({shape.name})")
        if item is not None:
            filled[member] = to_aws(shape.members[member], item, at, names)
    return filled


def _scalar_to_aws(kind: str, value: Any, path: str) -> Any:
    try:
        match kind:
            case "integer" | "long":
                return int(value)
            case "float" | "double":
                return float(value)
            case "boolean":
                return {True: True, False: False, "true": True, "false": False}[value]
            case "blob":
                return value.encode() if isinstance(value, str) else value
            case "string":
                return _text(value)
            case _:
                return value
    except (KeyError, TypeError, ValueError):
        raise ShapeError(path, f"expected a value of type {kind}, got {value!r}") from None


def _text(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _stand_in(shape: Any) -> Any:
    match shape.type_name:
        case "structure":
            made: Any = {member: _stand_in(shape.members[member]) for member in shape.required_members}
        case "list":
            made = [_stand_in(shape.member)]
        case "map":
            made = {}
        case "integer" | "long" | "float" | "double":
            made = shape.metadata.get("min", 1)
        case "boolean":
            made = False
        case "blob":
            made = b""
        case "timestamp":
            made = datetime.datetime.now(datetime.UTC)
        case _:
            made = shape.enum[0] if shape.enum else "unknown".ljust(shape.metadata.get("min", 1), "-")
    return made


def pair_members(shape: Any) -> tuple[str, str] | None:
    """The members (key, value) of a list of pairs, such as tags; None for another list."""
    if shape.member.type_name != "structure":
        return None
    members = [member for member in shape.member.members if member != "ResourceArn"]
    key = next((member for member in members if fold(member).endswith(("key", "name"))), None)
    value = next((member for member in members if fold(member).endswith("value")), None)
    return (key, value) if key and value and len(members) == 2 else None


def keys_to_aws(shape: Any, keys: list[str]) -> Any:
    """Tag keys in the form of a shape: plain, or as pairs without a value."""
    pair = pair_members(shape)
    return [{pair[0]: key} for key in keys] if pair else keys


@dataclass(frozen=True)
class Form:
    """How a resource's properties differ from AWS's members (see `lab.providers.aws.table.Row`)."""

    names: Mapping[str, str] = field(default_factory=dict)
    singles: frozenset[str] = frozenset()
    plurals: frozenset[str] = frozenset()
    maps: frozenset[str] = frozenset()


def from_aws(shape: Any, value: Any, path: str = "", form: Form | None = None) -> Any:
    """An AWS value in Pulumi's form."""
    form = form or Form()
    kind = shape.type_name
    if kind == "structure":
        renamed = {
            (place.rpartition(".")[0], member): place.rpartition(".")[2]
            for place, member in form.names.items()
        }
        result: Properties = {}
        for member, item in value.items():
            if member in shape.members and item is not None:
                name = renamed.get((path, member), camel(member))
                result[name] = from_aws(shape.members[member], item, f"{path}.{name}" if path else name, form)
        return [result] if path in form.plurals else result
    if kind == "list":
        if path in form.maps and (pair := pair_members(shape)):
            return {item[pair[0]]: item.get(pair[1], "") for item in value}
        items = [from_aws(shape.member, item, path, form) for item in value]
        return (items[0] if items else None) if path in form.singles else items
    if kind == "map":
        return {key: from_aws(shape.value, item) for key, item in value.items()}
    return plain(value)


def plain(value: Any) -> Any:
    """A value with only what JSON can hold."""
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def tags_of(value: Any) -> dict[str, str]:
    """Tags as a map, from a map or from a list of pairs; without those that AWS itself sets."""
    if isinstance(value, list):
        pairs = {}
        for item in value:
            by_end = {
                "key" if fold(name).endswith("key") else "value": text
                for name, text in item.items()
                if fold(name).endswith(("key", "value"))
            }
            pairs[by_end["key"]] = by_end.get("value", "")
        value = pairs
    return {key: text for key, text in (value or {}).items() if not key.startswith("aws:")}


def lookup(values: Mapping[str, Any], path: str) -> Any:
    """A value by its dotted path, or None."""
    found: Any = values
    for part in path.split("."):
        if isinstance(found, list):
            found = found[int(part)] if part.isdecimal() and int(part) < len(found) else None
        else:
            found = found.get(part) if isinstance(found, Mapping) else None
    return found


def fill(template: Any, shape: Any, values: Mapping[str, Any], names: Mapping[str, str] | None = None) -> Any:
    """A template with its placeholders filled in, or MISSING. `shape` may be None where there is none to
    follow."""
    if isinstance(template, str):
        return _fill_text(template, shape, values, names)
    if isinstance(template, Mapping):
        filled = {}
        try:
            for member, part in template.items():
                item = fill(part, _inside(shape, member), values, names)
                if item is not MISSING:
                    filled[member] = item
        except _DropAroundError:
            return MISSING
        return filled if filled or not template else MISSING
    if isinstance(template, (list, tuple)):
        items = [fill(part, shape.member if shape is not None else None, values, names) for part in template]
        kept = [item for item in items if item is not MISSING]
        return kept if kept or not template else MISSING
    return template


def _inside(shape: Any, member: str) -> Any:
    if shape is None:
        return None
    return shape.value if shape.type_name == "map" else shape.members[member]


def _fill_text(template: str, shape: Any, values: Mapping[str, Any], names: Mapping[str, str] | None) -> Any:
    whole = _PLACEHOLDER.fullmatch(template)
    if whole:
        value = lookup(values, whole[1])
        if value is None or (whole[1] == "tagsAll" and not value):
            if whole[2]:
                raise _DropAroundError
            return MISSING
        if shape is None:
            return value
        if whole[1] == "keys":
            return keys_to_aws(shape, value)
        return to_aws(shape, value, whole[1], names)
    missing = [found[1] for found in _PLACEHOLDER.finditer(template) if lookup(values, found[1]) is None]
    if missing:
        return MISSING
    return _PLACEHOLDER.sub(lambda found: str(lookup(values, found[1])), template)


def substitute(text: str, values: Mapping[str, Any]) -> str:
    """A text with its placeholders filled in; what has no value is left empty."""
    return _PLACEHOLDER.sub(lambda found: str(lookup(values, found[1]) or ""), text)


def placeholders(template: Any) -> set[str]:
    """The properties that a template names."""
    if isinstance(template, str):
        return {found[1].split(".")[0] for found in _PLACEHOLDER.finditer(template)}
    if isinstance(template, Mapping):
        return set().union(*map(placeholders, template.values()))
    if isinstance(template, (list, tuple)):
        return set().union(*map(placeholders, template))
    return set()


def parse(template: str, text: str) -> Properties | None:
    """The values from which a template made a text, or None if it did not."""
    pattern = ""
    position = 0
    for found in _PLACEHOLDER.finditer(template):
        pattern += re.escape(template[position : found.start()]) + f"(?P<{found[1]}>.+?)"
        position = found.end()
    match = re.fullmatch(pattern + re.escape(template[position:]), text)
    return match.groupdict() if match else None


def shape_at(shape: Any, path: str) -> Any:
    """The shape of what a JMESPath of this table selects: member names, indexes and filters."""
    for part in re.sub(r"\[[^\]]*\]|\s*\|\s*", "", path).split("."):
        if part:
            while shape.type_name == "list":
                shape = shape.member
            shape = shape.members[part]
    while shape.type_name == "list" and ("[0]" in path or "[?" in path):
        shape = shape.member
    return shape
