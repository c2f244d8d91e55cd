"""Private ways from a VPC to AWS."""

from collections.abc import Sequence

import pulumi
from pulumi_aws import ec2, vpc

GATEWAYS = ("dynamodb", "s3")


class VpcEndpoints(pulumi.ComponentResource):
    """Endpoints of AWS services in a VPC's private subnets, open to the VPC's own addresses alone.

    Session Manager, secrets and the journal stay reachable without a way to the internet.

    Args:
        region: of the VPC.
        cidr: the VPC's addresses, which may use the endpoints.
        interfaces: names of services. Gateways to S3 and DynamoDB cost nothing and are always made.
    """

    def __init__(
        self,
        name: str,
        *,
        region: str,
        vpc_id: pulumi.Input[str],
        cidr: str,
        subnet_ids: pulumi.Input[Sequence[str]],
        route_table_ids: pulumi.Input[Sequence[str]],
        interfaces: Sequence[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("landfall:network:VpcEndpoints", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        for service in GATEWAYS:
            ec2.VpcEndpoint(
                f"{name}-{service}",
                vpc_id=vpc_id,
                vpc_endpoint_type="Gateway",
                service_name=f"com.amazonaws.{region}.{service}",
                route_table_ids=route_table_ids,
                tags={"Name": f"{name}-{service}"},
                opts=child,
            )
        if interfaces:
            group = ec2.SecurityGroup(
                f"{name}-endpoints",
                description=f"Connections to the AWS endpoints of {name}",
                vpc_id=vpc_id,
                tags={"Name": f"{name}-endpoints"},
                opts=child,
            )
            vpc.SecurityGroupIngressRule(
                f"{name}-endpoints",
                description="from the VPC",
                security_group_id=group.id,
                cidr_ipv4=cidr,
                ip_protocol="tcp",
                from_port=443,
                to_port=443,
                opts=child,
            )
            for service in interfaces:
                ec2.VpcEndpoint(
                    f"{name}-{service}",
                    vpc_id=vpc_id,
                    vpc_endpoint_type="Interface",
                    service_name=f"com.amazonaws.{region}.{service}",
                    subnet_ids=subnet_ids,
                    security_group_ids=[group.id],
                    private_dns_enabled=True,
                    tags={"Name": f"{name}-{service}"},
                    opts=child,
                )
        self.register_outputs({})
