"""ElastiCache's replication groups, users and the groups around them, in the place of moto's."""

# ruff: noqa: ARG001 - every function has the signature of `Kind`
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from moto.ec2.models import ec2_backends
from moto.elasticache.responses import ElastiCacheResponse

from lab.aws.fakes.kinds import Kind, tagging
from lab.aws.fakes.operation import Item, Operation, Parameters, Place, Store, add, refuse


def install() -> None:
    """Put all of it in the place of moto's."""
    operations: dict[str, Operation] = {
        "IncreaseReplicaCount": _set_replicas,
        "DecreaseReplicaCount": _set_replicas,
        "ModifyCacheParameterGroup": _modify_parameters,
        "ResetCacheParameterGroup": _reset_parameters,
        "DescribeCacheParameters": _describe_parameters,
    }
    operations |= {
        "DeleteReplicationGroup": _delete_replication_group,
        "DescribeSnapshots": _describe_snapshots,
    }
    for kind in KINDS:
        operations = {**kind.operations(), **operations}
    operations |= tagging(
        KINDS,
        "ResourceName",
        lambda arn: refuse("InvalidARNFault", f"{arn} is not a valid ARN of a resource."),
    )
    add(ElastiCacheResponse, operations)


def _arn(place: Place, kind: str, name: str) -> str:
    return f"arn:aws:elasticache:{place.arn_start}:{kind}:{name}"


def _subnet_group(place: Place, given: Parameters) -> Item:
    subnets = ec2_backends[place.account][place.region].describe_subnets(subnet_ids=given["SubnetIds"])
    return {
        "ARN": _arn(place, "subnetgroup", given["CacheSubnetGroupName"]),
        "VpcId": subnets[0].vpc_id,
        "Subnets": [
            {
                "SubnetIdentifier": subnet.id,
                "SubnetAvailabilityZone": {"Name": subnet.availability_zone},
                "SupportedNetworkTypes": ["ipv4"],
            }
            for subnet in subnets
        ],
        "SupportedNetworkTypes": ["ipv4"],
    }


def _free(member: str, code: str) -> Any:
    def check(place: Place, item: Item) -> None:
        for group in REPLICATION_GROUPS.store.all(place):
            if group.get(member) == item[member]:
                raise refuse(code, f"{item[member]} is in use by {group['ReplicationGroupId']}.")

    return check


SUBNET_GROUPS = Kind(
    "CacheSubnetGroup",
    "CacheSubnetGroups",
    "CacheSubnetGroupName",
    "ARN",
    Store("Cache subnet group", "CacheSubnetGroupAlreadyExistsFault", "CacheSubnetGroupNotFoundFault"),
    _subnet_group,
    change=lambda place, item, given: {**given, **_subnet_group(place, {**item, **given})},
    before_delete=_free("CacheSubnetGroupName", "CacheSubnetGroupInUse"),
)

PARAMETER_GROUPS = Kind(
    "CacheParameterGroup",
    "CacheParameterGroups",
    "CacheParameterGroupName",
    "ARN",
    Store(
        "Cache parameter group", "CacheParameterGroupAlreadyExistsFault", "CacheParameterGroupNotFoundFault"
    ),
    lambda place, given: {
        "ARN": _arn(place, "parametergroup", given["CacheParameterGroupName"]),
        "IsGlobal": False,
        "parameters": {},
    },
    before_delete=_free("CacheParameterGroupName", "InvalidCacheParameterGroupStateFault"),
)


def _modify_parameters(place: Place, given: Parameters) -> Item:
    group = PARAMETER_GROUPS.find(place, given)
    for item in given["ParameterNameValues"]:
        group["parameters"][item["ParameterName"]] = item["ParameterValue"]
    return {"CacheParameterGroupName": given["CacheParameterGroupName"]}


def _reset_parameters(place: Place, given: Parameters) -> Item:
    group = PARAMETER_GROUPS.find(place, given)
    if given.get("ResetAllParameters"):
        group["parameters"].clear()
    for item in given.get("ParameterNameValues", []):
        group["parameters"].pop(item["ParameterName"], None)
    return {"CacheParameterGroupName": given["CacheParameterGroupName"]}


def _describe_parameters(place: Place, given: Parameters) -> Item:
    """What was set; a family's defaults are not listed."""
    group = PARAMETER_GROUPS.find(place, given)
    found = [
        {"ParameterName": name, "ParameterValue": value, "Source": "user", "IsModifiable": True}
        for name, value in group["parameters"].items()
    ]
    return {"Parameters": found if given.get("Source", "user") == "user" else []}


