"""What an operation of Pulumi changes, property by property, from the events that it tells of itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cutover.ports import Difference

if TYPE_CHECKING:
    from pulumi.automation.events import StepEventMetadata

_LONGEST_VALUE = 160
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What Pulumi has in place of a value that is known only after the `up`."""
_PATH = re.compile(r'([^.\[\]"]+)|\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]')
_INTERNAL = "__"
"""How the names of properties begin that providers keep for themselves."""


def differences(metadata: StepEventMetadata) -> tuple[Difference, ...]:
    """The properties that differ, each before and after; of what is created all, of what is deleted none.

    Secrets are masked by Pulumi before it tells of them.
    """
    old, new = metadata.old, metadata.new
    before = (old.inputs if old else None) or {}
    after = (new.inputs if new else None) or {}
    if not old:
        return tuple(Difference(path, "", show(value)) for path, value in _leaves("", after))
    if not new:
        return ()
    found = []
    for path, item in sorted((metadata.detailed_diff or {}).items()):
        # a difference from the world, and not from what was declared before, has its value in the outputs
        source = before if item.input_diff or at(before, path) is not None else (old.outputs or {})
        found.append(Difference(path, show(at(source, path)), show(at(after, path))))
    named = sorted({top.partition(".")[0] for top in metadata.diffs or ()}) if not found else ()
    found += [
        Difference(path, show(at(before, path)), show(at(after, path)))
        for path in named
        if at(before, path) != at(after, path)
    ]
    return tuple(found)


def at(value: Any, path: str) -> Any:
    """The value at a property's path, such as `data["a.b"]` or `spec.replicas`; None where there is none."""
    for name, quoted, index in _PATH.findall(path):
        key: str | int = int(index) if index else (name or quoted.replace('\\"', '"'))
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def show(value: Any) -> str:
    """A value on one line; empty for one that is absent."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text.replace(_UNKNOWN, "(known after the up)").replace("\n", "\\n")
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping) or (path and not value):
        yield path, value
        return
    for name, item in sorted(value.items()):
        if not name.startswith(_INTERNAL):
            key = name if re.fullmatch(r"[\w-]+", name) else f'["{name}"]'
            dot = "." if path and not key.startswith("[") else ""
            yield from _leaves(f"{path}{dot}{key}", item)
