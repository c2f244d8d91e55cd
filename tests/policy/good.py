"""A stack in which every control has something to judge, and nothing to find fault with."""

from __future__ import annotations

import json
from typing import Any

from policy.judgement import Resource


def resource(type_: str, name: str, sources: dict[str, list[str]] | None = None, **given: Any) -> Resource:
    """A resource; `sources` tells by property which titles its value comes from."""
    dependencies = {path: tuple(map(urn, titles)) for path, titles in (sources or {}).items()}
    return Resource(type_, name, urn(f"{type_.rpartition(':')[2]}:{name}"), given, dependencies)


def urn(title: str) -> str:
    """A URN made of a title."""
    return f"urn:pulumi:test::landfall::{title}"


def document(*statements: dict[str, Any]) -> str:
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def logging(**severities: str) -> str:
    """A DMS task's settings."""
    components = ["SOURCE_UNLOAD", "SOURCE_CAPTURE", "TARGET_LOAD", "TARGET_APPLY"]
    logged = [
        {"Id": name, "Severity": severities.get(name, "LOGGER_SEVERITY_DEFAULT")} for name in components
    ]
    return json.dumps({"Logging": {"EnableLogging": True, "LogComponents": logged}})


TLS_ALONE = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
DECRYPT = {"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": "arn:aws:kms:eu-west-1:1:key/2"}
EVERY_KEY = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
READ_BY_ALL = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}
WRITTEN_BY_ALL = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:Put*", "Resource": "*"}
ACL_ENTRY: dict[str, Any] = {
    "egress": False,
    "ruleAction": "allow",
    "protocol": "tcp",
    "cidrBlock": "0.0.0.0/0",
    "fromPort": 443,
    "toPort": 443,
}