def _authentication(given: Parameters) -> Item:
    mode = given.get("AuthenticationMode", {})
    passwords = given.get("Passwords") or mode.get("Passwords") or []
    kind = mode.get("Type") or ("no-password-required" if given.get("NoPasswordRequired") else "password")
    if kind == "password" and not passwords:
        raise refuse(
            "InvalidParameterValueException",
            "No password was provided. If you want to create/update the user without password, please use the"
            " NoPasswordRequired flag.",
        )
    if any(not 16 <= len(password) <= 128 for password in passwords):
        raise refuse("InvalidParameterValueException", "Passwords length must be between 16-128 characters.")
    shown = {"password": "password", "no-password-required": "no-password", "iam": "iam"}[kind]
    return {"Type": shown, **({"PasswordCount": len(passwords)} if passwords else {})}


def _user(place: Place, given: Parameters) -> Item:
    item = {
        "ARN": _arn(place, "user", given["UserId"]),
        "Status": "active",
        "MinimumEngineVersion": "6.0",
        "Authentication": _authentication(given),
    }
    # A password is told to nobody, so it is not kept.
    given.pop("Passwords", None)
    given.pop("AuthenticationMode", None)
    return item


def _changed_user(place: Place, item: Item, given: Parameters) -> Item:
    kept: Item = {name: given[name] for name in ("AccessString", "Engine") if name in given}
    if given.keys() & {"Passwords", "AuthenticationMode", "NoPasswordRequired"}:
        kept["Authentication"] = _authentication(given)
    return kept


def _show_user(place: Place, item: Item) -> Item:
    groups = [
        group["UserGroupId"] for group in USER_GROUPS.store.all(place) if item["UserId"] in group["UserIds"]
    ]
    return {**item, "UserGroupIds": groups}


def _free_user(place: Place, item: Item) -> None:
    if item["UserName"] == "default" and _show_user(place, item)["UserGroupIds"]:
        raise refuse("DefaultUserAssociatedToUserGroupFault", "The default user is in a user group.")
    for group in USER_GROUPS.store.all(place):
        if item["UserId"] in group["UserIds"]:
            group["UserIds"].remove(item["UserId"])


USERS = Kind(
    "User",
    "Users",
    "UserId",
    "ARN",
    Store("User", "UserAlreadyExistsFault", "UserNotFoundFault"),
    _user,
    show=_show_user,
    change=_changed_user,
    before_delete=_free_user,
    wrapped=False,
)


def _check_members(place: Place, users: list[str]) -> None:
    names = [USERS.store.get(place, user)["UserName"] for user in users]
    if "default" not in names:
        raise refuse("DefaultUserRequired", "A user group needs a user with the user name default.")
    if len(set(names)) < len(names):
        raise refuse("DuplicateUserNameFault", "A user group holds two users of the same user name.")


def _user_group(place: Place, given: Parameters) -> Item:
    users = given.get("UserIds", [])
    _check_members(place, users)
    return {
        "ARN": _arn(place, "usergroup", given["UserGroupId"]),
        "Status": "active",
        "MinimumEngineVersion": "6.0",
        "UserIds": list(users),
    }


def _changed_user_group(place: Place, item: Item, given: Parameters) -> Item:
    leaving = given.get("UserIdsToRemove", [])
    users = [user for user in item["UserIds"] if user not in leaving] + given.get("UserIdsToAdd", [])
    _check_members(place, users)
    return {"UserIds": users, **({"Engine": given["Engine"]} if "Engine" in given else {})}


def _show_user_group(place: Place, item: Item) -> Item:
    name = item["UserGroupId"]
    using = [
        each["ReplicationGroupId"]
        for each in REPLICATION_GROUPS.store.all(place)
        if name in each.get("UserGroupIds", [])
    ]
    return {**item, "ReplicationGroups": using}


def _free_user_group(place: Place, item: Item) -> None:
    using = _show_user_group(place, item)["ReplicationGroups"]
    if using:
        raise refuse("InvalidUserGroupState", f"The user group is in use by {', '.join(using)}.")


USER_GROUPS = Kind(
    "UserGroup",
    "UserGroups",
    "UserGroupId",
    "ARN",
    Store("User group", "UserGroupAlreadyExistsFault", "UserGroupNotFoundFault"),
    _user_group,
    show=_show_user_group,
    change=_changed_user_group,
    before_delete=_free_user_group,
    wrapped=False,
)


