"""A control: what it demands, of which resources, and how these are judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from policy.judgement import (
    ABSENT,
    Failed,
    Finding,
    Judge,
    NotEvaluated,
    Resource,
    has_unknown,
)


class Stack:
    """All resources of a stack, and which comes from which."""

    def __init__(self, resources: Sequence[Resource]) -> None:
        self.resources = resources

    @cached_property
    def _by_urn(self) -> Mapping[str, Resource]:
        return {resource.urn: resource for resource in self.resources}

    def of(self, *types: str) -> list[Resource]:
        """The resources of some types."""
        return [resource for resource in self.resources if resource.type in types]

    def sources(self, resource: Resource, path: str, *types: str) -> list[Resource]:
        """The resources of some types that a property's value comes from."""
        urns = resource.dependencies.get(path, ())
        found = (self._by_urn[urn] for urn in urns if urn in self._by_urn)
        return [source for source in found if not types or source.type in types]

    def users(self, resource: Resource, type_: str, path: str) -> list[Resource]:
        """The resources of a type that name `resource` in a property: by where its value comes from, or by
        the value itself."""
        own = (resource.value(name) for name in ("id", "arn", "bucket"))
        names = [value for value in own if isinstance(value, str)]
        return [
            user
            for user in self.of(type_)
            if resource.urn in user.dependencies.get(path, ()) or user.value(path) in names
        ]


StackJudge = Callable[[Resource, Stack], Iterable[Finding]]


@dataclass(frozen=True)
class Rule:
    """Judges single resources by their declared inputs."""

    types: tuple[str, ...]
    judges: tuple[Judge, ...]


@dataclass(frozen=True)
class StackRule:
    """Judges resources of these types by what else the stack holds, after all is registered."""

    types: tuple[str, ...]
    judges: tuple[StackJudge, ...]


@dataclass(frozen=True)
class Control:
    """One row of the table of controls."""

    id: str
    demands: str
    """A sentence for a person."""
    properties: str
    """What is judged, by the providers' names."""
    rules: tuple[Rule, ...] = ()
    stack_rules: tuple[StackRule, ...] = ()

    @property
    def types(self) -> tuple[str, ...]:
        """The resource types that it judges."""
        found = [rule.types for rule in self.rules] + [rule.types for rule in self.stack_rules]
        return tuple(dict.fromkeys(kind for types in found for kind in types))


@dataclass(frozen=True)
class Verdict:
    """What came of judging one resource by one control; without findings it has passed."""

    control: Control
    resource: Resource
    findings: tuple[Finding, ...]

    @property
    def failures(self) -> tuple[str, ...]:
        """What is wrong. What is known to be wrong counts, whatever else is not known."""
        return tuple(found.message for found in self.findings if isinstance(found, Failed))

    @property
    def not_evaluated(self) -> tuple[str, ...]:
        """Why it could not be judged; empty where it was."""
        if self.failures:
            return ()
        return tuple(found.reason for found in self.findings if isinstance(found, NotEvaluated))


def judge(control: Control, resource: Resource) -> Verdict | None:
    """The verdict on a resource's inputs; None where the control does not judge such."""
    judges = [one for rule in control.rules if resource.type in rule.types for one in rule.judges]
    if not judges:
        return None
    return Verdict(control, resource, tuple(finding for one in judges for finding in one(resource)))


def judge_stack(control: Control, stack: Stack) -> Iterator[Verdict]:
    """The verdicts on a whole stack, one for each resource that the control judges."""
    for resource in stack.resources:
        judges = [one for rule in control.stack_rules if resource.type in rule.types for one in rule.judges]
        if judges:
            findings = (finding for one in judges for finding in one(resource, stack))
            yield Verdict(control, resource, tuple(findings))


def accompanied(type_: str, path: str, what: str) -> StackJudge:
    """Demands that a resource of a type names the judged one in a property."""

    def judged(resource: Resource, stack: Stack) -> Iterator[Finding]:
        if stack.users(resource, type_, path):
            return
        strangers = (other for other in stack.of(type_) if not stack.sources(other, path, resource.type))
        if any(has_unknown(other.value(path)) for other in strangers):
            yield NotEvaluated(f"which one a {what} is for is not known yet")
        else:
            yield Failed(f"the stack has no {what} for it")

    return judged


def stated(resource: Resource, path: str) -> bool:
    """Whether a property is there, known or not."""
    return resource.value(path) is not ABSENT
