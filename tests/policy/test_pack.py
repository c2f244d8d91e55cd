"""The pack as the engine meets it: its policies, exceptions, and what it says of what it cannot judge."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyCustomTimeouts,
    PolicyResource,
    PolicyResourceOptions,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, unknown_checking_proxy

from components.settings.exceptions import ControlException
from policy.controls import CONTROLS
from policy.exceptions import load_exceptions
from policy.judgement import Resource
from policy.pack import EXCEPTIONS, NOT_EVALUATED, policies
from tests.policy.edits import Edit, edited, find
from tests.policy.good import GOOD

TODAY = date(2026, 11, 21)
OPTIONS = PolicyResourceOptions(False, [], None, [], PolicyCustomTimeouts(0, 0, 0), [])
EXCEPTION = ControlException(
    control="RDS.5", resource="db*", reason="a single zone is enough here", until=TODAY
)


class Engine:
    """Asks policies as the engine does."""

    def __init__(self, *exceptions: ControlException, today: date = TODAY) -> None:
        self.policies: dict[str, Policy] = {found.name: found for found in policies(exceptions, today)}
        self.found: list[tuple[str, str]] = []

    def judge(self, *resources: Resource) -> list[tuple[str, str]]:
        """Policies and messages, of single resources and then of the stack."""
        for resource in resources:
            args = ResourceValidationArgs(
                resource.type, _properties(resource), resource.urn, resource.name, OPTIONS, None
            )
            for policy in self.policies.values():
                if isinstance(policy, ResourceValidationPolicy):
                    policy.validate(args, self._reporter(policy))
        stack = StackValidationArgs(_stack(resources))
        for policy in self.policies.values():
            if isinstance(policy, StackValidationPolicy):
                policy.validate(stack, self._reporter(policy))
        return self.found

    def _reporter(self, policy: Policy) -> Any:
        return lambda message, _urn: self.found.append((policy.name, message))


def _properties(resource: Resource) -> Any:
    return unknown_checking_proxy(dict(resource.properties))


def _stack(resources: tuple[Resource, ...]) -> list[PolicyResource]:
    made = {
        item.urn: PolicyResource(
            item.type, _properties(item), item.urn, item.name, OPTIONS, None, None, [], {}
        )
        for item in resources
    }
    for item in resources:
        for path, urns in item.dependencies.items():
            made[item.urn].property_dependencies[path] = [made[urn] for urn in urns]
    return list(made.values())


def _database(path: str, value: object) -> Resource:
    return find(edited(GOOD, [Edit("Instance:db", path, value)]), "Instance:db")


def test_every_control_is_a_mandatory_policy_by_its_name() -> None:
    found = Engine().policies
    for control in CONTROLS:
        names = {name for name in found if name in {control.id, f"{control.id}-stack"}}
        assert len(names) == bool(control.rules) + bool(control.stack_rules)
        # The pack's own level, which is mandatory, holds for all that state none.
        assert all(found[name].enforcement_level is None for name in names)
    for name in (EXCEPTIONS, NOT_EVALUATED):
        assert found[name].enforcement_level is EnforcementLevel.ADVISORY
    assert list(found)[-2:] == [EXCEPTIONS, NOT_EVALUATED], "they come when all have judged"


def test_nothing_is_said_of_a_good_stack() -> None:
    assert Engine().judge(*GOOD) == []


def test_a_violation_says_what_is_and_what_was_expected() -> None:
    assert Engine().judge(*edited(GOOD, [Edit("Instance:db", "multiAz", False)])) == [
        ("RDS.5", "multiAz is false; expected true")
    ]


def test_a_stacks_violation_is_its_resources_own() -> None:
    assert Engine().judge(*edited(GOOD, [Edit("FlowLog:log")])) == [
        ("EC2.6-stack", "the stack has no FlowLog for it")
    ]


def test_an_exception_is_shown_until_its_date() -> None:
    bad = edited(GOOD, [Edit("Instance:db", "multiAz", False)])
    ((policy, message),) = Engine(EXCEPTION).judge(*bad)
    assert policy == EXCEPTIONS
    assert "RDS.5 does not hold for db until 2026-11-21: a single zone is enough here" in message
    assert "multiAz is false" in message


def test_an_exception_ends_by_itself() -> None:
    bad = edited(GOOD, [Edit("Instance:db", "multiAz", False)])
    assert Engine(EXCEPTION, today=date(2026, 11, 22)).judge(*bad) == [
        (
            "RDS.5",
            "multiAz is false; expected true "
            "(its exception ended on 2026-11-21: a single zone is enough here)",
        )
    ]


def test_an_exception_is_for_one_control_and_one_resource() -> None:
    elsewhere = EXCEPTION.model_copy(update={"resource": "another"})
    other = EXCEPTION.model_copy(update={"control": "RDS.2"})
    bad = edited(GOOD, [Edit("Instance:db", "multiAz", False)])
    assert [policy for policy, _ in Engine(elsewhere, other).judge(*bad)] == ["RDS.5"]


def test_what_is_unknown_is_told_at_the_end_and_violates_nothing() -> None:
    unknown = edited(GOOD, [Edit("Instance:db", "multiAz", UNKNOWN_STRING_VALUE)])
    assert Engine().judge(*unknown) == [(NOT_EVALUATED, "RDS.5 of db: multiAz is not known yet")]


def test_what_is_unknown_deep_down_is_unknown() -> None:
    logs = edited(
        GOOD, [Edit("Instance:db", "enabledCloudwatchLogsExports", ["error", UNKNOWN_STRING_VALUE])]
    )
    assert [policy for policy, _ in Engine().judge(*logs)] == [NOT_EVALUATED]


SETTINGS = {
    "exceptions": [
        {"control": "RDS.5", "resource": "db", "reason": "a single zone is enough", "until": "2027-01-01"}
    ]
}


def test_exceptions_stand_in_the_stacks_own_configuration(tmp_path: Path) -> None:
    config = json.dumps({"landfall:environment": json.dumps(SETTINGS)})
    (found,) = load_exceptions(tmp_path, {"PULUMI_STACK": "prod", "PULUMI_CONFIG": config})
    assert (found.control, found.until) == ("RDS.5", date(2027, 1, 1))


def test_exceptions_of_a_small_stack_stand_in_its_environments_file(tmp_path: Path) -> None:
    content = {"config": {"landfall:environment": SETTINGS}}
    (tmp_path / "Pulumi.prod.yaml").write_text(json.dumps(content))
    (found,) = load_exceptions(tmp_path, {"PULUMI_STACK": "prod-replication", "PULUMI_CONFIG": "{}"})
    assert found.resource == "db"
    assert load_exceptions(tmp_path, {"PULUMI_STACK": "rhoam"}) == ()


def test_a_wrong_exception_stops_the_pack_and_is_named(tmp_path: Path) -> None:
    settings = {"exceptions": [{**SETTINGS["exceptions"][0], "until": "some day"}]}
    config = json.dumps({"landfall:environment": settings})
    with pytest.raises(SystemExit, match=r"landfall:environment: exceptions\[0\.until\]"):
        load_exceptions(tmp_path, {"PULUMI_STACK": "prod", "PULUMI_CONFIG": config})
