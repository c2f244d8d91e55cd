"""For each control, one change of what the real programs declare that its policy does not let through."""

from __future__ import annotations

import json

from tests.policy.edits import Edit
from tests.policy.good import ACL_ENTRY, EVERY_KEY, READ_BY_ALL, WRITTEN_BY_ALL, document, logging, resource

_DB, _CACHE, _EKS = "Instance:prod-database", "ReplicationGroup:prod-cache", "Cluster:prod"
_BLOCK, _POLICY = "BucketPublicAccessBlock:prod-velero", "BucketPolicy:prod-velero"
_INGRESS = "SecurityGroupIngressRule:prod-database-from-cluster"
_DMS = "prod-replication"

MUTATIONS: dict[str, tuple[str, Edit]] = {
    "RDS.2": ("prod", Edit(_DB, "publiclyAccessible", True)),
    "RDS.3": ("prod", Edit(_DB, "kmsKeyId")),
    "RDS.5": ("rhoam-migration", Edit("Instance:rhoam-migration-system-database", "multiAz", False)),
    "RDS.6": ("prod", Edit(_DB, "monitoringInterval", 0)),
    "RDS.8": ("rhoam", Edit("Instance:rhoam-system-database", "deletionProtection", False)),
    "RDS.9": ("prod", Edit(_DB, "enabledCloudwatchLogsExports")),
    "RDS.10": ("prod", Edit(_DB, "iamDatabaseAuthenticationEnabled", False)),
    "RDS.11": ("prod", Edit(_DB, "backupRetentionPeriod", 1)),
    "RDS.13": ("prod", Edit(_DB, "autoMinorVersionUpgrade", False)),
    "RDS.17": ("prod", Edit(_DB, "copyTagsToSnapshot")),
    "RDS.18": ("prod", Edit(_DB, "dbSubnetGroupName")),
    "RDS.20": ("prod", Edit("EventSubscription:prod-db-instance", "eventCategories", ["creation"])),
    "RDS.21": ("prod", Edit("EventSubscription:prod-db-parameter-group")),
    "RDS.22": ("prod", Edit("EventSubscription:prod-db-security-group", "enabled", False)),
    "RDS.25": ("prod", Edit(_DB, "username", "admin")),
    "RDS.46": (
        "prod",
        Edit("SubnetGroup:prod-database", "subnetIds", sources=("Subnet:prod-public-ap-southeast-1a",)),
    ),
    "RDS-TLS": (
        "rhoam-migration",
        Edit("ParameterGroup:rhoam-migration-conversion-database", "parameters", []),
    ),
    "EKS.1": ("prod", Edit(_EKS, "vpcConfig.endpointPublicAccess", True)),
    "EKS.2": ("prod", Edit(_EKS, "version", "1.30")),
    "EKS.3": ("prod", Edit(_EKS, "encryptionConfig")),
    "EKS.8": ("prod", Edit(_EKS, "enabledClusterLogTypes", ["api"])),
    "CIS-EKS-5.2.1": (
        "prod",
        Edit(
            "RolePolicyAttachment:prod-node-AmazonEKSWorkerNodePolicy",
            "policyArn",
            "arn:aws:iam::aws:policy/AmazonS3FullAccess",
        ),
    ),
    "CIS-EKS-5.4.3": (
        "prod",
        Edit("NodeGroup:prod-default", "subnetIds", sources=("Subnet:prod-public-ap-southeast-1b",)),
    ),
    "CIS-EKS-5.4.4": ("prod", Edit("Addon:prod-vpc-cni", "configurationValues")),
    "ElastiCache.1": ("prod", Edit(_CACHE, "snapshotRetentionLimit", 0)),
    "ElastiCache.2": ("prod", Edit(_CACHE, "autoMinorVersionUpgrade", False)),
    "ElastiCache.3": ("prod", Edit(_CACHE, "automaticFailoverEnabled", False)),
    "ElastiCache.4": ("prod", Edit(_CACHE, "atRestEncryptionEnabled")),
    "ElastiCache.5": ("prod", Edit(_CACHE, "transitEncryptionEnabled", False)),
    "ElastiCache.6": ("rhoam", Edit("ReplicationGroup:rhoam-system-redis", "userGroupIds")),
    "ElastiCache.7": ("prod", Edit(_CACHE, "subnetGroupName")),
    "DMS.1": (_DMS, Edit("ReplicationInstance:prod", "publiclyAccessible", True)),
    "DMS.6": (_DMS, Edit("ReplicationInstance:prod", "autoMinorVersionUpgrade", False)),
    "DMS-KMS": (_DMS, Edit("Endpoint:prod-reverse-target", "kmsKeyArn")),
    "DMS.7": (
        _DMS,
        Edit(
            "ReplicationTask:prod-reverse",
            "replicationTaskSettings",
            logging(TARGET_APPLY="LOGGER_SEVERITY_ERROR"),
        ),
    ),
    "DMS.8": (
        _DMS,
        Edit(
            "ReplicationTask:prod-reverse",
            "replicationTaskSettings",
            json.dumps({"Logging": {"EnableLogging": False, "LogComponents": []}}),
        ),
    ),
    "DMS.9": (_DMS, Edit("Endpoint:prod-reverse-source", "sslMode", "none")),
    "EC2.2": ("prod", Edit("DefaultSecurityGroup:prod-default", "egress", [{"protocol": "-1"}])),
    "EC2.6": ("prod", Edit("FlowLog:prod")),
    "EC2.8": ("prod", Edit("Instance:prod-workspace", "metadataOptions.httpTokens", "optional")),
    "EC2.9": ("prod", Edit("Instance:prod-workspace", "associatePublicIpAddress", True)),
    "EC2.15": ("prod", Edit("Subnet:prod-public-ap-southeast-1c", "mapPublicIpOnLaunch", True)),
    "EC2.18": ("prod", Edit(_INGRESS, "cidrIpv4", "0.0.0.0/0")),
    "EC2.19": (
        "rhoam",
        Edit("SecurityGroupIngressRule:rhoam-system-redis-from-cluster", "cidrIpv4", "0.0.0.0/0"),
    ),
    "EC2.21": (
        "prod",
        Edit(
            "",
            added=resource("aws:ec2/networkAclRule:NetworkAclRule", "ssh", **{**ACL_ENTRY, "fromPort": 22}),
        ),
    ),
    "S3.1": ("prod", Edit(_BLOCK)),
    "S3.2": ("prod", Edit(_POLICY, "policy", document(READ_BY_ALL))),
    "S3.3": ("prod", Edit(_POLICY, "policy", document(WRITTEN_BY_ALL))),
    "S3.5": ("prod", Edit("BucketPolicy:prod-access-logs", "policy", document())),
    "S3.8": ("prod", Edit(_BLOCK, "blockPublicAcls", False)),
    "S3.9": ("rhoam-migration", Edit("BucketLogging:rhoam-migration-dumps")),
    "S3.13": ("prod", Edit("BucketLifecycleConfiguration:prod-velero")),
    "KMS.1": ("prod", Edit("", added=resource("aws:iam/policy:Policy", "all", policy=document(EVERY_KEY)))),
    "KMS.2": ("prod", Edit("RolePolicy:prod-velero", "policy", document(EVERY_KEY))),
    "KMS.3": ("prod", Edit("Key:prod-database", "deletionWindowInDays")),
    "KMS.4": ("prod", Edit("Key:prod-cache", "enableKeyRotation", False)),
    "SecretsManager.1": ("prod", Edit(_DB, "manageMasterUserPassword", False)),
}
"""By control, the stack and the change."""
