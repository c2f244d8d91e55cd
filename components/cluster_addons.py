"""What EKS runs on a cluster for it."""

import json

import pulumi
from pulumi_aws import eks

from components.pod_identity import PodIdentity

PLAIN = ("eks-pod-identity-agent", "kube-proxy")
NODES = ("coredns", "metrics-server")
"""Add-ons that need a node to become active."""


class ClusterAddons(pulumi.ComponentResource):
    """EKS's own add-ons, in the version that EKS prefers for the cluster's.

    The network plugin enforces NetworkPolicies; it and the disk driver have their rights by Pod Identity.

    Meets CIS EKS 5.4.4, CIS EKS 5.2.1.

    Args:
        nodes: the node group; what needs a node waits for it.
    """

    def __init__(
        self,
        name: str,
        *,
        cluster_name: pulumi.Input[str],
        nodes: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("landfall:eks:ClusterAddons", name, None, opts)
        self._name = name
        self._cluster_name = cluster_name
        self._child = pulumi.ResourceOptions(parent=self)
        for addon in PLAIN:
            self._addon(addon)
        self._identity("vpc-cni", "aws-node", "AmazonEKS_CNI_Policy")
        self._addon("vpc-cni", configuration={"enableNetworkPolicy": "true"})
        after = pulumi.ResourceOptions(depends_on=[nodes])
        self._identity("ebs-csi", "ebs-csi-controller-sa", "service-role/AmazonEBSCSIDriverPolicy")
        self._addon("aws-ebs-csi-driver", opts=after)
        for addon in NODES:
            self._addon(addon, opts=after)
        self.register_outputs({})

    def _identity(self, name: str, service_account: str, policy: str) -> None:
        PodIdentity(
            f"{self._name}-{name}",
            cluster_name=self._cluster_name,
            namespace="kube-system",
            service_account=service_account,
            policies=[policy] if "/" not in policy else [f"arn:aws:iam::aws:policy/{policy}"],
            opts=self._child,
        )

    def _addon(
        self,
        addon: str,
        *,
        configuration: dict[str, str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        eks.Addon(
            f"{self._name}-{addon}",
            cluster_name=self._cluster_name,
            addon_name=addon,
            configuration_values=json.dumps(configuration) if configuration else None,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="PRESERVE",
            opts=pulumi.ResourceOptions.merge(self._child, opts),
        )