NETWORK = (
    resource("aws:ec2/vpc:Vpc", "vpc", cidrBlock="10.0.0.0/16"),
    resource(
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        "default",
        {"vpcId": ["Vpc:vpc"]},
        ingress=[],
        egress=[],
        vpcId="vpc-1",
    ),
    resource("aws:ec2/flowLog:FlowLog", "log", {"vpcId": ["Vpc:vpc"]}, vpcId="vpc-1", trafficType="ALL"),
    resource("aws:ec2/subnet:Subnet", "private", mapPublicIpOnLaunch=False),
    resource("aws:ec2/internetGateway:InternetGateway", "internet"),
    resource("aws:ec2/routeTable:RouteTable", "private"),
    resource(
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        "private",
        {"subnetId": ["Subnet:private"], "routeTableId": ["RouteTable:private"]},
    ),
    resource("aws:ec2/route:Route", "out", {"routeTableId": ["RouteTable:private"]}, natGatewayId="nat-1"),
    resource("aws:ec2/securityGroup:SecurityGroup", "db"),
    resource(
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        "to-db",
        {"securityGroupId": ["SecurityGroup:db"]},
        cidrIpv4="10.0.0.0/16",
        ipProtocol="tcp",
        fromPort=3306,
        toPort=3306,
    ),
    resource("aws:ec2/networkAclRule:NetworkAclRule", "acl", **ACL_ENTRY),
    resource(
        "aws:ec2/instance:Instance",
        "workspace",
        associatePublicIpAddress=False,
        metadataOptions={"httpTokens": "required"},
    ),
    resource("aws:ec2/launchTemplate:LaunchTemplate", "node", metadataOptions={"httpTokens": "required"}),
)
DATABASES = (
    resource("aws:rds/subnetGroup:SubnetGroup", "db", {"subnetIds": ["Subnet:private"]}),
    resource(
        "aws:rds/parameterGroup:ParameterGroup",
        "db",
        family="mysql8.4",
        parameters=[{"name": "require_secure_transport", "value": "1"}],
    ),
    resource(
        "aws:rds/instance:Instance",
        "db",
        {"dbSubnetGroupName": ["SubnetGroup:db"], "vpcSecurityGroupIds": ["SecurityGroup:db"]},
        engine="mysql",
        publiclyAccessible=False,
        storageEncrypted=True,
        kmsKeyId="arn:aws:kms:eu-west-1:1:key/2",
        multiAz=True,
        monitoringInterval=60,
        monitoringRoleArn="arn:aws:iam::1:role/m",
        deletionProtection=True,
        enabledCloudwatchLogsExports=["audit", "error", "general", "slowquery"],
        optionGroupName="db",
        iamDatabaseAuthenticationEnabled=True,
        backupRetentionPeriod=14,
        autoMinorVersionUpgrade=True,
        copyTagsToSnapshot=True,
        dbSubnetGroupName="db",
        parameterGroupName="db",
        username="landfall",
        manageMasterUserPassword=True,
    ),
    *(
        resource(
            "aws:rds/eventSubscription:EventSubscription",
            source,
            sourceType=source,
            eventCategories=["configuration change", "failure", "maintenance"],
        )
        for source in ("db-instance", "db-parameter-group", "db-security-group")
    ),
    resource(
        "aws:elasticache/replicationGroup:ReplicationGroup",
        "cache",
        snapshotRetentionLimit=7,
        autoMinorVersionUpgrade=True,
        automaticFailoverEnabled=True,
        atRestEncryptionEnabled=True,
        transitEncryptionEnabled=True,
        userGroupIds=["users"],
        subnetGroupName="cache",
    ),
    resource(
        "aws:dms/replicationInstance:ReplicationInstance",
        "dms",
        publiclyAccessible=False,
        autoMinorVersionUpgrade=True,
        kmsKeyArn="arn:aws:kms:eu-west-1:1:key/2",
    ),
    resource(
        "aws:dms/endpoint:Endpoint",
        "source",
        kmsKeyArn="arn:aws:kms:eu-west-1:1:key/2",
        sslMode="verify-full",
        certificateArn="arn:aws:dms:eu-west-1:1:cert:c",
    ),
    resource("aws:dms/replicationTask:ReplicationTask", "forward", replicationTaskSettings=logging()),
)
CLUSTER = (
    resource(
        "aws:eks/cluster:Cluster",
        "eks",
        version="1.35",
        vpcConfig={"endpointPublicAccess": False},
        encryptionConfig={"resources": ["secrets"], "provider": {"keyArn": "arn:aws:kms:eu-west-1:1:key/2"}},
        enabledClusterLogTypes=["api", "audit", "authenticator", "controllerManager", "scheduler"],
    ),
    resource("aws:iam/role:Role", "node"),
    resource(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "node",
        {"role": ["Role:node"]},
        policyArn="arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy",
    ),
    resource(
        "aws:eks/nodeGroup:NodeGroup",
        "nodes",
        {"nodeRoleArn": ["Role:node"], "subnetIds": ["Subnet:private"]},
        nodeRoleArn="arn:aws:iam::1:role/node",
        subnetIds=["subnet-1"],
    ),
    resource(
        "aws:eks/addon:Addon",
        "identity",
        {"clusterName": ["Cluster:eks"]},
        addonName="eks-pod-identity-agent",
    ),
    resource(
        "aws:eks/addon:Addon",
        "network",
        {"clusterName": ["Cluster:eks"]},
        addonName="vpc-cni",
        configurationValues='{"enableNetworkPolicy": "true"}',
    ),
)
STORAGE = (
    resource("aws:s3/bucket:Bucket", "data"),
    resource("aws:s3/bucket:Bucket", "logs"),
    *(
        found
        for name in ("data", "logs")
        for found in (
            resource(
                "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
                name,
                {"bucket": [f"Bucket:{name}"]},
                bucket=name,
                blockPublicAcls=True,
                blockPublicPolicy=True,
                ignorePublicAcls=True,
                restrictPublicBuckets=True,
            ),
            resource(
                "aws:s3/bucketPolicy:BucketPolicy",
                name,
                {"bucket": [f"Bucket:{name}"]},
                bucket=name,
                policy=document(TLS_ALONE),
            ),
            resource(
                "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
                name,
                {"bucket": [f"Bucket:{name}"]},
                bucket=name,
                rules=[{"status": "Enabled", "expiration": {"days": 30}}],
            ),
        )
    ),
    resource(
        "aws:s3/bucketLogging:BucketLogging",
        "data",
        {"bucket": ["Bucket:data"], "targetBucket": ["Bucket:logs"]},
        bucket="data",
    ),
)
KEYS = (
    resource("aws:kms/key:Key", "key", enableKeyRotation=True, deletionWindowInDays=30),
    resource("aws:iam/policy:Policy", "managed", policy=document(DECRYPT)),
    resource("aws:iam/rolePolicy:RolePolicy", "inline", policy=document(DECRYPT)),
    resource("aws:secretsmanager/secret:Secret", "password"),
    resource(
        "aws:secretsmanager/secretRotation:SecretRotation",
        "password",
        {"secretId": ["Secret:password"]},
        secretId="password",
    ),
)
GOOD = (*NETWORK, *DATABASES, *CLUSTER, *STORAGE, *KEYS)
