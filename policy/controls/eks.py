"""EKS: the control plane, the nodes, and what pods may do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime

from components.settings.engines import KUBERNETES_STANDARD_SUPPORT
from policy.control import Control, Rule, Stack, StackRule
from policy.controls.network import not_in_public_subnets
from policy.judgement import (
    ABSENT,
    Demand,
    Failed,
    Finding,
    NotEvaluated,
    Resource,
    has_unknown,
    includes,
    is_false,
    is_given,
)

CLUSTER = "aws:eks/cluster:Cluster"
NODES = "aws:eks/nodeGroup:NodeGroup"
ADDON = "aws:eks/addon:Addon"
ROLE = "aws:iam/role:Role"
ATTACHMENT = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
NODE_POLICIES = {
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonEC2ContainerRegistryReadOnly",
    "AmazonEKSWorkerNodeMinimalPolicy",
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKS_CNI_Policy",
    "AmazonSSMManagedInstanceCore",
}
"""What a node itself needs; its pods have roles of their own."""


def today() -> date:
    """The day, in UTC."""
    return datetime.now(UTC).date()


def supported(version: object) -> bool:
    """Whether a Kubernetes version has EKS's standard support today."""
    end = KUBERNETES_STANDARD_SUPPORT.get(str(version))
    return end is not None and today() <= end


def _with_addon(addon: str) -> StackRule:
    def judged(resource: Resource, stack: Stack) -> Iterator[Finding]:
        own = stack.users(resource, ADDON, "clusterName")
        strangers = (item for item in stack.of(ADDON) if not stack.sources(item, "clusterName", CLUSTER))
        candidates = [*own, *(item for item in strangers if has_unknown(item.value("clusterName")))]
        if any(item.value("addonName") == addon for item in own):
            return
        if any(
            item.value("addonName") == addon or has_unknown(item.value("addonName")) for item in candidates
        ):
            yield NotEvaluated(f"whether it has the add-on {addon} is not known yet")
        else:
            yield Failed(f"it has no add-on {addon}")

    return StackRule((CLUSTER,), (judged,))


def _node_rights(resource: Resource, stack: Stack) -> Iterator[Finding]:
    roles = stack.sources(resource, "nodeRoleArn", ROLE)
    if resource.value("nodeRoleArn") is ABSENT:
        yield Failed("nodeRoleArn is absent")
    elif not roles:
        yield NotEvaluated("its nodes' role is not of this stack")
    for role in roles:
        for attachment in stack.users(role, ATTACHMENT, "role"):
            arn = attachment.value("policyArn")
            if has_unknown(arn):
                yield NotEvaluated(f"which policy {attachment.name} attaches is not known yet")
            elif str(arn).rpartition("/")[2] not in NODE_POLICIES:
                yield Failed(f"its nodes have the rights of {arn}, which is for pods' own roles")


def _network_policies(resource: Resource) -> Iterator[Finding]:
    name, values = resource.value("addonName"), resource.value("configurationValues")
    if name is ABSENT or (name == "vpc-cni" and values is ABSENT):
        yield Failed("configurationValues is absent; expected enableNetworkPolicy to be true")
    elif has_unknown(name) or (name == "vpc-cni" and has_unknown(values)):
        yield NotEvaluated("addonName or configurationValues is not known yet")
    elif name == "vpc-cni":
        try:
            enabled = json.loads(values)["enableNetworkPolicy"]
        except (ValueError, TypeError, KeyError):
            enabled = None
        if enabled not in ("true", True):
            yield Failed("configurationValues does not say that enableNetworkPolicy is true")


CONTROLS = (
    Control(
        "EKS.1",
        "A cluster's API server has no public endpoint.",
        "vpcConfig.endpointPublicAccess",
        (Rule((CLUSTER,), (is_false("vpcConfig.endpointPublicAccess"),)),),
    ),
    Control(
        "EKS.2",
        "A cluster's version has EKS's standard support.",
        "version",
        (Rule((CLUSTER,), (Demand("version", "one in standard support today", supported),)),),
    ),
    Control(
        "EKS.3",
        "A cluster's Secrets are encrypted under a key that is named.",
        "encryptionConfig.resources, encryptionConfig.provider.keyArn",
        (
            Rule(
                (CLUSTER,),
                (
                    includes("encryptionConfig.resources", "secrets"),
                    is_given("encryptionConfig.provider.keyArn"),
                ),
            ),
        ),
    ),
    Control(
        "EKS.8",
        "A cluster's control plane logs everything.",
        "enabledClusterLogTypes",
        (
            Rule(
                (CLUSTER,),
                (
                    includes(
                        "enabledClusterLogTypes",
                        "api",
                        "audit",
                        "authenticator",
                        "controllerManager",
                        "scheduler",
                    ),
                ),
            ),
        ),
    ),
    Control(
        "CIS-EKS-5.2.1",
        "Pods have roles of their own, by Pod Identity; nodes have what nodes need.",
        "eks.Addon: addonName; eks.NodeGroup: nodeRoleArn; iam.RolePolicyAttachment: policyArn",
        stack_rules=(_with_addon("eks-pod-identity-agent"), StackRule((NODES,), (_node_rights,))),
    ),
    Control(
        "CIS-EKS-5.4.3",
        "A cluster's nodes are in private subnets.",
        "subnetIds, ec2.Route: gatewayId",
        (Rule((NODES,), (is_given("subnetIds"),)),),
        (StackRule((NODES,), (not_in_public_subnets("subnetIds"),)),),
    ),
    Control(
        "CIS-EKS-5.4.4",
        "A cluster's network enforces NetworkPolicies.",
        "eks.Addon: addonName, configurationValues",
        (Rule((ADDON,), (_network_policies,)),),
        (_with_addon("vpc-cni"),),
    ),
)
