"""For each control, what makes the good stack bad, what is taken from it, and what is not known of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from policy.judgement import UNKNOWN
from tests.policy.edits import Edit
from tests.policy.good import (
    EVERY_KEY,
    READ_BY_ALL,
    TLS_ALONE,
    WRITTEN_BY_ALL,
    document,
    logging,
)


@dataclass(frozen=True)
class Case:
    """Edits of the good stack: each makes the control fail, or not evaluated, by itself."""

    bad: tuple[Edit, ...]
    absent: tuple[Edit, ...]
    unknown: tuple[Edit, ...]


def _property(resource: str, path: str, *bad: Any) -> Case:
    """A property with bad values, taken away, unknown."""
    return Case(
        tuple(Edit(resource, path, value) for value in bad),
        (Edit(resource, path),),
        (Edit(resource, path, UNKNOWN),),
    )


def _both(*cases: Case) -> Case:
    return Case(
        tuple(edit for case in cases for edit in case.bad),
        tuple(edit for case in cases for edit in case.absent),
        tuple(edit for case in cases for edit in case.unknown),
    )


def _accompanied(resource: str, path: str) -> Case:
    """What must be named: another is, nothing is there, or it names who knows what."""
    stranger = Edit(resource, path, "another", sources=())
    unknown = Edit(resource, path, UNKNOWN, sources=())
    return Case((stranger,), (Edit(resource),), (unknown,))


def _told(source: str) -> Case:
    title = f"EventSubscription:{source}"
    return _both(
        _property(title, "eventCategories", ["creation"]),
        _property(title, "sourceType", "db-cluster"),
        Case(
            (Edit(title, "enabled", False), Edit(title, "sourceIds", ["another"])),
            (Edit(title),),
            (Edit(title, "enabled", UNKNOWN),),
        ),
    )


_DB, _CACHE, _EKS = "Instance:db", "ReplicationGroup:cache", "Cluster:eks"
_BLOCK, _POLICY = "BucketPublicAccessBlock:data", "BucketPolicy:data"
_INGRESS, _TASK = "SecurityGroupIngressRule:to-db", "ReplicationTask:forward"
_PUBLIC_ROUTE = Edit("Route:out", "gatewayId", "igw-1", sources=("InternetGateway:internet",))
_OPEN = Edit(_INGRESS, "cidrIpv4", "0.0.0.0/0")
_SOURCE = Case((_OPEN,), (Edit(_INGRESS, "cidrIpv4"),), (Edit(_INGRESS, "cidrIpv4", UNKNOWN),))

CASES: dict[str, Case] = {
    "RDS.2": _property(_DB, "publiclyAccessible", True),
    "RDS.3": _both(_property(_DB, "storageEncrypted", False), _property(_DB, "kmsKeyId", "")),
    "RDS.5": _property(_DB, "multiAz", False),
    "RDS.6": _both(_property(_DB, "monitoringInterval", 0), _property(_DB, "monitoringRoleArn", "")),
    "RDS.8": _property(_DB, "deletionProtection", False),
    "RDS.9": _both(
        _property(_DB, "enabledCloudwatchLogsExports", [], ["error", "slowquery"]),
        _property(_DB, "engine", "oracle-ee"),
        _property(_DB, "optionGroupName", ""),
    ),
    "RDS.10": _property(_DB, "iamDatabaseAuthenticationEnabled", False),
    "RDS.11": _property(_DB, "backupRetentionPeriod", 0, 6),
    "RDS.13": _property(_DB, "autoMinorVersionUpgrade", False),
    "RDS.17": _property(_DB, "copyTagsToSnapshot", False),
    "RDS.18": _property(_DB, "dbSubnetGroupName", "", "default"),
    "RDS.20": _told("db-instance"),
    "RDS.21": _told("db-parameter-group"),
    "RDS.22": _told("db-security-group"),
    "RDS.25": _property(_DB, "username", "admin", "postgres", ""),
    "RDS.46": _both(
        Case((_PUBLIC_ROUTE,), (), (Edit(_DB, "dbSubnetGroupName", sources=()),)),
        _property(_DB, "dbSubnetGroupName", ""),
    ),
    "RDS-TLS": _both(
        _property(
            "ParameterGroup:db", "parameters", [], [{"name": "require_secure_transport", "value": "0"}]
        ),
        _property("ParameterGroup:db", "family", "oracle-ee-19"),
        _property(_DB, "parameterGroupName", ""),
    ),
    "EKS.1": _property(_EKS, "vpcConfig.endpointPublicAccess", True),
    "EKS.2": _property(_EKS, "version", "1.28", "2.0"),
    "EKS.3": _both(
        _property(_EKS, "encryptionConfig.resources", []),
        _property(_EKS, "encryptionConfig.provider.keyArn", ""),
        _property(_EKS, "encryptionConfig"),
    ),
    "EKS.8": _property(_EKS, "enabledClusterLogTypes", [], ["api", "audit"]),
    "CIS-EKS-5.2.1": _both(
        _property("Addon:identity", "addonName", "another"),
        _accompanied("Addon:identity", "clusterName"),
        Case(
            (Edit("RolePolicyAttachment:node", "policyArn", "arn:aws:iam::aws:policy/AmazonS3FullAccess"),),
            (Edit("NodeGroup:nodes", "nodeRoleArn"),),
            (
                Edit("RolePolicyAttachment:node", "policyArn", UNKNOWN),
                Edit("NodeGroup:nodes", "nodeRoleArn", sources=()),
            ),
        ),
    ),
    "CIS-EKS-5.4.3": Case(
        (_PUBLIC_ROUTE,),
        (Edit("NodeGroup:nodes", "subnetIds"),),
        (Edit("NodeGroup:nodes", "subnetIds", sources=()),),
    ),
    "CIS-EKS-5.4.4": _both(
        _property(
            "Addon:network", "configurationValues", "{}", "nonsense", '{"enableNetworkPolicy": "false"}'
        ),
        _property("Addon:network", "addonName", "another"),
        _accompanied("Addon:network", "clusterName"),
    ),
    "ElastiCache.1": _property(_CACHE, "snapshotRetentionLimit", 0),
    "ElastiCache.2": _property(_CACHE, "autoMinorVersionUpgrade", False),
    "ElastiCache.3": _property(_CACHE, "automaticFailoverEnabled", False),
    "ElastiCache.4": _property(_CACHE, "atRestEncryptionEnabled", False),
    "ElastiCache.5": _property(_CACHE, "transitEncryptionEnabled", False),
    "ElastiCache.6": _property(_CACHE, "userGroupIds", []),
    "ElastiCache.7": _property(_CACHE, "subnetGroupName", "", "default"),
    "DMS.1": _property("ReplicationInstance:dms", "publiclyAccessible", True),
    "DMS.6": _property("ReplicationInstance:dms", "autoMinorVersionUpgrade", False),
    "DMS-KMS": _both(
        _property("ReplicationInstance:dms", "kmsKeyArn", ""), _property("Endpoint:source", "kmsKeyArn", "")
    ),
    "DMS.7": _property(
        _TASK, "replicationTaskSettings", logging(TARGET_APPLY="LOGGER_SEVERITY_ERROR"), "{}", "nonsense"
    ),
    "DMS.8": _property(
        _TASK, "replicationTaskSettings", logging(SOURCE_CAPTURE="LOGGER_SEVERITY_ERROR"), "{}", "nonsense"
    ),
    "DMS.9": _both(
        _property("Endpoint:source", "sslMode", "none", "require"),
        _property("Endpoint:source", "certificateArn", ""),
    ),
    "EC2.2": _both(
        _property("DefaultSecurityGroup:default", "ingress", [{"protocol": "-1"}]),
        _property("DefaultSecurityGroup:default", "egress", [{"protocol": "-1"}]),
        _accompanied("DefaultSecurityGroup:default", "vpcId"),
    ),
    "EC2.6": _both(_property("FlowLog:log", "trafficType", "ACCEPT"), _accompanied("FlowLog:log", "vpcId")),
    "EC2.8": _both(
        _property("Instance:workspace", "metadataOptions.httpTokens", "optional"),
        _property("LaunchTemplate:node", "metadataOptions", {}),
    ),
    "EC2.9": _both(
        _property("Instance:workspace", "associatePublicIpAddress", True),
        Case(
            (Edit("LaunchTemplate:node", "networkInterfaces", [{"associatePublicIpAddress": "true"}]),),
            (Edit("LaunchTemplate:node", "networkInterfaces", [{}]),),
            (Edit("LaunchTemplate:node", "networkInterfaces", UNKNOWN),),
        ),
    ),
    "EC2.15": _property("Subnet:private", "mapPublicIpOnLaunch", True),
    "EC2.18": _SOURCE,
    "EC2.19": _both(
        _SOURCE,
        Case(
            (
                Edit(
                    "SecurityGroup:db",
                    "ingress",
                    [{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}],
                ),
            ),
            (Edit("SecurityGroup:db", "ingress", [{"protocol": "tcp", "fromPort": 22, "toPort": 22}]),),
            (Edit("SecurityGroup:db", "ingress", UNKNOWN),),
        ),
    ),
    "EC2.21": _both(
        _property("NetworkAclRule:acl", "fromPort", 20),
        Case(
            (),
            (Edit("NetworkAclRule:acl", "cidrBlock"),),
            (Edit("NetworkAclRule:acl", "cidrBlock", UNKNOWN),),
        ),
    ),
    "S3.1": _accompanied(_BLOCK, "bucket"),
    "S3.2": _both(
        _property(_POLICY, "policy", document(READ_BY_ALL), "nonsense"),
        _property(_BLOCK, "ignorePublicAcls", False),
        _property(_BLOCK, "restrictPublicBuckets", False),
    ),
    "S3.3": _both(
        _property(_POLICY, "policy", document(WRITTEN_BY_ALL), "nonsense"),
        _property(_BLOCK, "ignorePublicAcls", False),
        _property(_BLOCK, "restrictPublicBuckets", False),
    ),
    "S3.5": _both(
        _property(
            _POLICY, "policy", document(), document({**TLS_ALONE, "Action": "s3:GetObject"}), "nonsense"
        ),
        _accompanied(_POLICY, "bucket"),
    ),
    "S3.8": _both(
        *(
            _property(_BLOCK, name, False)
            for name in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
        )
    ),
    "S3.9": _accompanied("BucketLogging:data", "bucket"),
    "S3.13": _both(
        _property("BucketLifecycleConfiguration:data", "rules", [], [{"status": "Disabled"}]),
        _accompanied("BucketLifecycleConfiguration:data", "bucket"),
    ),
    "KMS.1": _property("Policy:managed", "policy", document(EVERY_KEY), "nonsense"),
    "KMS.2": _property(
        "RolePolicy:inline",
        "policy",
        document(EVERY_KEY),
        document({"Effect": "Allow", "NotAction": "iam:*", "Resource": "arn:aws:kms:*:1:key/*"}),
    ),
    "KMS.3": _property("Key:key", "deletionWindowInDays", 1),
    "KMS.4": _property("Key:key", "enableKeyRotation", False),
    "SecretsManager.1": _both(
        _accompanied("SecretRotation:password", "secretId"),
        _property(_DB, "manageMasterUserPassword", False),
    ),
}
