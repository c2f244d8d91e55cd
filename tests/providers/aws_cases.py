"""One resource of each type that the aws provider knows, and a change of it in place."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.providers.cloud import REGION, Cloud, document, trust

Inputs = dict[str, Any]
TAGS = {"tags": {"Name": "it"}}


@dataclass(frozen=True)
class Case:
    """A type, what it is made with, and what is changed then."""

    type: str
    inputs: Callable[[Cloud], Inputs]
    change: Callable[[Cloud], Inputs] | None = None
    """None: nothing of it can be changed in place."""
    untold: frozenset[str] = frozenset()
    """Properties that AWS never tells, so that an import of them shows a difference."""
    stays: bool = False
    """Whether deleting it leaves what it was set on as it is."""


def _rule(cloud: Cloud) -> Inputs:
    return {
        "securityGroupId": cloud.security_group,
        "ipProtocol": "tcp",
        "fromPort": 3306,
        "toPort": 3306,
        "cidrIpv4": "10.1.2.3/32",
        "description": "databases",
        **TAGS,
    }


def _blocks(volume: int) -> list[Inputs]:
    disk = {"volumeSize": volume, "volumeType": "gp3", "encrypted": "true", "deleteOnTermination": "true"}
    return [{"deviceName": "/dev/xvda", "ebs": disk}]


def _versioning(status: str) -> Inputs:
    return {"versioningConfiguration": {"status": status}}


def _encryption(cloud: Cloud, algorithm: str) -> list[Inputs]:
    default = {"sseAlgorithm": algorithm} | (
        {"kmsMasterKeyId": cloud.key_arn} if algorithm == "aws:kms" else {}
    )
    return [{"applyServerSideEncryptionByDefault": default, "bucketKeyEnabled": True}]


def _lifecycle(days: int) -> list[Inputs]:
    return [
        {
            "id": "all",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "expiration": {"days": days},
            "noncurrentVersionExpiration": {"noncurrentDays": days},
            "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7},
        }
    ]


def _deliveries(*types: str) -> list[Inputs]:
    shape = {"destinationType": "cloudwatch-logs", "logFormat": "json"}
    return [{**shape, "destination": f"/cache/{kind}", "logType": kind} for kind in types]


NETWORK = (
    Case(
        "ec2.Vpc",
        lambda _: {"cidrBlock": "10.41.0.0/16", "enableDnsSupport": True, "enableDnsHostnames": True, **TAGS},
        lambda _: {"enableDnsHostnames": False, "tags": {"Name": "other", "more": "x"}},
    ),
    Case(
        "ec2.Subnet",
        lambda cloud: {
            "vpcId": cloud.vpc,
            "cidrBlock": "10.40.9.0/24",
            "availabilityZone": f"{REGION}a",
            "mapPublicIpOnLaunch": True,
            **TAGS,
        },
        lambda _: {"mapPublicIpOnLaunch": False},
    ),
    Case("ec2.InternetGateway", lambda _: {**TAGS}, lambda _: {"tags": {}}),
    Case(
        "ec2.RouteTable",
        lambda cloud: {
            "vpcId": cloud.vpc,
            "routes": [{"cidrBlock": "0.0.0.0/0", "gatewayId": cloud.gateway}],
        },
        lambda cloud: {"routes": [{"cidrBlock": "192.0.2.0/24", "gatewayId": cloud.gateway}]},
    ),
    Case(
        "ec2.Route",
        lambda cloud: {
            "routeTableId": cloud.route_tables[0],
            "destinationCidrBlock": "0.0.0.0/0",
            "gatewayId": cloud.gateway,
        },
    ),
    Case(
        "ec2.RouteTableAssociation",
        lambda cloud: {"routeTableId": cloud.route_tables[0], "subnetId": cloud.subnets[0]},
    ),
    Case(
        "ec2.Eip",
        lambda _: {"domain": "vpc", "tags": {"landfall:role": "nat"}},
        lambda _: {"tags": {"landfall:role": "ingress"}},
    ),
    Case(
        "ec2.NatGateway",
        lambda cloud: {"allocationId": cloud.address, "subnetId": cloud.subnets[0], **TAGS},
        lambda _: {"tags": {"Name": "other"}},
    ),
    Case(
        "ec2.SecurityGroup",
        lambda cloud: {
            "vpcId": cloud.vpc,
            "description": "it",
            "ingress": [
                {"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["10.0.0.0/8"]},
                {"protocol": "tcp", "fromPort": 80, "toPort": 80, "self": True, "description": "own"},
            ],
            "egress": [{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}],
            **TAGS,
        },
        lambda _: {
            "ingress": [{"protocol": "udp", "fromPort": 53, "toPort": 53, "cidrBlocks": ["10.0.0.0/8"]}]
        },
    ),
    Case(
        "ec2.DefaultSecurityGroup",
        lambda cloud: {"vpcId": cloud.vpc, **TAGS},
        lambda _: {"tags": {"Name": "other"}},
        stays=True,
    ),
    Case(
        "vpc.SecurityGroupIngressRule",
        _rule,
        lambda _: {"description": "other", "tags": {}},
    ),
    Case(
        "vpc.SecurityGroupEgressRule",
        lambda cloud: {
            "securityGroupId": cloud.security_group,
            "ipProtocol": "-1",
            "cidrIpv4": "0.0.0.0/0",
        },
        lambda _: {"description": "anywhere"},
    ),
    Case(
        "ec2.FlowLog",
        lambda cloud: {
            "vpcId": cloud.vpc,
            "trafficType": "ALL",
            "logDestinationType": "cloud-watch-logs",
            "logDestination": cloud.log_group.outputs["arn"],
            "iamRoleArn": cloud.role_arn,
            **TAGS,
        },
        lambda _: {"tags": {"Name": "other"}},
    ),
    Case(
        "ec2.VpcPeeringConnection",
        lambda cloud: {
            "vpcId": cloud.vpc,
            "peerVpcId": cloud.peer_vpc,
            "autoAccept": True,
            **TAGS,
        },
        lambda _: {"tags": {"Name": "other"}},
        untold=frozenset({"autoAccept"}),
    ),
    Case(
        "ec2.VpcEndpoint",
        lambda cloud: {
            "vpcId": cloud.vpc,
            "serviceName": f"com.amazonaws.{REGION}.s3",
            "vpcEndpointType": "Gateway",
            "routeTableIds": cloud.route_tables[:1],
        },
        lambda cloud: {"routeTableIds": cloud.route_tables},
    ),
    Case(
        "ec2.Instance",
        lambda cloud: {
            "ami": "ami-12345678",
            "instanceType": "t3.small",
            "subnetId": cloud.subnets[0],
            "vpcSecurityGroupIds": [cloud.security_group],
            "iamInstanceProfile": cloud.profile.id,
            "associatePublicIpAddress": False,
            "launchTemplate": {"id": cloud.template, "version": "1"},
            "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1},
            **TAGS,
        },
        lambda _: {"tags": {"Name": "other"}},
        untold=frozenset({"associatePublicIpAddress", "launchTemplate", "iamInstanceProfile"}),
    ),
    Case(
        "ec2.LaunchTemplate",
        lambda cloud: {
            "imageId": "resolve:ssm:/aws/service/image",
            "iamInstanceProfile": {"arn": cloud.profile.outputs["arn"]},
            "vpcSecurityGroupIds": [cloud.security_group],
            "metadataOptions": {"httpEndpoint": "enabled", "httpTokens": "required"},
            "blockDeviceMappings": _blocks(30),
            "updateDefaultVersion": True,
            **TAGS,
        },
        lambda _: {"blockDeviceMappings": _blocks(60)},
        untold=frozenset({"updateDefaultVersion"}),
    ),
)

ACCESS = (
    Case(
        "iam.Role",
        lambda _: {"assumeRolePolicy": trust("sts:AssumeRole"), **TAGS},
        lambda _: {
            "assumeRolePolicy": trust("sts:TagSession"),
            "description": "other",
            "maxSessionDuration": 7200,
            "tags": {},
        },
    ),
    Case(
        "iam.RolePolicy",
        lambda cloud: {"role": cloud.role.id, "policy": document("s3:GetObject")},
        lambda _: {"policy": document("s3:PutObject")},
    ),
    Case(
        "iam.RolePolicyAttachment",
        lambda cloud: {
            "role": cloud.role.id,
            "policyArn": "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy",
        },
    ),
    Case(
        "iam.Policy",
        lambda _: {"policy": document("s3:GetObject"), **TAGS},
        lambda _: {"policy": document("s3:PutObject")},
    ),
    Case("iam.InstanceProfile", lambda cloud: {"role": cloud.role.id}, lambda _: TAGS),
    Case(
        "iam.OpenIdConnectProvider",
        lambda _: {
            "url": "https://oidc.example.com",
            "clientIdLists": ["sts.amazonaws.com"],
            "thumbprintLists": ["9" * 40],
        },
        lambda _: {"thumbprintLists": ["8" * 40]},
        untold=frozenset({"url"}),
    ),
    Case("iam.User", lambda _: TAGS, lambda _: {"tags": {"Name": "other"}}),
    Case(
        "iam.UserPolicy",
        lambda cloud: {"user": cloud.user, "policy": document("s3:GetObject")},
        lambda _: {"policy": document("s3:PutObject")},
    ),
    Case(
        "kms.Key",
        lambda _: {"description": "it", "enableKeyRotation": True, "deletionWindowInDays": 7, **TAGS},
        lambda _: {"description": "other", "enableKeyRotation": False, "policy": document("kms:*")},
        untold=frozenset({"deletionWindowInDays"}),
    ),
    Case("kms.Alias", lambda cloud: {"name": "alias/it", "targetKeyId": cloud.key.id}),
    Case(
        "secretsmanager.Secret",
        lambda cloud: {"description": "it", "kmsKeyId": cloud.key_arn, **TAGS},
        lambda _: {"description": "other", "tags": {}},
    ),
    Case(
        "secretsmanager.SecretVersion",
        lambda cloud: {"secretId": cloud.secret, "secretString": "hunter2"},
        stays=True,
    ),
)

CLUSTERS = (
    Case(
        "eks.Cluster",
        lambda cloud: {
            "name": "it",
            "roleArn": cloud.role_arn,
            "version": "1.34",
            "vpcConfig": {
                "subnetIds": cloud.subnets,
                "endpointPrivateAccess": True,
                "endpointPublicAccess": False,
            },
            "enabledClusterLogTypes": ["api", "audit"],
            "encryptionConfig": {"provider": {"keyArn": cloud.key_arn}, "resources": ["secrets"]},
            "accessConfig": {"authenticationMode": "API"},
            **TAGS,
        },
        lambda cloud: {
            "version": "1.35",
            "enabledClusterLogTypes": ["api"],
            "vpcConfig": {
                "subnetIds": cloud.subnets,
                "endpointPrivateAccess": True,
                "endpointPublicAccess": True,
                "publicAccessCidrs": ["203.0.113.0/24"],
            },
            "tags": {},
        },
    ),
    Case(
        "eks.NodeGroup",
        lambda cloud: {
            "clusterName": cloud.cluster,
            "nodeRoleArn": cloud.role_arn,
            "subnetIds": cloud.subnets,
            "scalingConfig": {"minSize": 1, "maxSize": 3, "desiredSize": 2},
            "instanceTypes": ["m7i.large"],
            "labels": {"example.com/a-b": "c"},
            **TAGS,
        },
        lambda _: {
            "scalingConfig": {"minSize": 1, "maxSize": 4, "desiredSize": 3},
            "labels": {"other": "label"},
            "tags": {"Name": "other"},
        },
    ),
    Case(
        "eks.Addon",
        lambda cloud: {
            "clusterName": cloud.cluster,
            "addonName": "coredns",
            "addonVersion": "v1.11.4-eksbuild.2",
            "resolveConflictsOnUpdate": "PRESERVE",
            "podIdentityAssociations": [{"serviceAccount": "it", "roleArn": cloud.role_arn}],
        },
        lambda _: {"addonVersion": "v1.11.4-eksbuild.3"},
        untold=frozenset({"resolveConflictsOnUpdate", "podIdentityAssociations"}),
    ),
    Case(
        "eks.AccessEntry",
        lambda cloud: {
            "clusterName": cloud.cluster,
            "principalArn": "arn:aws:iam::123456789012:role/it",
            "kubernetesGroups": ["viewers"],
        },
        lambda _: {"kubernetesGroups": ["operators"], **TAGS},
    ),
    Case(
        "eks.AccessPolicyAssociation",
        lambda cloud: {
            "clusterName": cloud.cluster,
            "principalArn": cloud.access_entry,
            "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
            "accessScope": {"type": "namespace", "namespaces": ["boss"]},
        },
    ),
    Case(
        "eks.PodIdentityAssociation",
        lambda cloud: {
            "clusterName": cloud.cluster,
            "namespace": "velero",
            "serviceAccount": "velero",
            "roleArn": cloud.role_arn,
        },
        lambda cloud: {"roleArn": f"{cloud.role_arn}-other", **TAGS},
    ),
)

STORAGE = (
    Case(
        "s3.Bucket",
        lambda _: {"forceDestroy": True, **TAGS},
        lambda _: {"tags": {}},
        untold=frozenset({"forceDestroy"}),
    ),
    Case(
        "s3.BucketPublicAccessBlock",
        lambda cloud: {"bucket": cloud.bucket, "blockPublicAcls": True, "restrictPublicBuckets": True},
        lambda _: {"blockPublicAcls": False},
    ),
    Case(
        "s3.BucketPolicy",
        lambda cloud: {"bucket": cloud.bucket, "policy": document("s3:GetObject")},
        lambda _: {"policy": document("s3:PutObject")},
    ),
    Case(
        "s3.BucketVersioning",
        lambda cloud: {"bucket": cloud.bucket, **_versioning("Enabled")},
        lambda _: _versioning("Suspended"),
        stays=True,
    ),
    Case(
        "s3.BucketServerSideEncryptionConfiguration",
        lambda cloud: {"bucket": cloud.bucket, "rules": _encryption(cloud, "aws:kms")},
        lambda cloud: {"rules": _encryption(cloud, "AES256")},
        stays=True,
    ),
    Case(
        "s3.BucketLifecycleConfiguration",
        lambda cloud: {"bucket": cloud.bucket, "rules": _lifecycle(30)},
        lambda _: {"rules": _lifecycle(60)},
    ),
    Case(
        "s3.BucketOwnershipControls",
        lambda cloud: {"bucket": cloud.bucket, "rule": {"objectOwnership": "BucketOwnerEnforced"}},
        lambda _: {"rule": {"objectOwnership": "BucketOwnerPreferred"}},
    ),
    Case(
        "s3.BucketLogging",
        lambda cloud: {"bucket": cloud.bucket, "targetBucket": cloud.log_bucket, "targetPrefix": "a/"},
        lambda _: {"targetPrefix": "b/"},
    ),
    Case(
        "dynamodb.Table",
        lambda cloud: {
            "billingMode": "PAY_PER_REQUEST",
            "hashKey": "journal",
            "rangeKey": "sequence",
            "attributes": [{"name": "journal", "type": "S"}, {"name": "sequence", "type": "N"}],
            "pointInTimeRecovery": {"enabled": True},
            "serverSideEncryption": {"enabled": True, "kmsKeyArn": cloud.key_arn},
            "deletionProtectionEnabled": True,
            **TAGS,
        },
        lambda _: {"deletionProtectionEnabled": False, "pointInTimeRecovery": {"enabled": False}},
    ),
)

MESSAGES = (
    Case(
        "cloudwatch.LogGroup",
        lambda _: {"retentionInDays": 30, **TAGS},
        lambda _: {"retentionInDays": 90, "tags": {"Name": "other"}},
    ),
    Case(
        "cloudwatch.MetricAlarm",
        lambda cloud: {
            "namespace": "AWS/RDS",
            "metricName": "CPUUtilization",
            "dimensions": {"DBInstanceIdentifier": "boss"},
            "statistic": "Maximum",
            "period": 300,
            "evaluationPeriods": 3,
            "comparisonOperator": "GreaterThanThreshold",
            "threshold": 80.5,
            "alarmActions": [cloud.topic],
            "okActions": [cloud.topic],
            **TAGS,
        },
        lambda _: {"threshold": 90, "tags": {}},
    ),
    Case(
        "sns.Topic",
        lambda cloud: {"kmsMasterKeyId": cloud.key_arn, **TAGS},
        lambda _: {"displayName": "other"},
        untold=frozenset({"name"}),
    ),
    Case(
        "sns.TopicSubscription",
        lambda cloud: {"topic": cloud.topic, "protocol": "email", "endpoint": "it@example.com"},
    ),
    Case(
        "sns.TopicPolicy",
        lambda cloud: {"arn": cloud.topic, "policy": document("sns:Publish")},
        lambda _: {"policy": document("sns:Subscribe")},
        stays=True,
    ),
)

DATABASES = (
    Case(
        "rds.SubnetGroup",
        lambda cloud: {"subnetIds": cloud.subnets, "description": "it", **TAGS},
        lambda _: {"description": "other"},
    ),
    Case(
        "rds.ParameterGroup",
        lambda _: {
            "family": "mysql8.4",
            "parameters": [
                {"name": "require_secure_transport", "value": "1", "applyMethod": "immediate"},
                {"name": "gtid-mode", "value": "ON", "applyMethod": "pending-reboot"},
            ],
            **TAGS,
        },
        lambda _: {
            "parameters": [{"name": "require_secure_transport", "value": "0", "applyMethod": "immediate"}]
        },
    ),
    Case(
        "rds.OptionGroup",
        lambda _: {
            "engineName": "mysql",
            "majorEngineVersion": "8.4",
            "optionGroupDescription": "it",
            "options": [
                {
                    "optionName": "MARIADB_AUDIT_PLUGIN",
                    "optionSettings": [{"name": "SERVER_AUDIT_EVENTS", "value": "CONNECT"}],
                }
            ],
            **TAGS,
        },
        lambda _: {
            "options": [
                {
                    "optionName": "MARIADB_AUDIT_PLUGIN",
                    "optionSettings": [{"name": "SERVER_AUDIT_EVENTS", "value": "CONNECT,QUERY_DDL"}],
                }
            ]
        },
    ),
    Case(
        "rds.EventSubscription",
        lambda cloud: {
            "snsTopic": cloud.topic,
            "sourceType": "db-instance",
            "eventCategories": ["failure", "maintenance"],
            **TAGS,
        },
        lambda _: {"eventCategories": ["failure"]},
    ),
    Case(
        "rds.Instance",
        lambda cloud: {
            "identifier": "it",
            "engine": "mysql",
            "engineVersion": "8.4",
            "instanceClass": "db.m7g.large",
            "allocatedStorage": 100,
            "storageType": "gp3",
            "storageEncrypted": True,
            "kmsKeyId": cloud.key_arn,
            "dbName": "boss",
            "username": "owner",
            "manageMasterUserPassword": True,
            "port": 3306,
            "multiAz": True,
            "dbSubnetGroupName": cloud.db_subnet_group,
            "vpcSecurityGroupIds": [cloud.security_group],
            "publiclyAccessible": False,
            "backupRetentionPeriod": 14,
            "backupWindow": "18:00-19:00",
            "maintenanceWindow": "sun:19:30-sun:20:30",
            "iamDatabaseAuthenticationEnabled": True,
            "enabledCloudwatchLogsExports": ["error", "slowquery"],
            "monitoringInterval": 60,
            "monitoringRoleArn": cloud.role_arn,
            "skipFinalSnapshot": True,
            "applyImmediately": True,
            "deletionProtection": True,
            **TAGS,
        },
        lambda _: {
            "deletionProtection": False,
            "allocatedStorage": 200,
            "backupRetentionPeriod": 7,
            "enabledCloudwatchLogsExports": ["error"],
            "tags": {},
        },
        untold=frozenset({"manageMasterUserPassword", "skipFinalSnapshot", "applyImmediately"}),
    ),
    Case(
        "elasticache.SubnetGroup",
        lambda cloud: {"name": "it", "subnetIds": cloud.subnets[:1], **TAGS},
        lambda cloud: {"subnetIds": cloud.subnets},
    ),
    Case(
        "elasticache.ParameterGroup",
        lambda _: {
            "name": "it",
            "family": "valkey8",
            "parameters": [
                {"name": "maxmemory-policy", "value": "noeviction"},
                {"name": "timeout", "value": "0"},
            ],
        },
        lambda _: {"parameters": [{"name": "maxmemory-policy", "value": "allkeys-lru"}], **TAGS},
    ),
    Case(
        "elasticache.User",
        lambda _: {
            "userId": "it",
            "userName": "it",
            "engine": "valkey",
            "accessString": "on ~* +@all",
            "authenticationMode": {"type": "password", "passwords": ["0123456789abcdef"]},
            **TAGS,
        },
        lambda _: {
            "accessString": "on ~it:* +@read",
            "authenticationMode": {"type": "password", "passwords": ["fedcba9876543210"]},
        },
        untold=frozenset({"authenticationMode"}),
    ),
    Case(
        "elasticache.UserGroup",
        lambda cloud: {"userGroupId": "it", "engine": "valkey", "userIds": cloud.cache_users[:2]},
        lambda cloud: {"userIds": [cloud.cache_users[0], cloud.cache_users[2]], **TAGS},
    ),
    Case(
        "elasticache.ReplicationGroup",
        lambda cloud: {
            "replicationGroupId": "it",
            "description": "it",
            "engine": "valkey",
            "engineVersion": "8.1",
            "nodeType": "cache.m7g.large",
            "numCacheClusters": 2,
            "automaticFailoverEnabled": True,
            "multiAzEnabled": True,
            "atRestEncryptionEnabled": True,
            "kmsKeyId": cloud.key_arn,
            "transitEncryptionEnabled": True,
            "userGroupIds": [cloud.cache_user_group],
            "securityGroupIds": [cloud.security_group],
            "snapshotRetentionLimit": 7,
            "logDeliveryConfigurations": _deliveries("engine-log", "slow-log"),
            **TAGS,
        },
        lambda _: {
            "numCacheClusters": 3,
            "nodeType": "cache.m7g.xlarge",
            "snapshotRetentionLimit": 14,
            "logDeliveryConfigurations": _deliveries("engine-log"),
            "tags": {},
        },
        untold=frozenset({"engineVersion", "securityGroupIds"}),
    ),
    Case(
        "dms.ReplicationSubnetGroup",
        lambda cloud: {
            "replicationSubnetGroupId": "it",
            "replicationSubnetGroupDescription": "it",
            "subnetIds": cloud.subnets,
        },
        lambda _: {"replicationSubnetGroupDescription": "other", **TAGS},
    ),
    Case(
        "dms.ReplicationInstance",
        lambda cloud: {
            "replicationInstanceId": "it",
            "replicationInstanceClass": "dms.t3.medium",
            "replicationSubnetGroupId": cloud.dms_subnet_group,
            "vpcSecurityGroupIds": [cloud.security_group],
            "publiclyAccessible": False,
            "kmsKeyArn": cloud.key_arn,
            "applyImmediately": True,
        },
        lambda _: {"allocatedStorage": 200, **TAGS},
        untold=frozenset({"applyImmediately"}),
    ),
    Case(
        "dms.EventSubscription",
        lambda cloud: {
            "name": "it",
            "snsTopicArn": cloud.topic,
            "sourceType": "replication-task",
            "eventCategories": ["failure", "state change"],
            **TAGS,
        },
        lambda _: {"eventCategories": ["failure"], "enabled": False},
    ),
    Case(
        "dms.Certificate",
        lambda _: {"certificateId": "it", "certificatePem": "-----BEGIN CERTIFICATE-----"},
        lambda _: TAGS,
    ),
    Case(
        "dms.Endpoint",
        lambda cloud: {
            "endpointId": "it",
            "endpointType": "source",
            "engineName": "mysql",
            "serverName": "old.example.com",
            "port": 3306,
            "username": "it",
            "password": "hunter2",
            "sslMode": "verify-ca",
            "certificateArn": cloud.certificate,
        },
        lambda _: {"serverName": "new.example.com"},
        untold=frozenset({"password"}),
    ),
    Case(
        "dms.Endpoint",
        lambda cloud: {
            "endpointId": "it",
            "endpointType": "source",
            "engineName": "mysql",
            "secretsManagerArn": cloud.secret,
            "secretsManagerAccessRoleArn": cloud.role_arn,
            "mysqlSettings": {"eventsPollInterval": 5},
        },
        lambda cloud: {"secretsManagerArn": cloud.topic, "mysqlSettings": {"eventsPollInterval": 1}},
        untold=frozenset({"mysqlSettings"}),
    ),
    Case(
        "dms.ReplicationTask",
        lambda cloud: {
            "replicationTaskId": "it",
            "migrationType": "full-load-and-cdc",
            "replicationInstanceArn": cloud.dms_instance,
            "sourceEndpointArn": cloud.endpoints[0],
            "targetEndpointArn": cloud.endpoints[1],
            "tableMappings": json.dumps({"rules": []}),
            "replicationTaskSettings": json.dumps({"Logging": {"EnableLogging": True}}),
        },
        lambda _: {"replicationTaskSettings": json.dumps({"Logging": {"EnableLogging": False}})},
    ),
)

CASES = (*NETWORK, *ACCESS, *CLUSTERS, *STORAGE, *MESSAGES, *DATABASES)
