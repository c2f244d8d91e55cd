"""Pure decisions about changes: what differs, what is ignored, what forces a replacement."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lab.engine import values
from lab.engine.providers import Change, Diff, top_level
from lab.engine.state import Resource
from lab.engine.values import Properties

# What stands in a path without quotes, as in the official engine's.
_PLAIN = re.compile(r"[A-Za-z0-9_]+")


def keys(old: Resource, new: Resource) -> tuple[str, ...]:
    """The input properties that differ."""
    before, after = old.inputs, new.inputs
    return tuple(key for key in dict.fromkeys([*before, *after]) if before.get(key) != after.get(key))


def same_record(old: Resource, new: Resource) -> bool:
    """Whether the state says the same of both."""
    return vars_of(old) == vars_of(new)


def vars_of(resource: Resource) -> dict[str, Any]:
    """All that the state says of a resource."""
    return {key: value for key, value in vars(resource).items() if key != "all_dependencies"}


def compare(old: Properties, new: Properties, answer: Diff) -> Diff:
    """A diff of the inputs themselves, where a provider leaves the comparison to the engine."""
    detailed = dict(_leaves("", values.plain(old), values.plain(new)))
    found = tuple(dict.fromkeys(top_level(path) for path in detailed))
    return replace(
        answer, changes="some" if detailed else "none", keys=answer.keys or found, detailed=detailed
    )


def explained(old: Properties, new: Properties, answer: Diff) -> dict[str, Change]:
    """The leaves that differ, where a provider names only properties."""
    found = compare(old, new, answer).detailed
    return {
        path: replace(item, kind=f"{item.kind}-replace") if top_level(path) in answer.replaces else item
        for path, item in found.items()
    }


def _leaves(path: str, old: Any, new: Any) -> Iterator[tuple[str, Change]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            inner = join(path, key)
            if key not in old:
                yield inner, Change("add", input_diff=True)
            elif key not in new:
                yield inner, Change("delete", input_diff=True)
            else:
                yield from _leaves(inner, old[key], new[key])
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            inner = f"{path}[{index}]"
            if index >= len(old):
                yield inner, Change("add", input_diff=True)
            elif index >= len(new):
                yield inner, Change("delete", input_diff=True)
            else:
                yield from _leaves(inner, old[index], new[index])
    elif old != new or type(old) is not type(new):
        yield path, Change("update", input_diff=True)


def join(path: str, key: str) -> str:
    """The path of a key below a path."""
    if not key or any(character in key for character in '.["]'):
        quoted = key.replace('"', '\\"')
        return f'{path}["{quoted}"]'
    return f"{path}.{key}" if path else key


def ignoring(new: Properties, old: Properties, paths: tuple[str, ...]) -> Properties:
    """`new` in which what the paths lead to is as in `old`."""
    found: Any = new
    for path in paths:
        found = _restored(found, old, values.parse_path(path))
    return dict(found)


def _restored(new: Any, old: Any, segments: list[str | int]) -> Any:
    """`new` with what lies at the segments taken from `old`; absent there, it is absent."""
    head, rest = segments[0], segments[1:]
    if isinstance(new, list) and isinstance(old, list):
        common = range(min(len(new), len(old)))
        wanted = common if head == "*" else [index for index in common if index == head]
        items = list(new)
        for index in wanted:
            items[index] = _restored(new[index], old[index], rest) if rest else old[index]
        return items
    if not isinstance(new, dict) or not isinstance(old, dict):
        return new
    found = dict(new)
    for key in dict.fromkeys([*old, *new]) if head == "*" else [head]:
        if rest:
            if key in new and key in old:
                found[key] = _restored(new[key], old[key], rest)
        elif key in old:
            found[key] = old[key]
        else:
            found.pop(key, None)
    return found


def replacing_on(diff: Diff, paths: tuple[str, ...]) -> Diff:
    """`diff` in which a change at one of the paths forces a replacement; `*` is any change."""
    if diff.changes != "some" or not paths:
        return diff
    changed = list(diff.detailed) or list(diff.keys)
    wanted = [values.parse_path(path) for path in paths]
    forced = [path for path in changed if any(_within(values.parse_path(path), item) for item in wanted)]
    if not forced:
        return diff
    replaces = tuple(dict.fromkeys([*diff.replaces, *(top_level(path) for path in forced)]))
    return replace(diff, replaces=replaces)


def _within(path: list[str | int], wanted: list[str | int]) -> bool:
    """Whether a change at one path is one at the other: either lies within the other."""
    return all(want in {"*", have} for have, want in zip(path, wanted, strict=False))
