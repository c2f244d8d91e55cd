"""The instance that a cutover runs on."""

from collections.abc import Mapping, Sequence

import pulumi
from pulumi_aws import ec2, iam, kms, vpc

from components.policies import document_output, managed_policy, trust
from components.settings.access import WorkspaceSettings


class Workspace(pulumi.ComponentResource):
    """An instance in a private subnet that reaches both clusters, both databases and Cloudflare.

    It is entered through Session Manager and has no open port. It may do nothing by itself but take the
    runner's roles.

    Meets EC2.8, EC2.9, EC2.18, KMS rotation.

    Args:
        tags: for the disk and the network interface, which AWS makes by itself.

    Outputs:
        instance_id, security_group_id (for others to let in), role_arn.
    """

    def __init__(
        self,
        name: str,
        settings: WorkspaceSettings,
        *,
        vpc_id: pulumi.Input[str],
        subnet_id: pulumi.Input[str],
        tags: Mapping[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("landfall:ec2:Workspace", name, None, opts)
        self._name = name
        self._tags = dict(tags)
        self._child = pulumi.ResourceOptions(parent=self)
        self._role = iam.Role(
            name,
            description=f"The workspace instance {name}",
            assume_role_policy=trust("ec2.amazonaws.com"),
            opts=self._child,
        )
        iam.RolePolicyAttachment(
            name,
            role=self._role.name,
            policy_arn=managed_policy("AmazonSSMManagedInstanceCore"),
            opts=self._child,
        )
        group = self._security_group(vpc_id)
        template = self._launch_template(settings)
        instance = ec2.Instance(
            name,
            subnet_id=subnet_id,
            instance_type=settings.instance_type,
            associate_public_ip_address=False,
            # Stated here: EC2 takes none from a template where, as for that, an interface is described.
            vpc_security_group_ids=[group.id],
            launch_template={"id": template.id, "version": template.latest_version.apply(str)},
            metadata_options={"http_tokens": "required", "http_put_response_hop_limit": 1},
            tags={"Name": name},
            opts=self._child,
        )
        self.instance_id = instance.id
        self.security_group_id = group.id
        self.role_arn = self._role.arn
        self.register_outputs(
            {
                "instance_id": self.instance_id,
                "security_group_id": self.security_group_id,
                "role_arn": self.role_arn,
            }
        )

    def may_assume(self, roles: Sequence[pulumi.Input[str]]) -> None:
        """Lets the instance take these roles, which name it in their trust."""
        iam.RolePolicy(
            f"{self._name}-runner",
            role=self._role.id,
            policy=document_output(
                pulumi.Output.all(*roles).apply(
                    lambda arns: [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": sorted(arns)}]
                )
            ),
            opts=self._child,
        )

    def _security_group(self, vpc_id: pulumi.Input[str]) -> ec2.SecurityGroup:
        group = ec2.SecurityGroup(
            self._name,
            description=f"The workspace instance {self._name}",
            vpc_id=vpc_id,
            tags={"Name": self._name},
            opts=self._child,
        )
        # It has to reach clusters and databases of another cloud, wherever they are.
        vpc.SecurityGroupEgressRule(
            self._name,
            description="anywhere",
            security_group_id=group.id,
            cidr_ipv4="0.0.0.0/0",
            ip_protocol="-1",
            opts=self._child,
        )
        return group

    def _launch_template(self, settings: WorkspaceSettings) -> ec2.LaunchTemplate:
        key = kms.Key(
            self._name,
            description=f"The disk of the workspace instance {self._name}",
            enable_key_rotation=True,
            deletion_window_in_days=7,
            opts=self._child,
        )
        profile = iam.InstanceProfile(self._name, role=self._role.name, opts=self._child)
        return ec2.LaunchTemplate(
            self._name,
            # EC2 looks the image up when it starts the instance: a newer image never replaces a running one.
            image_id=f"resolve:ssm:{settings.image_parameter}",
            iam_instance_profile={"arn": profile.arn},
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
                        "volume_size": settings.disk_gib,
                        "volume_type": "gp3",
                        "encrypted": "true",
                        "kms_key_id": key.arn,
                        "delete_on_termination": "true",
                    },
                }
            ],
            tag_specifications=[
                {"resource_type": kind, "tags": {"Name": self._name, **self._tags}}
                for kind in ("volume", "network-interface")
            ],
            opts=self._child,
        )
