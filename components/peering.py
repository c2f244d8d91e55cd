"""A route between two VPCs."""

from collections.abc import Sequence

import pulumi
from pulumi_aws import ec2


class Peering(pulumi.ComponentResource):
    """Connects a VPC with another one, and routes each to the other where both are this account's.

    Where the other VPC is another account's, its owner accepts the connection and routes it.

    Args:
        route_table_ids: this VPC's, by a name for the route.
        peer_owner: the other account's id; None: this account, and the connection is accepted here.
        peer_route_table_ids: the other VPC's, where they are this account's.

    Outputs:
        connection_id.
    """

    def __init__(
        self,
        name: str,
        *,
        vpc_id: pulumi.Input[str],
        cidr: str,
        route_table_ids: pulumi.Input[Sequence[str]],
        zones: Sequence[str],
        peer_vpc_id: str,
        peer_cidr: str,
        peer_owner: str | None,
        peer_route_table_ids: Sequence[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("landfall:network:Peering", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        connection = ec2.VpcPeeringConnection(
            name,
            vpc_id=vpc_id,
            peer_vpc_id=peer_vpc_id,
            peer_owner_id=peer_owner,
            auto_accept=peer_owner is None,
            tags={"Name": name},
            opts=child,
        )
        tables = pulumi.Output.from_input(route_table_ids)
        for index, zone in enumerate(zones):
            ec2.Route(
                f"{name}-{zone}",
                route_table_id=tables[index],
                destination_cidr_block=peer_cidr,
                vpc_peering_connection_id=connection.id,
                opts=child,
            )
        if peer_owner is None:
            for table in peer_route_table_ids:
                ec2.Route(
                    f"{name}-back-{table}",
                    route_table_id=table,
                    destination_cidr_block=cidr,
                    vpc_peering_connection_id=connection.id,
                    opts=child,
                )
        self.connection_id = connection.id
        self.register_outputs({"connection_id": self.connection_id})
