"""The EKS cluster that workloads move to."""

import json
from collections.abc import Mapping, Sequence

import pulumi
from pulumi_aws import cloudwatch, ec2, eks, iam, kms

from components.settings.cluster import ClusterSettings

CLUSTER_POLICIES = ("AmazonEKSClusterPolicy",)
NODE_POLICIES = (
    "AmazonEKSWorkerNodePolicy",
    "AmazonEKS_CNI_Policy",
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonSSMManagedInstanceCore",
)
LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")


class Cluster(pulumi.ComponentResource):
    """An EKS cluster with one managed node group in private subnets.

    Its API server answers inside the VPC alone unless the settings name networks that may reach it. Access
    is by access entries. Secrets are encrypted under a key of the cluster's own; nodes take IMDSv2 alone and
    have encrypted disks.

    Meets EKS.1, EKS.2, EKS.3, EKS.8, KMS rotation, EC2.8, CIS EKS 5.4.3.

    Args:
        tags: for the nodes, their disks and their network interfaces, which AWS makes by itself.
        protected: whether deleting it takes a change of the settings first.

    Outputs:
        cluster_name, cluster_arn, endpoint, certificate_authority (base64 of PEM), security_group_id (of the
        control plane and the nodes), node_role_arn; and `node_group`, the resource, for what waits for nodes.
    """

    def __init__(
        self,
        name: str,
        settings: ClusterSettings,
        *,
        subnet_ids: pulumi.Input[Sequence[str]],
        tags: Mapping[str, str],
        protected: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("landfall:eks:Cluster", name, None, opts)
        self._name = name
        self._tags = dict(tags)
        self._protected = protected
        self._child = pulumi.ResourceOptions(parent=self)
        self._guarded = pulumi.ResourceOptions(parent=self, protect=protected)
        cluster = self._control_plane(settings, subnet_ids)
        node_role = self._node_group(settings, cluster, subnet_ids)

        self.cluster_name = cluster.name
        self.cluster_arn = cluster.arn
        self.endpoint = cluster.endpoint
        self.certificate_authority = cluster.certificate_authority.data
        self.security_group_id = cluster.vpc_config.cluster_security_group_id
        self.node_role_arn = node_role.arn
        self.register_outputs(
            {
                "cluster_name": self.cluster_name,
                "cluster_arn": self.cluster_arn,
                "endpoint": self.endpoint,
                "certificate_authority": self.certificate_authority,
                "security_group_id": self.security_group_id,
                "node_role_arn": self.node_role_arn,
            }
        )

    def _control_plane(
        self, settings: ClusterSettings, subnet_ids: pulumi.Input[Sequence[str]]
    ) -> eks.Cluster:
        role, attachments = self._role("cluster", "eks.amazonaws.com", CLUSTER_POLICIES)
        key = kms.Key(
            f"{self._name}-secrets",
            description=f"Kubernetes Secrets of the EKS cluster {settings.name}",
            enable_key_rotation=True,
            deletion_window_in_days=30,
            opts=self._guarded,
        )
        # Declared first, or EKS creates it without a retention.
        logs = cloudwatch.LogGroup(
            f"{self._name}-control-plane",
            name=f"/aws/eks/{settings.name}/cluster",
            retention_in_days=settings.log_retention_days,
            opts=self._child,
        )
        return eks.Cluster(
            self._name,
            name=settings.name,
            version=settings.version,
            role_arn=role.arn,
            vpc_config={
                "subnet_ids": subnet_ids,
                "endpoint_private_access": True,
                "endpoint_public_access": bool(settings.public_access_cidrs),
                "public_access_cidrs": [str(network) for network in settings.public_access_cidrs] or None,
            },
            access_config={
                "authentication_mode": "API",
                "bootstrap_cluster_creator_admin_permissions": False,
            },
            encryption_config={"provider": {"key_arn": key.arn}, "resources": ["secrets"]},
            enabled_cluster_log_types=list(LOG_TYPES),
            deletion_protection=self._protected,
            opts=pulumi.ResourceOptions.merge(
                self._guarded, pulumi.ResourceOptions(depends_on=[logs, *attachments])
            ),
        )

    def _node_group(
        self, settings: ClusterSettings, cluster: eks.Cluster, subnet_ids: pulumi.Input[Sequence[str]]
    ) -> iam.Role:
        role, attachments = self._role("node", "ec2.amazonaws.com", NODE_POLICIES)
        template = ec2.LaunchTemplate(
            f"{self._name}-node",
            update_default_version=True,
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": "required",
                "http_put_response_hop_limit": 1,
            },
            block_device_mappings=[
                {
                    "device_name": "/dev/xvda",
                    "ebs": {
                        "volume_size": settings.node_group.disk_gib,
                        "volume_type": "gp3",
                        "encrypted": "true",
                        "delete_on_termination": "true",
                    },
                }
            ],
            tag_specifications=[
                {"resource_type": kind, "tags": {"Name": f"{self._name}-node", **self._tags}}
                for kind in ("instance", "volume", "network-interface")
            ],
            opts=self._child,
        )
        self.node_group = eks.NodeGroup(
            f"{self._name}-default",
            cluster_name=cluster.name,
            node_group_name="default",
            node_role_arn=role.arn,
            subnet_ids=subnet_ids,
            ami_type=settings.node_group.image,
            instance_types=list(settings.node_group.instance_types),
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            scaling_config={
                "min_size": settings.node_group.minimum,
                "max_size": settings.node_group.maximum,
                "desired_size": settings.node_group.desired,
            },
            update_config={"max_unavailable": 1},
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=attachments)),
        )
        return role

    def _role(
        self, kind: str, service: str, policies: Sequence[str]
    ) -> tuple[iam.Role, list[iam.RolePolicyAttachment]]:
        name = f"{self._name}-{kind}"
        role = iam.Role(
            name,
            assume_role_policy=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
                    ],
                }
            ),
            opts=self._child,
        )
        attachments = [
            iam.RolePolicyAttachment(
                f"{name}-{policy}",
                role=role.name,
                policy_arn=f"arn:aws:iam::aws:policy/{policy}",
                opts=self._child,
            )
            for policy in policies
        ]
        return role, attachments
