"""The controls as a Pulumi policy pack: each is a policy by its name, and a violation of it is mandatory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyPack,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from components.settings.exceptions import ControlException
from policy.control import Control, Stack, Verdict, judge, judge_stack
from policy.controls import CONTROLS
from policy.exceptions import covering, ended
from policy.judgement import UNKNOWN, Resource

NAME = "landfall"
EXCEPTIONS = "exceptions"
NOT_EVALUATED = "not-evaluated"
STACK = "-stack"
"""Ends the name of the policy that judges a control's demands on the whole stack."""


def run(exceptions: Sequence[ControlException], today: date) -> None:
    """Serves the policies until the engine ends the process."""
    PolicyPack(name=NAME, policies=policies(exceptions, today), enforcement_level=EnforcementLevel.MANDATORY)


def policies(exceptions: Sequence[ControlException], today: date) -> list[Policy]:
    """A policy, or two, for each control; and advisory ones that show exceptions and what was not judged."""
    book = Book(tuple(exceptions), today)
    made: list[Policy] = []
    for control in CONTROLS:
        if control.rules:
            made.append(_resource_policy(control, book))
        if control.stack_rules:
            made.append(_stack_policy(control, book))
    return [*made, *_notes(book)]


@dataclass
class Book:
    """The exceptions, and what was found out on the way that the advisory policies show at the end."""

    exceptions: tuple[ControlException, ...]
    today: date
    excused: list[tuple[Verdict, ControlException]] = field(default_factory=list)
    not_evaluated: list[Verdict] = field(default_factory=list)

    def violations(self, verdict: Verdict) -> tuple[str, ...]:
        """What a verdict's resource violates, without what is excused."""
        if verdict.not_evaluated:
            self.not_evaluated.append(verdict)
        if not verdict.failures:
            return ()
        where = (verdict.control.id, verdict.resource.name, self.today)
        if (exception := covering(self.exceptions, *where)) is not None:
            self.excused.append((verdict, exception))
            return ()
        past = ended(self.exceptions, *where)
        note = f" (its exception ended on {past.until.isoformat()}: {past.reason})" if past else ""
        return tuple(f"{message}{note}" for message in verdict.failures)


def _resource_policy(control: Control, book: Book) -> Policy:
    types = {kind for rule in control.rules for kind in rule.types}

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.resource_type not in types:
            return
        verdict = judge(control, Resource(args.resource_type, args.name, args.urn, plain(args.props)))
        for message in book.violations(verdict) if verdict else ():
            report(message, None)

    return ResourceValidationPolicy(control.id, control.demands, validate)


def _stack_policy(control: Control, book: Book) -> Policy:
    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        for verdict in judge_stack(control, Stack([_resource(item) for item in args.resources])):
            for message in book.violations(verdict):
                report(message, verdict.resource.urn)

    return StackValidationPolicy(f"{control.id}{STACK}", control.demands, validate)


def _notes(book: Book) -> list[Policy]:
    """These come last, when all others have judged."""

    def show_exceptions(_args: StackValidationArgs, report: ReportViolation) -> None:
        for verdict, exception in book.excused:
            report(
                f"{verdict.control.id} does not hold for {verdict.resource.name} until "
                f"{exception.until.isoformat()}: {exception.reason}\n{'; '.join(verdict.failures)}",
                verdict.resource.urn,
            )

    def show_not_evaluated(_args: StackValidationArgs, report: ReportViolation) -> None:
        if book.not_evaluated:
            lines = sorted(
                f"{verdict.control.id} of {verdict.resource.name}: {', '.join(verdict.not_evaluated)}"
                for verdict in book.not_evaluated
            )
            report("\n".join(lines), None)

    advisory = EnforcementLevel.ADVISORY
    return [
        StackValidationPolicy(
            EXCEPTIONS, "Exceptions that the settings name, each until its date.", show_exceptions, advisory
        ),
        StackValidationPolicy(
            NOT_EVALUATED,
            "Controls that cannot be judged before the update, for values that are not known yet.",
            show_not_evaluated,
            advisory,
        ),
    ]


def _resource(item: PolicyResource) -> Resource:
    return Resource(
        item.resource_type,
        item.name,
        item.urn,
        plain(item.props),
        {
            name: tuple(source.urn for source in sources)
            for name, sources in item.property_dependencies.items()
        },
    )


def plain(value: Any) -> Any:
    """A value without the SDK's proxies, which raise where something is not known."""
    if isinstance(value, Mapping):
        return {key: _item(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_item(value, index) for index in range(len(value))]
    # The protocol has no whole numbers.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _item(holder: Any, key: str | int) -> Any:
    try:
        return plain(holder[key])
    except UnknownValueError:
        return UNKNOWN
