"""Comparing what is wanted with what is there: pure functions over plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lab.providers.base import Change, Difference, Properties, State, has_unknown, is_unknown

Path = tuple[str | int, ...]


def same(wanted: Any, actual: Any) -> bool:
    """Whether two values mean the same; a number and its text do (``1`` and ``"1"``), and so do None and
    nothing."""
    if isinstance(wanted, bool) or isinstance(actual, bool):
        return bool(_truth(wanted) == _truth(actual))
    if isinstance(wanted, (int, float, str)) and isinstance(actual, (int, float, str)):
        return wanted == actual or str(wanted) == str(actual)
    if isinstance(wanted, Mapping) and isinstance(actual, Mapping):
        return all(same(wanted.get(key), actual.get(key)) for key in wanted.keys() | actual.keys())
    if isinstance(wanted, list) and isinstance(actual, list):
        return len(wanted) == len(actual) and all(map(same, wanted, actual))
    return bool(wanted == actual)


def _truth(value: Any) -> Any:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def covers(actual: Any, wanted: Any) -> bool:
    """Whether `actual` holds everything that `wanted` names; lists may be in another order."""
    if isinstance(wanted, Mapping):
        return isinstance(actual, Mapping) and all(covers(actual.get(key), wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        if not isinstance(actual, list) or len(actual) != len(wanted):
            return False
        rest = list(actual)
        for item in wanted:
            match = next((index for index, other in enumerate(rest) if covers(other, item)), None)
            if match is None:
                return False
            del rest[match]
        return True
    return same(wanted, actual)


def overlay(wanted: Any, actual: Any) -> Any:
    """The live values of just what `wanted` names; what is the same keeps the form in which it was wanted.

    What a program declares is thereby equal to this if and only if nothing was changed from outside.
    """
    if covers(actual, wanted):
        return wanted
    if isinstance(wanted, Mapping) and isinstance(actual, Mapping):
        return {
            key: overlay(value, actual[key]) for key, value in wanted.items() if actual.get(key) is not None
        }
    if isinstance(wanted, list) and isinstance(actual, list) and len(wanted) == len(actual):
        return [overlay(*pair) for pair in zip(wanted, actual, strict=True)]
    return actual


def changes(old: Any, actual: Any, new: Any, path: Path = ()) -> Iterator[Change]:
    """Each leaf in which new inputs differ from old ones, in the order of the names.

    `actual` is the remembered state beside the old inputs: what is newly stated and has the stated value
    already (say after an import) is no change.
    """
    if is_unknown(new):
        yield Change(path, "add" if old is None else "update")
    elif isinstance(new, Mapping) and (isinstance(old, Mapping) or old is None) and new:
        # Also where there was nothing before: each added leaf is named by itself.
        old, actual = old or {}, actual if isinstance(actual, Mapping) else {}
        for key in sorted(old.keys() | new.keys()):
            yield from changes(old.get(key), actual.get(key), new.get(key), (*path, key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from changes(_at(old, index), _at(actual, index), _at(new, index), (*path, index))
    elif old is None:
        if new not in (None, [], {}, "") and (has_unknown(new) or not covers(actual, new)):
            yield Change(path, "add")
    elif new is None:
        if old not in ([], {}, "", False):
            yield Change(path, "delete")
    elif has_unknown(new) or not same(new, old):
        yield Change(path, "update")


def _at(values: Any, index: int) -> Any:
    return values[index] if isinstance(values, list) and index < len(values) else None


def difference(
    old: State,
    news: Properties,
    *,
    replaces: Callable[[Path], bool],
    delete_before_replace: bool = False,
    order_free: bool = False,
) -> Difference:
    """How new inputs differ from the remembered state.

    With `order_free`, a list whose items merely changed places is no difference.
    """
    found: list[Change] = []
    for key in sorted(old.inputs.keys() | news.keys()):
        before, after = old.inputs.get(key), news.get(key)
        if order_free and not has_unknown(after) and covers(before, after) and covers(after, before):
            continue
        found += changes(before, old.outputs.get(key), after, (key,))
    marked = tuple(Change(change.path, change.kind, replaces(change.path)) for change in found)
    return Difference(marked, delete_before_replace and any(change.replace for change in marked))


def render_path(path: Sequence[str | int]) -> str:
    """A property path as engines print it: ``spec.ports[0]["app.kubernetes.io/name"]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif all(character not in part for character in '."[]'):
            text += f".{part}" if text else part
        else:
            text += '["' + part.replace('"', '\\"') + '"]'
    return text
