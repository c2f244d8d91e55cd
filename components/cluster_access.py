"""Who may use an EKS cluster's Kubernetes API."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
from pulumi_aws import eks

POLICIES = {
    "cluster-admin": "AmazonEKSClusterAdminPolicy",
    "admin": "AmazonEKSAdminPolicy",
    "edit": "AmazonEKSEditPolicy",
    "view": "AmazonEKSViewPolicy",
}


@dataclass(frozen=True)
class Access:
    """An IAM principal and what it may do."""

    name: str
    principal: pulumi.Input[str]
    policy: Literal["cluster-admin", "admin", "edit", "view"]
    namespaces: tuple[str, ...] = ()
    """Empty: the whole cluster."""


class ClusterAccess(pulumi.ComponentResource):
    """Access entries of a cluster, each with one of AWS's access policies."""

    def __init__(
        self,
        name: str,
        *,
        cluster_name: pulumi.Input[str],
        entries: Sequence[Access],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("landfall:eks:ClusterAccess", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        for entry in entries:
            made = eks.AccessEntry(
                f"{name}-{entry.name}",
                cluster_name=cluster_name,
                principal_arn=entry.principal,
                type="STANDARD",
                opts=child,
            )
            eks.AccessPolicyAssociation(
                f"{name}-{entry.name}",
                cluster_name=cluster_name,
                principal_arn=made.principal_arn,
                policy_arn=f"arn:aws:eks::aws:cluster-access-policy/{POLICIES[entry.policy]}",
                access_scope=(
                    {"type": "namespace", "namespaces": list(entry.namespaces)}
                    if entry.namespaces
                    else {"type": "cluster"}
                ),
                opts=child,
            )
        self.register_outputs({})
