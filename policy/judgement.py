"""What a control finds out about a resource: pure functions over plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final


class Unknown:
    """A value that is known only after the update."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN: Final = Unknown()
ABSENT: Final = object()


@dataclass(frozen=True)
class Resource:
    """A resource as a program declares it. Where a value is not known yet, its place holds `UNKNOWN`."""

    type: str
    name: str
    urn: str
    properties: Mapping[str, Any]
    dependencies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By property, the URNs of the resources that its value comes from; known even where the value is not."""

    def value(self, path: str) -> Any:
        """The value at a dotted path, `UNKNOWN`, or `ABSENT`. Null is absent."""
        found: Any = self.properties
        for name in path.split("."):
            if isinstance(found, Unknown):
                return UNKNOWN
            found = found.get(name) if isinstance(found, Mapping) else None
        return ABSENT if found is None else found


@dataclass(frozen=True)
class Failed:
    """A demand that a resource does not meet."""

    message: str


@dataclass(frozen=True)
class NotEvaluated:
    """A demand that cannot be judged yet."""

    reason: str


Finding = Failed | NotEvaluated
Judge = Callable[[Resource], Iterable[Finding]]


@dataclass(frozen=True)
class Demand:
    """What the value at a path must be."""

    path: str
    expected: str
    """For a person, after "expected"."""
    holds: Callable[[Any], bool]

    def __call__(self, resource: Resource) -> Iterator[Finding]:
        """What is wrong with the value: nothing, or one finding."""
        value = resource.value(self.path)
        if value is ABSENT:
            yield Failed(f"{self.path} is absent; expected {self.expected}")
        elif has_unknown(value):
            yield NotEvaluated(f"{self.path} is not known yet")
        elif not self.holds(value):
            yield Failed(f"{self.path} is {shown(value)}; expected {self.expected}")


def has_unknown(value: Any) -> bool:
    """Whether anything in a value is not known yet."""
    if isinstance(value, Mapping):
        return any(map(has_unknown, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(has_unknown, value))
    return isinstance(value, Unknown)


def shown(value: Any) -> str:
    """A value in a message; a text that may be long, such as a document, is only named."""
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 100 else "something else"


def is_true(path: str) -> Demand:
    """True, also as a text."""
    return Demand(path, "true", lambda value: value is True or value == "true")


def is_false(path: str) -> Demand:
    """False, also as a text."""
    return Demand(path, "false", lambda value: value is False or value == "false")


def is_given(path: str) -> Demand:
    """Any value but an empty one."""
    return Demand(path, "a value", lambda value: value not in ("", [], {}))


def at_least(path: str, least: int) -> Demand:
    """A number not below `least`."""
    return Demand(path, f"at least {least}", lambda value: isinstance(value, (int, float)) and value >= least)


def is_one_of(path: str, *values: object) -> Demand:
    """One of some values."""
    names = ", ".join(map(str, values))
    return Demand(path, names if len(values) == 1 else f"one of {names}", lambda value: value in values)


def is_none_of(path: str, *values: object) -> Demand:
    """A value, but none of these."""
    names = ", ".join(map(str, values))
    return Demand(path, f"none of {names}", lambda value: value and value not in values)


def includes(path: str, *items: str) -> Demand:
    """A list with at least these items."""
    return Demand(
        path,
        f"at least {', '.join(items)}",
        lambda value: isinstance(value, list) and all(item in value for item in items),
    )


def is_empty(path: str) -> Demand:
    """A list that is stated, and empty."""
    return Demand(path, "an empty list", lambda value: value == [])
