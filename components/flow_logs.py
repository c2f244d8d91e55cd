"""Records of the connections in a VPC."""

import pulumi
from pulumi_aws import cloudwatch, ec2, iam

from components.policies import document_output, trust


class FlowLogs(pulumi.ComponentResource):
    """All connections of a VPC, accepted and rejected, in a log group. Meets EC2.6."""

    def __init__(
        self,
        name: str,
        *,
        vpc_id: pulumi.Input[str],
        retention_days: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("landfall:network:FlowLogs", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        logs = cloudwatch.LogGroup(
            f"{name}-flow-logs",
            name=f"/aws/vpc/{name}/flow-logs",
            retention_in_days=retention_days,
            opts=child,
        )
        role = iam.Role(
            f"{name}-flow-logs",
            assume_role_policy=trust("vpc-flow-logs.amazonaws.com"),
            opts=child,
        )
        iam.RolePolicy(
            f"{name}-flow-logs",
            role=role.id,
            policy=document_output(
                logs.arn.apply(
                    lambda arn: [
                        {
                            "Effect": "Allow",
                            "Action": [
                                "logs:CreateLogStream",
                                "logs:DescribeLogStreams",
                                "logs:PutLogEvents",
                            ],
                            "Resource": [arn, f"{arn}:*"],
                        }
                    ]
                )
            ),
            opts=child,
        )
        ec2.FlowLog(
            name,
            vpc_id=vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=logs.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=60,
            tags={"Name": name},
            opts=child,
        )
        self.register_outputs({})
