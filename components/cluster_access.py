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
class Grant:
    """One of AWS's access policies, for the whole cluster or for some namespaces."""

    policy: Literal["cluster-admin", "admin", "edit", "view"]
    namespaces: tuple[str, ...] = ()
    """Empty: the whole cluster."""


@dataclass(frozen=True)
class Access:
    """An IAM principal and what it may do."""

    name: str
    principal: pulumi.Input[str]
    grants: tuple[Grant, ...]
    """At most one of each policy."""


class ClusterAccess(pulumi.ComponentResource):
    """Access entries of a cluster, each with one or more of AWS's access policies."""

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
            for grant in entry.grants:
                eks.AccessPolicyAssociation(
                    f"{name}-{entry.name}-{grant.policy}",
                    cluster_name=cluster_name,
                    principal_arn=made.principal_arn,
                    policy_arn=f"arn:aws:eks::aws:cluster-access-policy/{POLICIES[grant.policy]}",
                    access_scope=(
                        {"type": "namespace", "namespaces": list(grant.namespaces)}
                        if grant.namespaces
                        else {"type": "cluster"}
                    ),
                    opts=child,
                )
        self.register_outputs({})
