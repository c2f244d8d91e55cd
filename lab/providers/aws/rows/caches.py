"""ElastiCache: replication groups, users and the groups around them."""

from __future__ import annotations

from typing import Any

from lab.providers.aws.hooks import groups
from lab.providers.aws.table import Call, Hook, Row, Settle, Tagging, Update
from lab.providers.base import Properties

_TAGS = Tagging(
    tag=Call("AddTagsToResource", {"ResourceName": "{arn}", "Tags": "{tags}"}),
    untag=Call("RemoveTagsFromResource", {"ResourceName": "{arn}", "TagKeys": "{keys}"}),
    path="TagList",
    read=Call("ListTagsForResource", {"ResourceName": "{arn}"}),
)
_MODIFY = {"ReplicationGroupId": "{id}", "ApplyImmediately": True}
_ACTIVE = frozenset({"active"})


def _replication_group(values: Properties) -> Properties:
    """Log deliveries in AWS's form, and which groups of users come and go."""
    before = set((values.get("old") or {}).get("userGroupIds") or [])
    after = set(values.get("userGroupIds") or [])
    deliveries = [_delivery(item) for item in values.get("logDeliveryConfigurations") or []]
    stated = {item["logType"] for item in deliveries}
    gone = [
        {"logType": item["logType"], "enabled": False}
        for item in (values.get("old") or {}).get("logDeliveryConfigurations") or []
        if item["logType"] not in stated
    ]
    return {
        "logDeliveries": [*deliveries, *gone] or None,
        "addedUserGroups": sorted(after - before) or None,
        "removedUserGroups": sorted(before - after) or None,
    }


def _delivery(stated: Properties) -> dict[str, Any]:
    details = (
        {"cloudWatchLogsDetails": {"logGroup": stated["destination"]}}
        if stated["destinationType"] == "cloudwatch-logs"
        else {"kinesisFirehoseDetails": {"deliveryStream": stated["destination"]}}
    )
    kept = {name: value for name, value in stated.items() if name != "destination"}
    return {**kept, "destinationDetails": details}


def _removed_users(values: Properties) -> Properties:
    before = set((values.get("old") or {}).get("userIds") or [])
    after = set(values.get("userIds") or [])
    return {"addedUsers": sorted(after - before) or None, "removedUsers": sorted(before - after) or None}


