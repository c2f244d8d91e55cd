"""Property values: JSON data in which any part may be a secret or unknown.

Assets, archives and resource references stay the dictionaries that the protocol uses for them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"
OUTPUT_SIGNATURE = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
# What stands for a value that is only known after an update; one string for each kind of value.
UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
UNKNOWN_STRINGS = frozenset(
    {
        UNKNOWN_STRING,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)


class Unknown:
    """A value that a preview cannot know."""

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that is encrypted wherever it is kept and masked wherever it is shown."""

    value: Any

    def __repr__(self) -> str:
        return "[secret]"


Properties = dict[str, Any]
# A quoted segment of a property path; a quote within is escaped, nothing else is.
_QUOTED = re.compile(r'\["((?:\\"|[^"])*)"\]', re.DOTALL)


def transform(value: Any, visit: Callable[[Any], Any]) -> Any:
    """A copy of `value` in which each Secret and Unknown is replaced by what `visit` makes of it."""
    if isinstance(value, Secret | Unknown):
        return visit(value)
    if isinstance(value, dict):
        return {key: transform(item, visit) for key, item in value.items()}
    if isinstance(value, list):
        return [transform(item, visit) for item in value]
    return value


def plain(value: Any) -> Any:
    """`value` without marks of secrecy."""
    return transform(value, lambda found: plain(found.value) if isinstance(found, Secret) else found)


def masked(value: Any) -> Any:
    """`value` to be shown: secrets and unknowns are named as such."""
    return transform(value, lambda found: "[secret]" if isinstance(found, Secret) else UNKNOWN_STRING)


def contains(value: Any, kind: type[Secret] | type[Unknown]) -> bool:
    """Whether a secret, or an unknown, is anywhere in `value`."""
    if isinstance(value, kind):
        return True
    if isinstance(value, Secret):
        return contains(value.value, kind)
    if isinstance(value, dict):
        return any(contains(item, kind) for item in value.values())
    if isinstance(value, list):
        return any(contains(item, kind) for item in value)
    return False


def secret_texts(value: Any, *, inside: bool = False) -> Iterator[str]:
    """The texts that secrets in `value` hold."""
    if isinstance(value, Secret):
        yield from secret_texts(value.value, inside=True)
    elif isinstance(value, dict):
        for item in value.values():
            yield from secret_texts(item, inside=inside)
    elif isinstance(value, list):
        for item in value:
            yield from secret_texts(item, inside=inside)
    elif inside and isinstance(value, str):
        yield value


def mark_like(outputs: Any, inputs: Any) -> Any:
    """`outputs` in which is secret what is secret at the same place of `inputs`.

    A provider that takes secrets as plain values gives them back so; unmarked they would be written plainly.
    """
    if isinstance(inputs, Secret):
        return outputs if isinstance(outputs, Secret) else Secret(plain(outputs))
    if isinstance(inputs, dict) and isinstance(outputs, dict):
        return {key: mark_like(item, inputs[key]) if key in inputs else item for key, item in outputs.items()}
    if isinstance(inputs, list) and isinstance(outputs, list):
        marked = [mark_like(out, into) for out, into in zip(outputs, inputs, strict=False)]
        return marked + outputs[len(marked) :]
    return outputs


def mark_keys(outputs: Properties, keys: tuple[str, ...]) -> Properties:
    """`outputs` in which the named properties are secret."""
    return {
        key: Secret(plain(item)) if key in keys and not isinstance(item, Secret) else item
        for key, item in outputs.items()
    }


def compact(value: Any) -> str:
    """`value` as one line of JSON, as the official engine writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def child(value: Any, segment: str | int) -> Any:
    """What a segment of a property path leads to in `value`; None if there is nothing."""
    if isinstance(value, dict):
        return value.get(segment)
    if isinstance(value, list) and isinstance(segment, int) and segment < len(value):
        return value[segment]
    return None


def parse_path(path: str) -> list[str | int]:
    """The segments of a property path such as `spec.ports[0]["a.b"].name`.

    Raises:
        ValueError: the path is not well formed.
    """
    segments: list[str | int] = []
    rest = path
    while rest:
        if rest.startswith('["'):
            quoted = _QUOTED.match(rest)
            if quoted is None:
                raise ValueError(f"missing closing quote in property path {path!r}")
            segments.append(quoted[1].replace('\\"', '"'))
            rest = rest[quoted.end() :]
        elif rest.startswith("["):
            end = rest.find("]")
            index = rest[1:end]
            if end < 0 or not (index.isdigit() or index == "*"):
                raise ValueError(f"bad index in property path {path!r}")
            segments.append(index if index == "*" else int(index))
            rest = rest[end + 1 :]
        else:
            rest = rest.removeprefix(".")
            stop = min((at for at in (rest.find("."), rest.find("[")) if at >= 0), default=len(rest))
            if stop == 0:
                raise ValueError(f"empty segment in property path {path!r}")
            segments.append(rest[:stop])
            rest = rest[stop:]
    return segments
