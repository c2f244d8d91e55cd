"""What there is in an AWS account, asked with boto3 type by type: nothing of Pulumi's is believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import boto3
import jmespath


@dataclass(frozen=True)
class Kind:
    """One type of resource: how it is listed, and what is left once it counts as gone."""

    service: str
    operation: str
    """boto3's, such as `describe_vpcs`."""
    path: str
    """Where the ids are in the answer (JMESPath); it leaves out what AWS made and what is gone already."""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Such as `ec2 vpcs`."""
        return f"{self.service} {self.operation.split('_', 1)[1].replace('_', ' ')}"


KINDS = (
    Kind("ec2", "describe_vpcs", "Vpcs[].VpcId"),
    Kind("ec2", "describe_subnets", "Subnets[].SubnetId"),
    Kind("ec2", "describe_internet_gateways", "InternetGateways[].InternetGatewayId"),
    Kind("ec2", "describe_nat_gateways", "NatGateways[?State != 'deleted'].NatGatewayId"),
    Kind("ec2", "describe_addresses", "Addresses[].AllocationId"),
    Kind("ec2", "describe_route_tables", "RouteTables[].RouteTableId"),
    Kind("ec2", "describe_security_groups", "SecurityGroups[].GroupId"),
    Kind("ec2", "describe_security_group_rules", "SecurityGroupRules[].SecurityGroupRuleId"),
    Kind("ec2", "describe_vpc_endpoints", "VpcEndpoints[?State != 'deleted'].VpcEndpointId"),
    Kind("ec2", "describe_flow_logs", "FlowLogs[].FlowLogId"),
    Kind(
        "ec2",
        "describe_vpc_peering_connections",
        "VpcPeeringConnections[?Status.Code != 'deleted'].VpcPeeringConnectionId",
    ),
    Kind("ec2", "describe_launch_templates", "LaunchTemplates[].LaunchTemplateId"),
    Kind(
        "ec2",
        "describe_instances",
        "Reservations[].Instances[?State.Name != 'terminated'][].InstanceId",
    ),
    Kind("ec2", "describe_volumes", "Volumes[].VolumeId"),
    Kind("ec2", "describe_network_interfaces", "NetworkInterfaces[].NetworkInterfaceId"),
    Kind("eks", "list_clusters", "clusters[]"),
    Kind("iam", "list_roles", "Roles[].RoleName"),
    Kind("iam", "list_policies", "Policies[].Arn", {"Scope": "Local"}),
    Kind("iam", "list_users", "Users[].UserName"),
    Kind("iam", "list_instance_profiles", "InstanceProfiles[].InstanceProfileName"),
    Kind("logs", "describe_log_groups", "logGroups[].logGroupName"),
    Kind("cloudwatch", "describe_alarms", "MetricAlarms[].AlarmName"),
    Kind("sns", "list_topics", "Topics[].TopicArn"),
    Kind("sns", "list_subscriptions", "Subscriptions[].SubscriptionArn"),
    Kind("rds", "describe_db_instances", "DBInstances[].DBInstanceIdentifier"),
    Kind("rds", "describe_db_subnet_groups", "DBSubnetGroups[].DBSubnetGroupName"),
    Kind("rds", "describe_db_parameter_groups", "DBParameterGroups[].DBParameterGroupName"),
    Kind("rds", "describe_event_subscriptions", "EventSubscriptionsList[].CustSubscriptionId"),
    Kind("elasticache", "describe_replication_groups", "ReplicationGroups[].ReplicationGroupId"),
    Kind("elasticache", "describe_cache_clusters", "CacheClusters[].CacheClusterId"),
    Kind("elasticache", "describe_cache_subnet_groups", "CacheSubnetGroups[].CacheSubnetGroupName"),
    Kind("elasticache", "describe_cache_parameter_groups", "CacheParameterGroups[].CacheParameterGroupName"),
    Kind("elasticache", "describe_users", "Users[].UserId"),
    Kind("elasticache", "describe_user_groups", "UserGroups[].UserGroupId"),
    Kind("dms", "describe_replication_instances", "ReplicationInstances[].ReplicationInstanceIdentifier"),
    Kind("dms", "describe_replication_tasks", "ReplicationTasks[].ReplicationTaskIdentifier"),
    Kind("dms", "describe_endpoints", "Endpoints[].EndpointIdentifier"),
    Kind("dms", "describe_certificates", "Certificates[].CertificateIdentifier"),
    Kind(
        "dms",
        "describe_replication_subnet_groups",
        "ReplicationSubnetGroups[].ReplicationSubnetGroupIdentifier",
    ),
    Kind("dms", "describe_event_subscriptions", "EventSubscriptionsList[].CustSubscriptionId"),
    Kind("secretsmanager", "list_secrets", "SecretList[?DeletedDate == null].Name"),
    Kind("dynamodb", "list_tables", "TableNames[]"),
    Kind("s3", "list_buckets", "Buckets[].Name"),
)
"""Every type that a stack of landfall makes, and those that AWS makes along with one. What belongs to another
resource and cannot outlive it (an add-on, a bucket's policy) is gone with it."""
KEYS = Kind("kms", "list_keys", "Keys[].KeyId")
SNAPSHOTS = (
    Kind("rds", "describe_db_snapshots", "DBSnapshots[?SnapshotType == 'manual'].DBSnapshotIdentifier"),
    Kind("elasticache", "describe_snapshots", "Snapshots[].SnapshotName"),
    Kind("rds", "describe_option_groups", "OptionGroupsList[].OptionGroupName"),
)
"""What the settings want to be left: the data of databases and caches that are deleted, and the option groups
that a database's snapshots belong to, which AWS deletes no earlier than those."""

Inventory = frozenset[str]
"""Resources, each as its type and its id."""
Client = Callable[[str], Any]


def take(client: Client) -> Inventory:
    """Everything there is, snapshots left out. `client` makes a boto3 client of a service."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        found = [item for items in pool.map(lambda kind: list(_all(client, kind)), KINDS) for item in items]
    return frozenset([*found, *_keys(client)])


def snapshots(client: Client) -> Inventory:
    """The final snapshots."""
    return frozenset(item for kind in SNAPSHOTS for item in _all(client, kind))


def clients(endpoint: str, region: str) -> Client:
    """boto3 clients for an endpoint of the lab, one a service."""
    session = boto3.Session("lab", "lab", region_name=region)
    made: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in made:
            made[service] = session.client(service, endpoint_url=endpoint)
        return made[service]

    for kind in (*KINDS, KEYS):
        client(kind.service)  # making one is not safe in several threads
    return client


def _all(client: Client, kind: Kind) -> Iterator[str]:
    api = client(kind.service)
    if api.can_paginate(kind.operation):
        pages = api.get_paginator(kind.operation).paginate(**kind.parameters)
    else:
        pages = [getattr(api, kind.operation)(**kind.parameters)]
    for page in pages:
        for item in jmespath.search(kind.path, page) or []:
            yield f"{kind.name}: {item}"


def _keys(client: Client) -> Iterator[str]:
    """Keys that nobody has asked to be deleted: AWS deletes one days after it was asked."""
    api = client(KEYS.service)
    for page in api.get_paginator(KEYS.operation).paginate():
        for key in jmespath.search(KEYS.path, page) or []:
            if api.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] != "PendingDeletion":
                yield f"{KEYS.name}: {key}"
