"""EKS: clusters, node groups, add-ons, access entries and pod identities."""

from __future__ import annotations

from lab.providers.aws.table import Call, Row, Settle, Tagging, Update
from lab.providers.base import Properties

_LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_GONE = frozenset({"ResourceNotFoundException"})
_FAILED = frozenset({"CREATE_FAILED", "DELETE_FAILED", "FAILED"})


def _tagging(arn: str) -> Tagging:
    return Tagging(
        tag=Call("TagResource", {"resourceArn": f"{{{arn}}}", "tags": "{tags}"}),
        untag=Call("UntagResource", {"resourceArn": f"{{{arn}}}", "tagKeys": "{keys}"}),
        path="tags",
    )


def _disabled_logs(values: Properties) -> Properties:
    enabled = values.get("enabledClusterLogTypes") or []
    return {"disabledClusterLogTypes": [name for name in _LOG_TYPES if name not in enabled]}


def _removed_labels(values: Properties) -> Properties:
    before = (values.get("old") or {}).get("labels") or {}
    return {"removedLabels": sorted(before.keys() - (values.get("labels") or {}).keys())}


_NODE_GROUP = {"clusterName": "{clusterName}", "nodegroupName": "{nodeGroupName}"}
_ADDON = {"clusterName": "{clusterName}", "addonName": "{addonName}"}
_ENTRY = {"clusterName": "{clusterName}", "principalArn": "{principalArn}"}
_ASSOCIATION = {"clusterName": "{clusterName}", "associationId": "{associationId}"}

