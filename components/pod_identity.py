"""AWS rights of pods."""

from collections.abc import Sequence

import pulumi
from pulumi_aws import eks, iam

from components.policies import Statement, document_output, managed_policy, trust


class PodIdentity(pulumi.ComponentResource):
    """A role that the pods of one service account take by EKS Pod Identity. Meets CIS EKS 5.2.1.

    Args:
        policies: names of AWS managed policies, or ARNs.
        statements: further rights.

    Outputs:
        role_arn.
    """

    def __init__(
        self,
        name: str,
        *,
        cluster_name: pulumi.Input[str],
        namespace: str,
        service_account: str,
        policies: Sequence[str] = (),
        statements: pulumi.Input[Sequence[Statement]] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("landfall:eks:PodIdentity", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = iam.Role(
            name,
            description=f"Pods of {namespace}/{service_account}",
            assume_role_policy=trust(
                "pods.eks.amazonaws.com",
                "sts:AssumeRole",
                "sts:TagSession",
            ),
            opts=child,
        )
        for policy in policies:
            iam.RolePolicyAttachment(
                f"{name}-{policy.rpartition('/')[2]}",
                role=role.name,
                policy_arn=managed_policy(policy),
                opts=child,
            )
        if statements is not None:
            iam.RolePolicy(name, role=role.id, policy=document_output(statements), opts=child)
        eks.PodIdentityAssociation(
            name,
            cluster_name=cluster_name,
            namespace=namespace,
            service_account=service_account,
            role_arn=role.arn,
            opts=child,
        )
        self.role_arn = role.arn
        self.register_outputs({"role_arn": self.role_arn})
