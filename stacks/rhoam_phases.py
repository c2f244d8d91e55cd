"""The rights of the cutover's runner in each phase of moving 3scale into RHOAM."""

from collections.abc import Mapping, Sequence

from components.policies import Statement
from stacks.runner_journal import journal_statements
from stacks.settings.cutover import AnchorSettings

DESTINATION = "destination"
"""The phase that works in the destination's account."""


def looking_statements(journal: str, journal_key: str, anchors: AnchorSettings | None) -> list[Statement]:
    """Looks at what there is; describing takes `*` in these services."""
    return [
        _allow(
            [
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcPeeringConnections",
                "ec2:DescribeVpcs",
                "elasticache:DescribeReplicationGroups",
                "rds:DescribeDBEngineVersions",
                "rds:DescribeDBInstances",
            ]
        ),
        *journal_statements(journal, journal_key, anchors, write=False),
    ]


def conversion_statements(
    *,
    journal: str,
    journal_key: str,
    anchors: AnchorSettings | None,
    bucket: str,
    bucket_key: str,
    customers_bucket: str,
    database: str,
    secrets: Mapping[str, Sequence[str]],
) -> list[Statement]:
    """Loads, upgrades and converts, with dumps and secrets in the bucket; reads the customer's bucket.

    `database` is upgraded, into a parameter group that is named after it.
    """
    place, _, instance = database.rpartition(":db:")
    customers = f"arn:aws:s3:::{customers_bucket}"
    return [
        *journal_statements(journal, journal_key, anchors, write=True),
        _allow(["kms:Decrypt", "kms:GenerateDataKey"], bucket_key),
        _allow(["s3:ListBucket"], bucket),
        _allow(["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], f"{bucket}/*"),
        _allow(
            [
                "s3:GetBucketPolicyStatus",
                "s3:GetBucketPublicAccessBlock",
                "s3:GetEncryptionConfiguration",
                "s3:ListBucket",
            ],
            customers,
        ),
        _allow(["s3:GetObject"], f"{customers}/*"),
        _allow(
            [
                "elasticache:DescribeReplicationGroups",
                "rds:DescribeDBEngineVersions",
                "rds:DescribeDBInstances",
                "rds:DescribeDBSnapshots",
            ]
        ),
        _allow(
            [
                "rds:CreateDBParameterGroup",
                "rds:CreateDBSnapshot",
                "rds:ModifyDBInstance",
                "rds:ModifyDBParameterGroup",
            ],
            [
                database,
                f"{place}:og:default:*",
                f"{place}:pg:{instance}-*",
                f"{place}:snapshot:{instance}-*",
            ],
        ),
        _allow(["rds:DescribeDBParameters"], f"{place}:pg:*"),
        *_credentials(secrets),
    ]


def destination_statements(secrets: Mapping[str, Sequence[str]]) -> list[Statement]:
    """Restores into the destination's databases."""
    return [
        _allow(["rds:DescribeDBInstances", "elasticache:DescribeReplicationGroups"]),
        *_credentials(secrets),
    ]


def _credentials(secrets: Mapping[str, Sequence[str]]) -> list[Statement]:
    return [
        _allow(["secretsmanager:GetSecretValue"], sorted(secrets["secrets"])),
        _allow(["kms:Decrypt"], sorted(secrets["keys"])),
    ]


def _allow(actions: Sequence[str], resource: str | Sequence[str] = "*") -> Statement:
    return {
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": resource if isinstance(resource, str) else list(resource),
    }
