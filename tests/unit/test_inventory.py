"""Whoever asks what is left asks for everything that was made."""

import pytest
from botocore import xform_name

from lab.inventory import KEYS, KINDS, SNAPSHOTS
from lab.providers.aws.rows import ROWS
from tests.unit.recording import IMPORT_WARNINGS, Recording

pytestmark = pytest.mark.filterwarnings(IMPORT_WARNINGS)

LISTED = {
    "aws:dynamodb/table:Table": ("dynamodb", "list_tables"),
    "aws:eks/cluster:Cluster": ("eks", "list_clusters"),
    "aws:iam/instanceProfile:InstanceProfile": ("iam", "list_instance_profiles"),
    "aws:iam/role:Role": ("iam", "list_roles"),
    "aws:iam/user:User": ("iam", "list_users"),
    "aws:kms/key:Key": ("kms", "list_keys"),
    "aws:s3/bucket:Bucket": ("s3", "list_buckets"),
    "aws:secretsmanager/secret:Secret": ("secretsmanager", "list_secrets"),
    "aws:sns/topic:Topic": ("sns", "list_topics"),
    "aws:sns/topicSubscription:TopicSubscription": ("sns", "list_subscriptions"),
}
"""Types that are listed by another operation than the one that reads a single one."""
PARTS = {
    "eks/cluster:Cluster": (
        "AccessEntry",
        "AccessPolicyAssociation",
        "Addon",
        "NodeGroup",
        "PodIdentityAssociation",
    ),
    "iam/role:Role": ("RolePolicy", "RolePolicyAttachment"),
    "iam/user:User": ("UserPolicy",),
    "s3/bucket:Bucket": (
        "BucketLifecycleConfiguration",
        "BucketLogging",
        "BucketOwnershipControls",
        "BucketPolicy",
        "BucketPublicAccessBlock",
        "BucketServerSideEncryptionConfiguration",
        "BucketVersioning",
    ),
    "secretsmanager/secret:Secret": ("SecretVersion",),
}
"""By what they belong to, types that cannot outlive it."""


def test_every_type_that_a_stack_makes_is_asked_for(
    landing_zone: Recording, replication: Recording, migration: Recording, destination: Recording
) -> None:
    asked = {(kind.service, kind.operation) for kind in (*KINDS, KEYS, *SNAPSHOTS)}
    parts = {kind for kinds in PARTS.values() for kind in kinds}
    stacks = (landing_zone, replication, migration, destination)
    types = {found.type for stack in stacks for found in stack.resources if found.type.startswith("aws:")}
    assert len(types) > 40
    forgotten = [
        kind
        for kind in types
        if kind.rpartition(":")[2] not in parts
        and LISTED.get(kind, (ROWS[kind].service, xform_name(ROWS[kind].read.operation))) not in asked
    ]
    assert forgotten == []
    assert LISTED.keys() <= types
    assert {f"aws:{owner}" for owner in PARTS} <= types
