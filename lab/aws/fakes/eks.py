"""EKS: add-ons, access entries, pod identities and updates, which moto lacks or simplifies.

Beside them: a cluster has a VPC and a security group of its own, and keeps what it was created with.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from moto.ec2.models import ec2_backends
from moto.eks import urls
from moto.eks.models import eks_backends
from moto.eks.responses import EKSResponse

from lab.aws.fakes.operation import Item, Parameters, Place, Store, add, follow, refuse, snake

_addons = Store("Addon", "ResourceInUseException", "ResourceNotFoundException")
_entries = Store("Access entry", "ResourceInUseException", "ResourceNotFoundException")
_policies = Store("Access policy association", "ResourceInUseException", "ResourceNotFoundException")
_identities = Store("Association", "ResourceInUseException", "ResourceNotFoundException")
_STORES = (_addons, _entries, _policies, _identities)
_ARNS = ("addonArn", "accessEntryArn", "associationArn")

# What CreateCluster and UpdateClusterConfig take and moto forgets, with AWS's defaults.
_KEPT: dict[str, Any] = {
    "accessConfig": {"authenticationMode": "CONFIG_MAP", "bootstrapClusterCreatorAdminPermissions": True},
    "upgradePolicy": {"supportType": "EXTENDED"},
    "zonalShiftConfig": None,
    "computeConfig": None,
    "storageConfig": None,
    "deletionProtection": False,
}


def install() -> None:
    """Add all of it to moto's EKS."""
    urls.url_paths["{0}/clusters/(?P<name>[^/]+)/(?P<rest>.+)$"] = urls.response.dispatch
    follow(EKSResponse, "CreateCluster", _after_create_cluster)
    follow(EKSResponse, "CreateNodegroup", _after_create_nodegroup)
    add(
        EKSResponse,
        {
            "UpdateClusterConfig": _update_cluster,
            "UpdateClusterVersion": _update_cluster_version,
            "DeleteCluster": _delete_cluster,
            "UpdateNodegroupVersion": _update_nodegroup_version,
            "CreateAddon": _create_addon,
            "DescribeAddon": lambda place, given: {"addon": _addons.get(place, _addon_key(given))},
            "UpdateAddon": _update_addon,
            "DeleteAddon": lambda place, given: {"addon": _addons.delete(place, _addon_key(given))},
            "ListAddons": lambda place, given: {
                "addons": [item["addonName"] for item in _of_cluster(_addons, place, given)]
            },
            "CreateAccessEntry": _create_entry,
            "DescribeAccessEntry": lambda place, given: {
                "accessEntry": _entries.get(place, _entry_key(given))
            },
            "UpdateAccessEntry": _update_entry,
            "DeleteAccessEntry": _delete_entry,
            "ListAccessEntries": lambda place, given: {
                "accessEntries": [item["principalArn"] for item in _of_cluster(_entries, place, given)]
            },
            "AssociateAccessPolicy": _associate_policy,
            "DisassociateAccessPolicy": _disassociate_policy,
            "ListAssociatedAccessPolicies": _list_policies,
            "CreatePodIdentityAssociation": _create_identity,
            "DescribePodIdentityAssociation": lambda place, given: {"association": _identity(place, given)},
            "UpdatePodIdentityAssociation": _update_identity,
            "DeletePodIdentityAssociation": _delete_identity,
            "ListPodIdentityAssociations": lambda place, given: {
                "associations": _of_cluster(_identities, place, given)
            },
            "TagResource": _tag,
            "UntagResource": _untag,
            "ListTagsForResource": lambda place, given: {"tags": _tags(place, given["resourceArn"])},
        },
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _cluster(place: Place, name: str) -> Any:
    clusters = eks_backends[place.account][place.region].clusters
    if name not in clusters:
        raise refuse("ResourceNotFoundException", f"No cluster found for name: {name}.")
    return clusters[name]


def _update(kind: str) -> Item:
    update = {
        "id": str(uuid.uuid4()),
        "status": "Successful",
        "type": kind,
        "params": [],
        "createdAt": _now(),
    }
    return {"update": {**update, "errors": []}}


def _after_create_cluster(place: Place, given: Parameters) -> None:
    cluster = _cluster(place, given["name"])
    for member, default in _KEPT.items():
        value = given.get(member, default)
        setattr(cluster, snake(member), {**default, **value} if isinstance(default, dict) else value)
    config = {"endpointPublicAccess": True, "endpointPrivateAccess": False, **cluster.resources_vpc_config}
    if config["endpointPublicAccess"]:
        config.setdefault("publicAccessCidrs", ["0.0.0.0/0"])
    config.setdefault("securityGroupIds", [])
    ec2 = ec2_backends[place.account][place.region]
    subnets = ec2.describe_subnets(subnet_ids=config["subnetIds"])
    config["vpcId"] = subnets[0].vpc_id
    group = ec2.create_security_group(
        f"eks-cluster-sg-{cluster.name}-{uuid.uuid4().int % 10**10}",
        "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes",
        vpc_id=config["vpcId"],
        tags={f"kubernetes.io/cluster/{cluster.name}": "owned", "aws:eks:cluster-name": cluster.name},
    )
    config["clusterSecurityGroupId"] = group.id
    cluster.resources_vpc_config = config


def _after_create_nodegroup(place: Place, given: Parameters) -> None:
    cluster = _cluster(place, given["clusterName"])
    group = cluster.nodegroups[given["nodegroupName"]]
    if "version" not in given:
        group.version = cluster.version
    if "remoteAccess" not in given:
        group.remote_access = None


def _update_cluster(place: Place, given: Parameters) -> Item:
    cluster = _cluster(place, given["name"])
    if "resourcesVpcConfig" in given:
        cluster.resources_vpc_config = {**cluster.resources_vpc_config, **given["resourcesVpcConfig"]}
    if "logging" in given:
        states = {
            name: setup["enabled"]
            for setup in [*cluster.logging["clusterLogging"], *given["logging"]["clusterLogging"]]
            for name in setup["types"]
        }
        cluster.logging = {
            "clusterLogging": [
                {"types": [name for name, state in states.items() if state is enabled], "enabled": enabled}
                for enabled in (True, False)
                if enabled in states.values()
            ]
        }
    for member in _KEPT:
        if member in given:
            before = getattr(cluster, snake(member), None)
            value = given[member]
            merged = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
            setattr(cluster, snake(member), merged)
    return _update("ConfigUpdate")


def _update_cluster_version(place: Place, given: Parameters) -> Item:
    cluster = _cluster(place, given["name"])
    if cluster.version == given["version"]:
        raise refuse(
            "InvalidParameterException", f"Cluster is already at the desired version: {cluster.version}"
        )
    cluster.version = given["version"]
    return _update("VersionUpdate")


def _delete_cluster(place: Place, given: Parameters) -> Item:
    cluster = _cluster(place, given["name"])
    if getattr(cluster, "deletion_protection", False):
        raise refuse(
            "InvalidRequestException", "Cannot delete cluster: deletion protection is enabled on the cluster."
        )
    eks_backends[place.account][place.region].delete_cluster(name=cluster.name)
    for store in _STORES:
        store.delete_where(place, lambda item: item["clusterName"] == cluster.name)
    group = cluster.resources_vpc_config["clusterSecurityGroupId"]
    ec2_backends[place.account][place.region].delete_security_group(group_id=group)
    return {"cluster": cluster}


def _update_nodegroup_version(place: Place, given: Parameters) -> Item:
    groups = _cluster(place, given["clusterName"]).nodegroups
    if given["nodegroupName"] not in groups:
        raise refuse("ResourceNotFoundException", f"No node group found for name: {given['nodegroupName']}.")
    group = groups[given["nodegroupName"]]
    for member in ("version", "releaseVersion", "launchTemplate"):
        if member in given:
            setattr(group, snake(member), given[member])
    return _update("VersionUpdate")


def _of_cluster(store: Store, place: Place, given: Parameters) -> list[Item]:
    cluster = _cluster(place, given["clusterName"])
    return [item for item in store.all(place) if item["clusterName"] == cluster.name]


def _addon_key(given: Parameters) -> str:
    return f"{given['clusterName']}/{given['addonName']}"


def _create_addon(place: Place, given: Parameters) -> Item:
    cluster = _cluster(place, given["clusterName"])
    name = given["addonName"]
    start = f"arn:aws:eks:{place.arn_start}"
    item: Item = {
        "addonVersion": "v1.0.0-eksbuild.1",
        "tags": {},
        **given,
        "status": "ACTIVE",
        "addonArn": f"{start}:addon/{cluster.name}/{name}/{uuid.uuid4()}",
        "health": {"issues": []},
        "createdAt": _now(),
        "modifiedAt": _now(),
    }
    item["podIdentityAssociations"] = [
        f"{start}:podidentityassociation/{cluster.name}/a-{uuid.uuid4().hex[:17]}"
        for _ in given.get("podIdentityAssociations", [])
    ]
    return {"addon": _addons.create(place, _addon_key(given), item)}


def _update_addon(place: Place, given: Parameters) -> Item:
    item = _addons.get(place, _addon_key(given))
    changed = {name: value for name, value in given.items() if name != "podIdentityAssociations"}
    item |= {**changed, "modifiedAt": _now()}
    return _update("AddonUpdate")


def _entry_key(given: Parameters) -> str:
    return f"{given['clusterName']}/{given['principalArn']}"


def _create_entry(place: Place, given: Parameters) -> Item:
    cluster = _cluster(place, given["clusterName"])
    principal = given["principalArn"]
    if cluster.access_config["authenticationMode"] == "CONFIG_MAP":
        raise refuse(
            "InvalidRequestException",
            "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP]"
            " to perform this operation.",
        )
    kind, _, name = principal.split(":")[-1].partition("/")
    item = {
        "kubernetesGroups": [],
        "type": "STANDARD",
        "username": principal,
        "tags": {},
        **given,
        "accessEntryArn": f"arn:aws:eks:{place.arn_start}:access-entry/{cluster.name}/{kind}"
        f"/{place.account}/{name}/{uuid.uuid4()}",
        "createdAt": _now(),
        "modifiedAt": _now(),
    }
    return {"accessEntry": _entries.create(place, _entry_key(given), item)}


def _update_entry(place: Place, given: Parameters) -> Item:
    item = _entries.get(place, _entry_key(given))
    item |= {**given, "modifiedAt": _now()}
    return {"accessEntry": item}


def _delete_entry(place: Place, given: Parameters) -> Item:
    _entries.delete(place, _entry_key(given))
    _policies.delete_where(place, lambda item: _entry_key(item) == _entry_key(given))
    return {}


def _associate_policy(place: Place, given: Parameters) -> Item:
    _entries.get(place, _entry_key(given))
    if not given["policyArn"].startswith("arn:aws:eks::aws:cluster-access-policy/"):
        raise refuse("InvalidParameterException", f"The policyArn {given['policyArn']} is invalid.")
    key = f"{_entry_key(given)}/{given['policyArn']}"
    _policies.delete_where(place, lambda item: f"{_entry_key(item)}/{item['policyArn']}" == key)
    item = _policies.create(place, key, {**given, "associatedAt": _now(), "modifiedAt": _now()})
    return {
        "clusterName": given["clusterName"],
        "principalArn": given["principalArn"],
        "associatedAccessPolicy": item,
    }


def _disassociate_policy(place: Place, given: Parameters) -> Item:
    _policies.delete(place, f"{_entry_key(given)}/{given['policyArn']}")
    return {}


def _list_policies(place: Place, given: Parameters) -> Item:
    _entries.get(place, _entry_key(given))
    found = [item for item in _policies.all(place) if _entry_key(item) == _entry_key(given)]
    return {
        "clusterName": given["clusterName"],
        "principalArn": given["principalArn"],
        "associatedAccessPolicies": found,
    }


def _create_identity(place: Place, given: Parameters) -> Item:
    cluster = _cluster(place, given["clusterName"])
    wanted = (cluster.name, given["namespace"], given["serviceAccount"])
    for item in _identities.all(place):
        if (item["clusterName"], item["namespace"], item["serviceAccount"]) == wanted:
            raise refuse("ResourceInUseException", f"Association already exists: {item['associationId']}")
    identity = f"a-{uuid.uuid4().hex[:17]}"
    item = {
        "tags": {},
        **given,
        "associationId": identity,
        "associationArn": f"arn:aws:eks:{place.arn_start}:podidentityassociation/{cluster.name}/{identity}",
        "createdAt": _now(),
        "modifiedAt": _now(),
    }
    return {"association": _identities.create(place, identity, item)}


def _identity(place: Place, given: Parameters) -> Item:
    item = _identities.get(place, given["associationId"])
    if item["clusterName"] != given["clusterName"]:
        raise refuse("ResourceNotFoundException", f"Association not found: {given['associationId']}")
    return item


def _update_identity(place: Place, given: Parameters) -> Item:
    item = _identity(place, given)
    item |= {**given, "modifiedAt": _now()}
    return {"association": item}


def _delete_identity(place: Place, given: Parameters) -> Item:
    _identity(place, given)
    return {"association": _identities.delete(place, given["associationId"])}


def _tags(place: Place, arn: str) -> dict[str, str]:
    """The tags of any of the service's resources, to be changed in place."""
    for cluster in eks_backends[place.account][place.region].clusters.values():
        things: tuple[Any, ...] = (cluster, *cluster.nodegroups.values(), *cluster.fargate_profiles.values())
        for thing in things:
            if arn in (getattr(thing, "arn", None), getattr(thing, "fargate_profile_arn", None)):
                found: dict[str, str] = thing.tags
                return found
    for store in _STORES:
        for item in store.all(place):
            if arn in (item.get(name) for name in _ARNS):
                tags: dict[str, str] = item.setdefault("tags", {})
                return tags
    raise refuse("NotFoundException", f"No resource found for ARN: {arn}")


def _tag(place: Place, given: Parameters) -> Item:
    _tags(place, given["resourceArn"]).update(given["tags"])
    return {}


def _untag(place: Place, given: Parameters) -> Item:
    tags = _tags(place, given["resourceArn"])
    for key in given["tagKeys"]:
        tags.pop(key, None)
    return {}