ROWS = (
    Row(
        token="aws:eks/cluster:Cluster",
        service="eks",
        create=Call(
            "CreateCluster",
            {
                "tags": "{tagsAll}",
                "logging": {"clusterLogging": [{"types": "{enabledClusterLogTypes!}", "enabled": True}]},
            },
            result="cluster",
            rest=True,
        ),
        read=Call("DescribeCluster", {"name": "{id}"}, result="cluster"),
        delete=Call("DeleteCluster", {"name": "{id}"}),
        id="{name}",
        names={"vpcConfig": "resourcesVpcConfig"},
        singles=frozenset({"encryptionConfig"}),
        reads={
            "enabledClusterLogTypes": "logging.clusterLogging[?enabled].types[]",
            "identities": "identity && [{oidcs: [identity.oidc]}]",
            "identity": "",
            "logging": "",
            "health": "",
        },
        updates=(
            Update(
                Call(
                    "UpdateClusterConfig",
                    {
                        "name": "{id}",
                        "logging": {
                            "clusterLogging": [
                                {"types": "{enabledClusterLogTypes!}", "enabled": True},
                                {"types": "{disabledClusterLogTypes!}", "enabled": False},
                            ]
                        },
                    },
                ),
                when=("enabledClusterLogTypes",),
            ),
            Update(
                Call(
                    "UpdateClusterConfig",
                    {
                        "name": "{id}",
                        "resourcesVpcConfig": {
                            "endpointPublicAccess": "{vpcConfig.endpointPublicAccess}",
                            "endpointPrivateAccess": "{vpcConfig.endpointPrivateAccess}",
                            "publicAccessCidrs": "{vpcConfig.publicAccessCidrs}",
                        },
                    },
                ),
                when=("vpcConfig",),
            ),
            Update(
                Call("UpdateClusterVersion", {"name": "{id}", "version": "{version}"}),
                when=("version",),
            ),
            Update(Call("UpdateClusterConfig", {"name": "{id}"}, rest=True)),
        ),
        prepare=_disabled_logs,
        defaults={"enabledClusterLogTypes": [], "deletionProtection": False},
        local=frozenset({"defaultAddonsToRemoves", "forceUpdateVersion"}),
        replace=frozenset({"encryptionConfig", "roleArn"}),
        required=("roleArn", "vpcConfig"),
        autoname="name",
        settle=Settle("status", frozenset({"ACTIVE"}), _FAILED),
        tags=_tagging("arn"),
        gone=_GONE,
    ),
    Row(
        token="aws:eks/nodeGroup:NodeGroup",
        service="eks",
        create=Call("CreateNodegroup", {"tags": "{tagsAll}"}, result="nodegroup", rest=True),
        read=Call("DescribeNodegroup", _NODE_GROUP, result="nodegroup"),
        delete=Call("DeleteNodegroup", _NODE_GROUP),
        id="{clusterName}:{nodeGroupName}",
        names={
            "nodeGroupName": "nodegroupName",
            "nodeRoleArn": "nodeRole",
            "subnetIds": "subnets",
            "arn": "nodegroupArn",
            "remoteAccess.sourceSecurityGroupIds": "sourceSecurityGroups",
        },
        reads={
            "resources": "[{autoscalingGroups: resources.autoScalingGroups,"
            " remoteAccessSecurityGroupId: resources.remoteAccessSecurityGroup}]",
            "health": "",
        },
        updates=(
            Update(
                Call(
                    "UpdateNodegroupConfig",
                    {
                        **_NODE_GROUP,
                        "labels": {"addOrUpdateLabels": "{labels}", "removeLabels": "{removedLabels}"},
                    },
                ),
                when=("labels",),
            ),
            Update(
                Call("UpdateNodegroupVersion", _NODE_GROUP, rest=True),
                when=("version", "releaseVersion", "launchTemplate"),
            ),
            Update(
                Call(
                    "UpdateNodegroupConfig",
                    {
                        **_NODE_GROUP,
                        "scalingConfig": "{scalingConfig}",
                        "updateConfig": "{updateConfig}",
                        "nodeRepairConfig": "{nodeRepairConfig}",
                    },
                ),
                when=("scalingConfig", "updateConfig", "nodeRepairConfig"),
            ),
        ),
        prepare=_removed_labels,
        local=frozenset({"forceUpdateVersion"}),
        required=("clusterName", "nodeRoleArn", "scalingConfig", "subnetIds"),
        autoname="nodeGroupName",
        settle=Settle("status", frozenset({"ACTIVE"}), _FAILED | {"DEGRADED"}),
        tags=_tagging("arn"),
        gone=_GONE,
    ),
    Row(
        token="aws:eks/addon:Addon",
        service="eks",
        create=Call(
            "CreateAddon",
            {"tags": "{tagsAll}", "resolveConflicts": "{resolveConflictsOnCreate}"},
            result="addon",
            rest=True,
        ),
        read=Call("DescribeAddon", _ADDON, result="addon"),
        delete=Call("DeleteAddon", {**_ADDON, "preserve": "{preserve}"}),
        id="{clusterName}:{addonName}",
        names={"arn": "addonArn"},
        # AWS describes these by their own ARNs only, so what was stated is kept.
        reads={"podIdentityAssociations": "", "health": ""},
        updates=(
            Update(
                Call("UpdateAddon", {**_ADDON, "resolveConflicts": "{resolveConflictsOnUpdate}"}, rest=True)
            ),
        ),
        local=frozenset({"preserve", "resolveConflictsOnCreate", "resolveConflictsOnUpdate"}),
        required=("clusterName", "addonName"),
        settle=Settle("status", frozenset({"ACTIVE", "DEGRADED"}), _FAILED),
        tags=_tagging("arn"),
        gone=_GONE,
    ),
    Row(
        token="aws:eks/accessEntry:AccessEntry",
        service="eks",
        create=Call("CreateAccessEntry", {"tags": "{tagsAll}"}, result="accessEntry", rest=True),
        read=Call("DescribeAccessEntry", _ENTRY, result="accessEntry"),
        delete=Call("DeleteAccessEntry", _ENTRY),
        id="{clusterName}:{principalArn}",
        names={"userName": "username"},
        updates=(Update(Call("UpdateAccessEntry", _ENTRY, rest=True)),),
        required=("clusterName", "principalArn"),
        tags=_tagging("accessEntryArn"),
        gone=_GONE,
    ),
    Row(
        token="aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        service="eks",
        create=Call("AssociateAccessPolicy", rest=True),
        read=Call(
            "ListAssociatedAccessPolicies",
            _ENTRY,
            result="associatedAccessPolicies[?policyArn=='{policyArn}'] | [0]",
        ),
        delete=Call("DisassociateAccessPolicy", {**_ENTRY, "policyArn": "{policyArn}"}),
        id="{clusterName}#{principalArn}#{policyArn}",
        required=("clusterName", "principalArn", "policyArn", "accessScope"),
        gone=_GONE,
    ),
    Row(
        token="aws:eks/podIdentityAssociation:PodIdentityAssociation",
        service="eks",
        create=Call("CreatePodIdentityAssociation", {"tags": "{tagsAll}"}, result="association", rest=True),
        read=Call("DescribePodIdentityAssociation", _ASSOCIATION, result="association"),
        delete=Call("DeletePodIdentityAssociation", _ASSOCIATION),
        id="{clusterName},{associationId}",
        updates=(Update(Call("UpdatePodIdentityAssociation", _ASSOCIATION, rest=True)),),
        replace=frozenset({"clusterName", "namespace", "serviceAccount"}),
        required=("clusterName", "namespace", "serviceAccount", "roleArn"),
        tags=_tagging("associationArn"),
        gone=_GONE,
    ),
)
