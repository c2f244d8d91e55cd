"""The rights of the AWS Load Balancer Controller, which makes the ingress's network load balancer."""

from typing import Any

import pulumi

from components.pod_identity import PodIdentity
from components.policies import Statement

_CLUSTER_TAG = "elbv2.k8s.aws/cluster"
_READ = {
    "ec2": (
        "DescribeAccountAttributes",
        "DescribeAddresses",
        "DescribeAvailabilityZones",
        "DescribeCoipPools",
        "DescribeInstances",
        "DescribeInternetGateways",
        "DescribeIpamPools",
        "DescribeNetworkInterfaces",
        "DescribeRouteTables",
        "DescribeSecurityGroups",
        "DescribeSubnets",
        "DescribeTags",
        "DescribeVpcPeeringConnections",
        "DescribeVpcs",
        "GetCoipPoolUsage",
        "GetSecurityGroupsForVpc",
    ),
    "elasticloadbalancing": ("Describe*",),
    "acm": ("ListCertificates", "DescribeCertificate"),
}
_CREATE = {
    "ec2": ("CreateSecurityGroup",),
    "elasticloadbalancing": ("CreateLoadBalancer", "CreateTargetGroup"),
}
_CHANGE = {
    "ec2": ("AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress", "DeleteSecurityGroup"),
    "elasticloadbalancing": (
        "AddTags",
        "RemoveTags",
        "CreateListener",
        "CreateRule",
        "DeleteListener",
        "DeleteLoadBalancer",
        "DeleteRule",
        "DeleteTargetGroup",
        "DeregisterTargets",
        "ModifyListener",
        "ModifyListenerAttributes",
        "ModifyLoadBalancerAttributes",
        "ModifyRule",
        "ModifyTargetGroup",
        "ModifyTargetGroupAttributes",
        "RegisterTargets",
        "SetIpAddressType",
        "SetSecurityGroups",
        "SetSubnets",
    ),
}


class LoadBalancerController(pulumi.ComponentResource):
    """Pod identity of the controller that turns the ingress controller's Service into an NLB.

    The Service names the landing zone's Elastic IPs (`ingress_allocation_ids`) in the annotation
    `service.beta.kubernetes.io/aws-load-balancer-eip-allocations`. The controller changes only what carries
    this cluster's tag.
    """

    def __init__(
        self, name: str, *, cluster_name: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("landfall:eks:LoadBalancerController", name, None, opts)
        PodIdentity(
            f"{name}-load-balancer-controller",
            cluster_name=cluster_name,
            namespace="kube-system",
            service_account="aws-load-balancer-controller",
            statements=pulumi.Output.from_input(cluster_name).apply(statements),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


def statements(cluster_name: str) -> list[Statement]:
    """The controller's rights for one cluster."""
    requested = {"StringEquals": {f"aws:RequestTag/{_CLUSTER_TAG}": cluster_name}}
    owned = {"StringEquals": {f"aws:ResourceTag/{_CLUSTER_TAG}": cluster_name}}
    return [
        _allow(_READ, None),
        _allow(_CREATE, requested),
        # A security group is tagged as it is made, before it carries the tag that the last statement wants.
        {
            "Effect": "Allow",
            "Action": "ec2:CreateTags",
            "Resource": "arn:aws:ec2:*:*:security-group/*",
            "Condition": {"StringEquals": {"ec2:CreateAction": "CreateSecurityGroup"}},
        },
        {
            "Effect": "Allow",
            "Action": "ec2:CreateSecurityGroup",
            "Resource": "arn:aws:ec2:*:*:vpc/*",
        },
        {
            "Effect": "Allow",
            "Action": "elasticloadbalancing:AddTags",
            "Resource": "*",
            "Condition": {
                "StringEquals": {
                    "elasticloadbalancing:CreateAction": ["CreateLoadBalancer", "CreateTargetGroup"],
                    f"aws:RequestTag/{_CLUSTER_TAG}": cluster_name,
                }
            },
        },
        _allow(_CHANGE, owned),
        # The nodes' security group is EKS's own: the load balancer's targets are let in there.
        {
            "Effect": "Allow",
            "Action": ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"],
            "Resource": "arn:aws:ec2:*:*:security-group/*",
            "Condition": {"StringEquals": {f"aws:ResourceTag/kubernetes.io/cluster/{cluster_name}": "owned"}},
        },
        {
            "Effect": "Allow",
            "Action": "iam:CreateServiceLinkedRole",
            "Resource": "*",
            "Condition": {"StringEquals": {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}},
        },
    ]


def _allow(actions: dict[str, tuple[str, ...]], condition: dict[str, Any] | None) -> Statement:
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Action": [f"{service}:{action}" for service, names in actions.items() for action in names],
        "Resource": "*",
    }
    return statement | ({"Condition": condition} if condition else {})
