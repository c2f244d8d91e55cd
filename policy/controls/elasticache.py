"""ElastiCache: replication groups."""

from __future__ import annotations

from collections.abc import Iterator

from policy.control import Control, Rule
from policy.judgement import (
    ABSENT,
    Failed,
    Finding,
    Judge,
    NotEvaluated,
    Resource,
    at_least,
    has_unknown,
    is_none_of,
    is_true,
)

GROUP = "aws:elasticache/replicationGroup:ReplicationGroup"


def _authenticated(resource: Resource) -> Iterator[Finding]:
    ways = [resource.value(name) for name in ("userGroupIds", "authToken")]
    given = [way for way in ways if way not in (ABSENT, [], "")]
    if not given:
        yield Failed("userGroupIds and authToken are absent; expected one of them")
    elif all(map(has_unknown, given)):
        yield NotEvaluated("userGroupIds is not known yet")


def _group(id_: str, demands: str, properties: str, *judges: Judge) -> Control:
    return Control(id_, demands, properties, (Rule((GROUP,), judges),))


CONTROLS = (
    _group(
        "ElastiCache.1",
        "A cache is backed up.",
        "snapshotRetentionLimit",
        at_least("snapshotRetentionLimit", 1),
    ),
    _group(
        "ElastiCache.2",
        "A cache takes minor upgrades by itself.",
        "autoMinorVersionUpgrade",
        is_true("autoMinorVersionUpgrade"),
    ),
    _group(
        "ElastiCache.3",
        "A cache fails over by itself.",
        "automaticFailoverEnabled",
        is_true("automaticFailoverEnabled"),
    ),
    _group(
        "ElastiCache.4",
        "A cache is encrypted at rest.",
        "atRestEncryptionEnabled",
        is_true("atRestEncryptionEnabled"),
    ),
    _group(
        "ElastiCache.5",
        "A cache is encrypted in transit.",
        "transitEncryptionEnabled",
        is_true("transitEncryptionEnabled"),
    ),
    _group(
        "ElastiCache.6",
        "A cache asks who connects, by users or by a token.",
        "userGroupIds or authToken",
        _authenticated,
    ),
    _group(
        "ElastiCache.7",
        "A cache is in a subnet group of its own.",
        "subnetGroupName",
        is_none_of("subnetGroupName", "default"),
    ),
)
