"""The rights of the cutover's runner in each phase of moving services and their database."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from components.policies import Statement
from stacks.runner_journal import journal_statements
from stacks.settings.cutover import AnchorSettings

PHASES = ("preflight", "services", "database")
"""Looking, moving the services (the first document's phase 1), and switching the database (its phase 2)."""


@dataclass(frozen=True)
class Resources:
    """ARNs of what the runner works with; None or empty where the environment has no such thing."""

    cluster: str
    journal: str
    journal_key: str
    anchors: AnchorSettings | None
    """Where the journal's hashes are kept besides."""
    state_bucket: str | None
    """Its name."""
    state_key: str | None
    database_secret: str | None
    database_key: str | None
    database_group: str | None
    """The id of its security group."""
    cache_secret: str | None
    cache_key: str | None
    replication_prefix: str
    """What names of the replication's tasks and secrets begin with."""
    account: str
    region: str


def statements(phase: str, resources: Resources) -> list[Statement]:
    """The rights of one phase, of no resource but the environment's where AWS lets them be limited so.

    Raises:
        ValueError: there is no such phase.
    """
    match phase:
        case "preflight":
            return [*_looking(resources), *_state(resources, write=False)]
        case "services":
            return [
                *journal_statements(resources.journal, resources.journal_key, resources.anchors, write=True),
                *_state(resources, write=True),
                *_cluster(resources),
            ]
        case "database":
            return [
                *journal_statements(resources.journal, resources.journal_key, resources.anchors, write=True),
                *_state(resources, write=True),
                *_cluster(resources),
                *_replication(resources),
                *_fence(resources),
                *_credentials(resources),
            ]
    raise ValueError(f"no phase is named {phase!r}; there are {', '.join(PHASES)}")


def _allow(actions: Sequence[str], resource: str | Sequence[str] = "*", **condition: Any) -> Statement:
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": resource if isinstance(resource, str) else list(resource),
    }
    return statement | ({"Condition": condition} if condition else {})


def _looking(resources: Resources) -> list[Statement]:
    """Describing takes `*` in these services."""
    return [
        *_cluster(resources),
        _allow(
            [
                "dms:DescribeConnections",
                "dms:DescribeEndpoints",
                "dms:DescribeReplicationInstances",
                "dms:DescribeReplicationTasks",
                "ec2:DescribeAddresses",
                "ec2:DescribeNatGateways",
                "ec2:DescribeSecurityGroupRules",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
                "elasticache:DescribeReplicationGroups",
                "elasticloadbalancing:DescribeLoadBalancers",
                "rds:DescribeDBEngineVersions",
                "rds:DescribeDBInstances",
                "rds:DescribeDBParameters",
            ]
        ),
        *journal_statements(resources.journal, resources.journal_key, resources.anchors, write=False),
    ]


def _cluster(resources: Resources) -> list[Statement]:
    """What a token for the Kubernetes API takes; its rights there are an access entry's."""
    return [_allow(["eks:DescribeCluster"], resources.cluster)]


def _state(resources: Resources, *, write: bool) -> list[Statement]:
    """Pulumi's own state, where it is kept on S3."""
    found: list[Statement] = []
    if resources.state_bucket is not None:
        bucket = f"arn:aws:s3:::{resources.state_bucket}"
        actions = ["s3:GetObject", *(["s3:PutObject", "s3:DeleteObject"] if write else [])]
        found += [_allow(["s3:ListBucket"], bucket), _allow(actions, f"{bucket}/.pulumi/*")]
    if resources.state_key is not None:
        found.append(_allow(["kms:Decrypt", *(["kms:Encrypt"] if write else [])], resources.state_key))
    return found


def _replication(resources: Resources) -> list[Statement]:
    """Tasks and endpoints have ARNs that nobody chooses: they are told apart by their tags."""
    dms = f"arn:aws:dms:{resources.region}:{resources.account}"
    tagged = {"StringEquals": {"aws:ResourceTag/landfall:replication": resources.replication_prefix}}
    return [
        _allow(
            [
                "cloudwatch:GetMetricData",
                "dms:DescribeConnections",
                "dms:DescribeEndpoints",
                "dms:DescribeReplicationInstances",
                "dms:DescribeReplicationTasks",
                "rds:DescribeDBInstances",
            ]
        ),
        _allow(
            ["dms:StartReplicationTask", "dms:StopReplicationTask", "dms:DescribeTableStatistics"],
            f"{dms}:task:*",
            **tagged,
        ),
        _allow(["dms:TestConnection"], [f"{dms}:rep:*", f"{dms}:endpoint:*"], **tagged),
    ]


def _fence(resources: Resources) -> list[Statement]:
    """Closing the target's database to its applications, for the way back, and opening it again."""
    if resources.database_group is None:
        return []
    group = f"arn:aws:ec2:{resources.region}:{resources.account}:security-group/{resources.database_group}"
    return [
        _allow(["ec2:DescribeSecurityGroupRules"]),
        _allow(["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"], group),
    ]


def _credentials(resources: Resources) -> list[Statement]:
    """The databases' own credentials, and filling in the replication's."""
    secrets = f"arn:aws:secretsmanager:{resources.region}:{resources.account}:secret"
    found = [
        _allow(
            ["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"],
            [
                f"{secrets}:{resources.replication_prefix}-replication-*",
                f"{secrets}:{resources.replication_prefix}-native-replication-*",
            ],
        ),
        _allow(
            ["kms:Decrypt", "kms:GenerateDataKey"],
            f"arn:aws:kms:{resources.region}:{resources.account}:key/*",
            StringEquals={
                "kms:ViaService": f"secretsmanager.{resources.region}.amazonaws.com",
                "aws:ResourceTag/landfall:replication": resources.replication_prefix,
            },
        ),
    ]
    known = [arn for arn in (resources.database_secret, resources.cache_secret) if arn is not None]
    keys = [arn for arn in (resources.database_key, resources.cache_key) if arn is not None]
    if known:
        found.append(_allow(["secretsmanager:GetSecretValue"], known))
    if keys:
        found.append(_allow(["kms:Decrypt"], keys))
    return found