def _replication_group(place: Place, given: Parameters) -> Item:
    for name, kind in (
        ("CacheSubnetGroupName", SUBNET_GROUPS),
        ("CacheParameterGroupName", PARAMETER_GROUPS),
    ):
        if name in given and not given[name].startswith("default"):
            kind.find(place, given)
    for group in given.get("UserGroupIds", []):
        USER_GROUPS.store.get(place, group)
    if (
        given.get("AutomaticFailoverEnabled")
        and given.get("NumCacheClusters", 2) < 2
        and "NumNodeGroups" not in given
    ):
        raise refuse("InvalidParameterCombinationException", "Automatic failover needs at least one replica.")
    return {
        "ARN": _arn(place, "replicationgroup", given["ReplicationGroupId"]),
        "Status": "available",
        "NumCacheClusters": given.get("NumCacheClusters", 1),
        "ReplicationGroupCreateTime": datetime.now(UTC),
    }


def _show_replication_group(place: Place, item: Item) -> Item:
    name, port = item["ReplicationGroupId"], item.get("Port", 6379)
    members = [f"{name}-{number:03}" for number in range(1, item["NumCacheClusters"] + 1)]
    start = f"{name}.cache.{place.region}.amazonaws.com"
    deliveries = [
        {**{key: value for key, value in each.items() if key != "Enabled"}, "Status": "active"}
        for each in item.get("LogDeliveryConfigurations", [])
        if each.get("Enabled", True)
    ]
    return {
        **item,
        "Description": item["ReplicationGroupDescription"],
        "MemberClusters": members,
        "NodeGroups": [
            {
                "NodeGroupId": "0001",
                "Status": "available",
                "PrimaryEndpoint": {"Address": f"master.{start}", "Port": port},
                "ReaderEndpoint": {"Address": f"replica.{start}", "Port": port},
                "NodeGroupMembers": [{"CacheClusterId": member, "CacheNodeId": "0001"} for member in members],
            }
        ],
        "AutomaticFailover": "enabled" if item.get("AutomaticFailoverEnabled") else "disabled",
        "MultiAZ": "enabled" if item.get("MultiAZEnabled") else "disabled",
        "AuthTokenEnabled": "AuthToken" in item,
        "ClusterEnabled": False,
        "LogDeliveryConfigurations": deliveries,
    }


def _changed_replication_group(place: Place, item: Item, given: Parameters) -> Item:
    changed = {name: value for name, value in given.items() if not name.startswith("UserGroupIds")}
    groups = [
        name for name in item.get("UserGroupIds", []) if name not in given.get("UserGroupIdsToRemove", [])
    ]
    for name in given.get("UserGroupIdsToAdd", []):
        USER_GROUPS.store.get(place, name)
        groups.append(name)
    if "LogDeliveryConfigurations" in given:
        kept = {each["LogType"]: each for each in item.get("LogDeliveryConfigurations", [])}
        kept |= {each["LogType"]: each for each in given["LogDeliveryConfigurations"]}
        changed["LogDeliveryConfigurations"] = list(kept.values())
    return {**changed, "UserGroupIds": groups}


def _set_replicas(place: Place, given: Parameters) -> Item:
    item = REPLICATION_GROUPS.find(place, given)
    item["NumCacheClusters"] = given["NewReplicaCount"] + 1
    return {"ReplicationGroup": _show_replication_group(place, item)}


REPLICATION_GROUPS = Kind(
    "ReplicationGroup",
    "ReplicationGroups",
    "ReplicationGroupId",
    "ARN",
    Store("Replication group", "ReplicationGroupAlreadyExistsFault", "ReplicationGroupNotFoundFault"),
    _replication_group,
    show=_show_replication_group,
    change=_changed_replication_group,
)

KINDS = (SUBNET_GROUPS, PARAMETER_GROUPS, USERS, USER_GROUPS, REPLICATION_GROUPS)
SNAPSHOTS = Store("Snapshot", "SnapshotAlreadyExistsFault", "SnapshotNotFoundFault")
"""What is left of deleted replication groups."""


def _delete_replication_group(place: Place, given: Parameters) -> Item:
    """Deletes a group; its last data stay as a snapshot where one is asked for."""
    group = REPLICATION_GROUPS.find(place, given)
    if name := given.get("FinalSnapshotIdentifier"):
        kept = ("ReplicationGroupId", "CacheNodeType", "Engine", "EngineVersion", "KmsKeyId")
        snapshot = {
            "SnapshotName": name,
            "SnapshotStatus": "available",
            "SnapshotSource": "manual",
            "ARN": _arn(place, "snapshot", name),
            **{member: group[member] for member in kept if member in group},
        }
        SNAPSHOTS.create(place, name, snapshot)
    return dict(REPLICATION_GROUPS.operations()["DeleteReplicationGroup"](place, given))


def _describe_snapshots(place: Place, given: Parameters) -> Item:
    found = [SNAPSHOTS.get(place, given["SnapshotName"])] if "SnapshotName" in given else SNAPSHOTS.all(place)
    group = given.get("ReplicationGroupId")
    return {"Snapshots": [item for item in found if group in (None, item["ReplicationGroupId"])]}
