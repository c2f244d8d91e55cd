"""The VPC that a landing zone lives in."""

import pulumi
from pulumi_aws import ec2

from components.settings.network import NetworkSettings


class Network(pulumi.ComponentResource):
    """A VPC with a public and a private subnet in each zone, and fixed addresses both ways.

    What leaves the private subnets does so from the NAT gateways' Elastic IPs, so that others can let in
    exactly those. The ingress's network load balancer takes one Elastic IP a zone, so that a DNS record
    can point at an address that never changes. Elastic IPs carry the tag `landfall:role`.

    Meets EC2.2 (the default security group is empty) and EC2.15 (no subnet gives public addresses).

    Protected by Pulumi; AWS knows no deletion protection of a VPC or an address, but deletes no VPC that is
    in use and no address that is associated.

    Args:
        protected: whether deleting it takes a change of the settings first.

    Outputs:
        vpc_id, public_subnet_ids, private_subnet_ids, private_route_table_ids: ids, one a zone.
        nat_addresses, ingress_addresses: public IPv4 addresses; NAT one a gateway, ingress one a zone.
        ingress_allocation_ids: what the ingress's load balancer names its Elastic IPs by, one a zone.
    """

    def __init__(
        self,
        name: str,
        settings: NetworkSettings,
        *,
        protected: bool,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("landfall:network:Network", name, None, opts)
        self._name = name
        self._settings = settings
        self._child = pulumi.ResourceOptions(parent=self)
        self._guarded = pulumi.ResourceOptions(parent=self, protect=protected)

        self._vpc = ec2.Vpc(
            name,
            cidr_block=str(settings.cidr),
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags={"Name": name},
            opts=self._guarded,
        )
        ec2.DefaultSecurityGroup(
            f"{name}-default",
            vpc_id=self._vpc.id,
            ingress=[],
            egress=[],
            tags={"Name": f"{name}-default"},
            opts=self._child,
        )
        ingress_zones = settings.zones if settings.ingress_addresses else ()
        ingress = {zone: self._address("ingress", zone) for zone in ingress_zones}
        public = self._public_subnets()
        nat_zones = settings.zones if settings.nat == "zone" else settings.zones[:1]
        nat = {zone: self._address("nat", zone) for zone in nat_zones}
        gateways = {
            zone: ec2.NatGateway(
                f"{name}-{zone}",
                allocation_id=nat[zone].allocation_id,
                subnet_id=public[zone].id,
                tags={"Name": f"{name}-{zone}"},
                opts=self._child,
            )
            for zone in nat_zones
        }
        private = self._subnets("private", "kubernetes.io/role/internal-elb")
        tables = {
            zone: self._route_table(f"private-{zone}", [private[zone]], zone) for zone in settings.zones
        }
        for zone, table in tables.items():
            ec2.Route(
                f"{name}-private-{zone}",
                route_table_id=table.id,
                destination_cidr_block="0.0.0.0/0",
                nat_gateway_id=gateways.get(zone, gateways[nat_zones[0]]).id,
                opts=self._child,
            )

        self.vpc_id = self._vpc.id
        self.public_subnet_ids = pulumi.Output.all(*(public[zone].id for zone in settings.zones))
        self.private_subnet_ids = pulumi.Output.all(*(private[zone].id for zone in settings.zones))
        self.private_route_table_ids = pulumi.Output.all(*(tables[zone].id for zone in settings.zones))
        self.nat_addresses = pulumi.Output.all(*(nat[zone].public_ip for zone in nat_zones))
        self.ingress_addresses = pulumi.Output.all(*(ingress[zone].public_ip for zone in ingress_zones))
        self.ingress_allocation_ids = pulumi.Output.all(
            *(ingress[zone].allocation_id for zone in ingress_zones)
        )
        self.register_outputs(
            {
                "vpc_id": self.vpc_id,
                "public_subnet_ids": self.public_subnet_ids,
                "private_subnet_ids": self.private_subnet_ids,
                "private_route_table_ids": self.private_route_table_ids,
                "nat_addresses": self.nat_addresses,
                "ingress_addresses": self.ingress_addresses,
                "ingress_allocation_ids": self.ingress_allocation_ids,
            }
        )

    def _address(self, role: str, zone: str) -> ec2.Eip:
        name = f"{self._name}-{role}-{zone}"
        return ec2.Eip(name, domain="vpc", tags={"Name": name, "landfall:role": role}, opts=self._guarded)

    def _public_subnets(self) -> dict[str, ec2.Subnet]:
        """The public subnets, routed to the internet; the NAT gateways in them need that route to start."""
        gateway = ec2.InternetGateway(
            self._name, vpc_id=self._vpc.id, tags={"Name": self._name}, opts=self._child
        )
        subnets = self._subnets("public", "kubernetes.io/role/elb")
        table = self._route_table("public", list(subnets.values()))
        ec2.Route(
            f"{self._name}-public",
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.id,
            opts=self._child,
        )
        return subnets

    def _subnets(self, kind: str, role_tag: str) -> dict[str, ec2.Subnet]:
        networks = self._settings.public if kind == "public" else self._settings.private
        return {
            zone: ec2.Subnet(
                f"{self._name}-{kind}-{zone}",
                vpc_id=self._vpc.id,
                cidr_block=str(network),
                availability_zone=zone,
                map_public_ip_on_launch=False,
                tags={"Name": f"{self._name}-{kind}-{zone}", role_tag: "1"},
                opts=self._guarded,
            )
            for zone, network in zip(self._settings.zones, networks, strict=True)
        }

    def _route_table(self, kind: str, subnets: list[ec2.Subnet], zone: str | None = None) -> ec2.RouteTable:
        name = f"{self._name}-{kind}"
        table = ec2.RouteTable(name, vpc_id=self._vpc.id, tags={"Name": name}, opts=self._child)
        zones = [zone] if zone else list(self._settings.zones)
        for subnet_zone, subnet in zip(zones, subnets, strict=True):
            ec2.RouteTableAssociation(
                f"{name}-{subnet_zone}" if zone is None else name,
                route_table_id=table.id,
                subnet_id=subnet.id,
                opts=self._child,
            )
        return table
