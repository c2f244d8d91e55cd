"""Changes of a stack's resources, and what the controls then say of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from policy.control import Control, Stack, Verdict, judge, judge_stack
from policy.judgement import Resource

DROPPED = object()


@dataclass(frozen=True)
class Edit:
    """One change: of a property, of where its value comes from, or of whether there is a resource at all."""

    resource: str
    """`<end of its type>:<name>`, such as `Instance:db`; of an added one, nothing."""
    path: str = ""
    """Of a property; empty: the whole resource."""
    value: Any = DROPPED
    """`DROPPED` takes the property, or the resource, away."""
    sources: tuple[str, ...] | None = None
    """Where the property's value comes from now, by resources named as above."""
    added: Resource | None = None

    def __str__(self) -> str:
        if self.added is not None:
            return f"a {_short(self.added.type)} is added"
        if not self.path:
            return f"{self.resource} is taken away"
        if self.value is DROPPED and self.sources is None:
            return f"{self.path} of {self.resource} is taken away"
        if self.sources is not None:
            return f"{self.path} of {self.resource} comes from {', '.join(self.sources) or 'elsewhere'}"
        text = repr(self.value)
        return f"{self.path} of {self.resource} becomes {text if len(text) < 60 else 'another'}"


def _short(type_: str) -> str:
    return type_.rpartition(":")[2]


def find(resources: Iterable[Resource], title: str) -> Resource:
    """The resource of that title.

    Raises:
        LookupError: there is none, or there are several.
    """
    kind, _, name = title.partition(":")
    found = [item for item in resources if _short(item.type) == kind and item.name == name]
    found = [item for item in found if not item.type.startswith("landfall:")]
    if len(found) != 1:
        raise LookupError(f"{len(found)} resources are {title}")
    return found[0]


def edited(resources: Sequence[Resource], edits: Iterable[Edit]) -> list[Resource]:
    """The resources after some changes."""
    result = list(resources)
    for edit in edits:
        if edit.added is not None:
            result.append(edit.added)
            continue
        old = find(result, edit.resource)
        index = result.index(old)
        if not edit.path:
            del result[index]
        else:
            result[index] = _changed(old, edit, result)
    return result


def _changed(old: Resource, edit: Edit, among: Sequence[Resource]) -> Resource:
    if edit.sources is not None:
        urns = tuple(find(among, title).urn for title in edit.sources)
        new = replace(old, dependencies={**old.dependencies, edit.path: urns})
        return new if edit.value is DROPPED else _with(new, edit.path, edit.value)
    if edit.value is DROPPED:
        dependencies = {key: urns for key, urns in old.dependencies.items() if key != edit.path}
        old = replace(old, dependencies=dependencies)
    return _with(old, edit.path, edit.value)


def _with(resource: Resource, path: str, value: Any) -> Resource:
    return replace(resource, properties=_set(resource.properties, path.split("."), value))


def _set(holder: Mapping[str, Any], keys: Sequence[str], value: Any) -> dict[str, Any]:
    head, *rest = keys
    result = dict(holder)
    if rest:
        result[head] = _set(holder[head], rest, value)
    elif value is DROPPED:
        del result[head]
    else:
        result[head] = value
    return result


def verdicts(control: Control, resources: Sequence[Resource]) -> list[Verdict]:
    """What a control says of a stack, resource by resource and as a whole."""
    single = [judge(control, resource) for resource in resources]
    return [
        *(verdict for verdict in single if verdict is not None),
        *judge_stack(control, Stack(resources)),
    ]


def outcome(control: Control, resources: Sequence[Resource]) -> str:
    """`failed`, `not evaluated`, `passed`, or `nothing to judge`."""
    found = verdicts(control, resources)
    if any(verdict.failures for verdict in found):
        return "failed"
    if any(verdict.not_evaluated for verdict in found):
        return "not evaluated"
    return "passed" if found else "nothing to judge"