ROWS = (
    Row(
        token="aws:elasticache/replicationGroup:ReplicationGroup",
        service="elasticache",
        create=Call(
            "CreateReplicationGroup",
            {"Tags": "{tagsAll}", "LogDeliveryConfigurations": "{logDeliveries}"},
            result="ReplicationGroup",
            rest=True,
        ),
        read=Call("DescribeReplicationGroups", {"ReplicationGroupId": "{id}"}, result="ReplicationGroups[0]"),
        delete=Call(
            "DeleteReplicationGroup",
            {"ReplicationGroupId": "{id}", "FinalSnapshotIdentifier": "{finalSnapshotIdentifier}"},
        ),
        id="{replicationGroupId}",
        names={
            "description": "ReplicationGroupDescription",
            "nodeType": "CacheNodeType",
            "parameterGroupName": "CacheParameterGroupName",
            "subnetGroupName": "CacheSubnetGroupName",
            "multiAzEnabled": "MultiAZEnabled",
            "maintenanceWindow": "PreferredMaintenanceWindow",
            "preferredCacheClusterAzs": "PreferredCacheClusterAZs",
            "dataTieringEnabled": "DataTieringEnabled",
        },
        reads={
            "description": "Description",
            "automaticFailoverEnabled": "AutomaticFailover && AutomaticFailover != 'disabled'",
            "multiAzEnabled": "MultiAZ && MultiAZ != 'disabled'",
            "numCacheClusters": "length(MemberClusters || `[]`)",
            "numNodeGroups": "length(NodeGroups || `[]`)",
            "primaryEndpointAddress": "NodeGroups[0].PrimaryEndpoint.Address",
            "readerEndpointAddress": "NodeGroups[0].ReaderEndpoint.Address",
            "configurationEndpointAddress": "ConfigurationEndpoint.Address",
            "port": "NodeGroups[0].PrimaryEndpoint.Port || ConfigurationEndpoint.Port",
            "logDeliveryConfigurations": "LogDeliveryConfigurations[].{destination:"
            " DestinationDetails.CloudWatchLogsDetails.LogGroup"
            " || DestinationDetails.KinesisFirehoseDetails.DeliveryStream,"
            " destinationType: DestinationType, logFormat: LogFormat, logType: LogType}",
            "automaticFailover": "",
            "multiAZ": "",
            "nodeGroups": "",
            "configurationEndpoint": "",
            "pendingModifiedValues": "",
            "dataTiering": "",
        },
        updates=(
            Update(
                Call(
                    "ModifyReplicationGroup",
                    {
                        **_MODIFY,
                        "UserGroupIdsToAdd": "{addedUserGroups}",
                        "UserGroupIdsToRemove": "{removedUserGroups}",
                    },
                ),
                when=("userGroupIds",),
            ),
            Update(
                Call("ModifyReplicationGroup", {**_MODIFY, "LogDeliveryConfigurations": "{logDeliveries}"}),
                when=("logDeliveryConfigurations",),
            ),
            Update(
                Call(
                    "ModifyReplicationGroup",
                    {
                        **_MODIFY,
                        "AuthToken": "{authToken}",
                        "AuthTokenUpdateStrategy": "{authTokenUpdateStrategy}",
                    },
                ),
                when=("authToken", "authTokenUpdateStrategy"),
            ),
            Update(Call("ModifyReplicationGroup", _MODIFY, rest=True)),
        ),
        hooks=(Hook(("numCacheClusters",), groups.set_replica_count),),
        prepare=_replication_group,
        prepared=frozenset({"logDeliveryConfigurations"}),
        local=frozenset({"applyImmediately", "finalSnapshotIdentifier"}),
        replace=frozenset({"replicationGroupId", "engine"}),
        required=("description",),
        autoname="replicationGroupId",
        lower=True,
        tags=_TAGS,
        settle=Settle("status", frozenset({"available"}), frozenset({"create-failed"})),
        gone=frozenset({"ReplicationGroupNotFoundFault"}),
    ),
    Row(
        token="aws:elasticache/subnetGroup:SubnetGroup",
        service="elasticache",
        create=Call(
            "CreateCacheSubnetGroup",
            {"Tags": "{tagsAll}", "CacheSubnetGroupDescription": "{description}"},
            result="CacheSubnetGroup",
            rest=True,
        ),
        read=Call(
            "DescribeCacheSubnetGroups", {"CacheSubnetGroupName": "{id}"}, result="CacheSubnetGroups[0]"
        ),
        delete=Call("DeleteCacheSubnetGroup", {"CacheSubnetGroupName": "{id}"}),
        id="{name}",
        names={"name": "CacheSubnetGroupName", "description": "CacheSubnetGroupDescription"},
        reads={"subnetIds": "Subnets[].SubnetIdentifier", "subnets": ""},
        prepare=lambda values: {"description": values.get("description") or "Managed by Pulumi"},
        updates=(
            Update(
                Call(
                    "ModifyCacheSubnetGroup",
                    {
                        "CacheSubnetGroupName": "{id}",
                        "CacheSubnetGroupDescription": "{description}",
                        "SubnetIds": "{subnetIds}",
                    },
                ),
                when=("description", "subnetIds"),
            ),
        ),
        required=("subnetIds",),
        autoname="name",
        lower=True,
        tags=_TAGS,
        gone=frozenset({"CacheSubnetGroupNotFoundFault"}),
    ),
    Row(
        token="aws:elasticache/parameterGroup:ParameterGroup",
        service="elasticache",
        create=Call(
            "CreateCacheParameterGroup",
            {"Tags": "{tagsAll}", "Description": "{description}"},
            result="CacheParameterGroup",
            rest=True,
        ),
        read=Call(
            "DescribeCacheParameterGroups",
            {"CacheParameterGroupName": "{id}"},
            result="CacheParameterGroups[0]",
        ),
        delete=Call("DeleteCacheParameterGroup", {"CacheParameterGroupName": "{id}"}),
        id="{name}",
        names={"name": "CacheParameterGroupName", "family": "CacheParameterGroupFamily"},
        prepare=lambda values: {"description": values.get("description") or "Managed by Pulumi"},
        hooks=(Hook(("parameters",), groups.ELASTICACHE.set, groups.ELASTICACHE.read),),
        required=("family",),
        autoname="name",
        lower=True,
        tags=_TAGS,
        gone=frozenset({"CacheParameterGroupNotFound", "CacheParameterGroupNotFoundFault"}),
    ),
    Row(
        token="aws:elasticache/user:User",
        service="elasticache",
        create=Call("CreateUser", {"Tags": "{tagsAll}"}, rest=True),
        read=Call("DescribeUsers", {"UserId": "{id}"}, result="Users[0]"),
        delete=Call("DeleteUser", {"UserId": "{id}"}),
        id="{userId}",
        # Passwords are never told.
        reads={"authentication": "", "userGroupIds": ""},
        updates=(Update(Call("ModifyUser", {"UserId": "{id}"}, rest=True)),),
        replace=frozenset({"userId", "userName"}),
        required=("accessString", "engine", "userId", "userName"),
        settle=Settle("status", _ACTIVE),
        tags=_TAGS,
        gone=frozenset({"UserNotFound", "UserNotFoundFault"}),
    ),
    Row(
        token="aws:elasticache/userGroup:UserGroup",
        service="elasticache",
        create=Call("CreateUserGroup", {"Tags": "{tagsAll}"}, rest=True),
        read=Call("DescribeUserGroups", {"UserGroupId": "{id}"}, result="UserGroups[0]"),
        delete=Call("DeleteUserGroup", {"UserGroupId": "{id}"}),
        id="{userGroupId}",
        updates=(
            Update(
                Call(
                    "ModifyUserGroup",
                    {
                        "UserGroupId": "{id}",
                        "UserIdsToAdd": "{addedUsers}",
                        "UserIdsToRemove": "{removedUsers}",
                    },
                ),
                when=("userIds",),
            ),
            Update(Call("ModifyUserGroup", {"UserGroupId": "{id}", "Engine": "{engine}"}), when=("engine",)),
        ),
        prepare=_removed_users,
        required=("engine", "userGroupId"),
        settle=Settle("status", _ACTIVE),
        tags=_TAGS,
        gone=frozenset({"UserGroupNotFound", "UserGroupNotFoundFault"}),
    ),
)
