"""The rights of the cutover's runner in each phase of moving 3scale into RHOAM."""

from collections.abc import Mapping, Sequence

from components.policies import Statement

DESTINATION = "destination"
"""The phase that works in the destination's account."""


def looking_statements(journal: str, journal_key: str) -> list[Statement]:
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
        _allow(["dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:Query"], journal),
        _allow(["kms:Decrypt"], journal_key),
    ]


def conversion_statements(
    *,
    journal: str,
    journal_key: str,
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
        _allow(["dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"], journal),
        _allow(["dynamodb:UpdateItem"], journal),
        _allow(["kms:Decrypt", "kms:GenerateDataKey"], [journal_key, bucket_key]),
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
