"""RDS: databases, their parameters, and who is told of their events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from policy.control import Control, Rule, Stack, StackRule
from policy.controls.network import not_in_public_subnets
from policy.judgement import (
    ABSENT,
    Failed,
    Finding,
    NotEvaluated,
    Resource,
    at_least,
    has_unknown,
    includes,
    is_false,
    is_given,
    is_none_of,
    is_one_of,
    is_true,
)

INSTANCE = "aws:rds/instance:Instance"
PARAMETERS = "aws:rds/parameterGroup:ParameterGroup"
SUBNETS = "aws:rds/subnetGroup:SubnetGroup"
SUBSCRIPTION = "aws:rds/eventSubscription:EventSubscription"
LOGS = {"mysql": ("audit", "error", "general", "slowquery"), "postgres": ("postgresql", "upgrade")}
"""By engine, as RDS.9 asks for them."""
DEFAULT_ADMINISTRATORS = ("admin", "administrator", "mysql", "postgres", "rdsadmin", "root", "sa")
TLS = {"mysql": "require_secure_transport", "postgres": "rds.force_ssl"}
"""By the beginning of the parameter group's family, what makes TLS a must."""


def _logs(resource: Resource) -> Iterator[Finding]:
    engine = resource.value("engine")
    if engine is ABSENT:
        yield Failed("engine is absent, which says what logs there are")
    elif has_unknown(engine):
        yield NotEvaluated("engine is not known yet")
    elif engine not in LOGS:
        yield Failed(f"what logs {engine} has is not known to this control")
    else:
        yield from includes("enabledCloudwatchLogsExports", *LOGS[engine])(resource)
        if engine == "mysql":  # whose audit log is written by a plugin of its option group
            yield from is_given("optionGroupName")(resource)


def _tls(resource: Resource) -> Iterator[Finding]:
    family, parameters = resource.value("family"), resource.value("parameters")
    if family is ABSENT or parameters is ABSENT:
        yield Failed("family or parameters are absent; expected those that make TLS a must")
        return
    if has_unknown(family) or has_unknown(parameters):
        yield NotEvaluated("family or parameters are not known yet")
        return
    names = [name for engine, name in TLS.items() if str(family).startswith(engine)]
    if not names:
        yield Failed(f"what makes TLS a must in {family} is not known to this control")
        return
    values = {item.get("name"): str(item.get("value")) for item in parameters}
    if values.get(names[0], "").lower() not in {"1", "on", "true"}:
        yield Failed(f"parameter {names[0]} is {values.get(names[0], 'absent')}; expected 1")


def _private(resource: Resource, stack: Stack) -> Iterator[Finding]:
    groups = stack.sources(resource, "dbSubnetGroupName", SUBNETS)
    if not groups:
        yield NotEvaluated("its subnet group is not of this stack")
    for group in groups:
        yield from not_in_public_subnets("subnetIds")(group, stack)


def _told(source: str, *categories: str) -> StackRule:
    """A database's stack has a subscription to a kind of source, for all of it and to these categories."""

    def subscribed(subscription: Resource) -> bool:
        found: Any = subscription.value("eventCategories")
        return (
            subscription.value("sourceType") == source
            and isinstance(found, list)
            and {*categories} <= {item for item in found if isinstance(item, str)}
            and subscription.value("enabled") in (ABSENT, True)
            and subscription.value("sourceIds") in (ABSENT, [])
        )

    def judged(_resource: Resource, stack: Stack) -> Iterator[Finding]:
        subscriptions = stack.of(SUBSCRIPTION)
        if any(map(subscribed, subscriptions)):
            return
        watched = ("sourceType", "eventCategories", "enabled", "sourceIds")
        if any(has_unknown(item.value(name)) for item in subscriptions for name in watched):
            yield NotEvaluated("what the event subscriptions are to is not known yet")
        else:
            yield Failed(f"nobody is told of {source} events: expected {', '.join(categories)}")

    return StackRule((INSTANCE,), (judged,))


def _instance(*judges: Any) -> tuple[Rule, ...]:
    return (Rule((INSTANCE,), judges),)


CONTROLS = (
    Control(
        "RDS.2",
        "A database is not public.",
        "publiclyAccessible",
        _instance(is_false("publiclyAccessible")),
    ),
    Control(
        "RDS.3",
        "A database is encrypted under a key that is named.",
        "storageEncrypted, kmsKeyId",
        _instance(is_true("storageEncrypted"), is_given("kmsKeyId")),
    ),
    Control("RDS.5", "A database stands in several zones.", "multiAz", _instance(is_true("multiAz"))),
    Control(
        "RDS.6",
        "A database has enhanced monitoring.",
        "monitoringInterval, monitoringRoleArn",
        _instance(is_one_of("monitoringInterval", 1, 5, 10, 15, 30, 60), is_given("monitoringRoleArn")),
    ),
    Control(
        "RDS.8",
        "A database is protected from deletion.",
        "deletionProtection",
        _instance(is_true("deletionProtection")),
    ),
    Control(
        "RDS.9",
        "A database exports its logs.",
        "engine, enabledCloudwatchLogsExports, optionGroupName",
        _instance(_logs),
    ),
    Control(
        "RDS.10",
        "A database takes IAM authentication.",
        "iamDatabaseAuthenticationEnabled",
        _instance(is_true("iamDatabaseAuthenticationEnabled")),
    ),
    Control(
        "RDS.11",
        "A database is backed up, and backups are kept for a week or longer.",
        "backupRetentionPeriod",
        _instance(at_least("backupRetentionPeriod", 7)),
    ),
    Control(
        "RDS.13",
        "A database takes minor upgrades by itself.",
        "autoMinorVersionUpgrade",
        _instance(is_true("autoMinorVersionUpgrade")),
    ),
    Control(
        "RDS.17",
        "A database's tags are on its snapshots.",
        "copyTagsToSnapshot",
        _instance(is_true("copyTagsToSnapshot")),
    ),
    Control(
        "RDS.18",
        "A database is in a VPC, in a subnet group that is named.",
        "dbSubnetGroupName",
        _instance(is_none_of("dbSubnetGroupName", "default")),
    ),
    Control(
        "RDS.20",
        "Somebody is told of a database's critical events.",
        "rds.EventSubscription: sourceType, eventCategories, enabled, sourceIds",
        stack_rules=(_told("db-instance", "configuration change", "failure", "maintenance"),),
    ),
    Control(
        "RDS.21",
        "Somebody is told of changes of parameter groups.",
        "rds.EventSubscription: sourceType, eventCategories, enabled, sourceIds",
        stack_rules=(_told("db-parameter-group", "configuration change"),),
    ),
    Control(
        "RDS.22",
        "Somebody is told of critical events of security groups.",
        "rds.EventSubscription: sourceType, eventCategories, enabled, sourceIds",
        stack_rules=(_told("db-security-group", "configuration change", "failure"),),
    ),
    Control(
        "RDS.25",
        "A database's administrator has a name of its own.",
        "username",
        _instance(is_none_of("username", *DEFAULT_ADMINISTRATORS)),
    ),
    Control(
        "RDS.46",
        "A database's subnets have no route to the internet's gateway.",
        "dbSubnetGroupName, subnetIds, ec2.Route: gatewayId",
        _instance(is_given("dbSubnetGroupName")),
        (StackRule((INSTANCE,), (_private,)),),
    ),
    Control(
        "RDS-TLS",
        "A database refuses connections without TLS.",
        "parameterGroupName; rds.ParameterGroup: family, parameters",
        (Rule((PARAMETERS,), (_tls,)), Rule((INSTANCE,), (is_given("parameterGroupName"),))),
    ),
)
