"""Settings of a VPC."""

import ipaddress
from itertools import combinations
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.settings.base import FieldsError, Ipv4Network, Model, Zone, repeated


class NetworkSettings(Model):
    """A VPC with a public and a private subnet in each zone."""

    cidr: Ipv4Network
    """The VPC's addresses, a /16 to a /20."""
    zones: Annotated[tuple[Zone, ...], Field(min_length=2, max_length=6)]
    """Availability zones, all of one region."""
    nat: Literal["zone", "single"] = "zone"
    """A NAT gateway in each zone, or a single one: cheaper, and gone with its zone."""
    ingress_addresses: bool = True
    """Whether an ingress gets an Elastic IP a zone."""
    public_subnets: tuple[Ipv4Network, ...] | None = None
    """One network a zone, in the order of `zones`; by default the first 256ths of the VPC's last eighth."""
    private_subnets: tuple[Ipv4Network, ...] | None = None
    """One network a zone, in the order of `zones`; by default the VPC's first eighths."""
    flow_logs_retention_days: Literal[30, 60, 90, 180, 365] = 90
    interface_endpoints: tuple[Annotated[str, Field(pattern=r"^[a-z0-9.-]+$")], ...] = ()
    """AWS services reached inside the VPC, by the hour and zone; S3 and DynamoDB are for nothing."""

    @property
    def region(self) -> str:
        """The region that the zones belong to."""
        return self.zones[0][:-1]

    @property
    def public(self) -> tuple[ipaddress.IPv4Network, ...]:
        """The public subnets, one a zone."""
        if self.public_subnets is not None:
            return self.public_subnets
        last_eighth = list(self.cidr.subnets(prefixlen_diff=3))[-1]
        return tuple(list(last_eighth.subnets(prefixlen_diff=5))[: len(self.zones)])

    @property
    def private(self) -> tuple[ipaddress.IPv4Network, ...]:
        """The private subnets, one a zone."""
        if self.private_subnets is not None:
            return self.private_subnets
        return tuple(list(self.cidr.subnets(prefixlen_diff=3))[: len(self.zones)])

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems: list[tuple[str, str]] = []
        if not 16 <= self.cidr.prefixlen <= 20:
            problems.append(("cidr", f"expected a prefix length from /16 to /20, not /{self.cidr.prefixlen}"))
        if len({zone[:-1] for zone in self.zones}) > 1:
            problems.append(("zones", f"expected zones of one region, not {', '.join(self.zones)}"))
        if len(set(self.zones)) < len(self.zones):
            problems.append(("zones", "expected each zone once"))
        if twice := repeated(self.interface_endpoints):
            problems.append(("interface_endpoints", f"expected each once, not {', '.join(twice)} again"))
        for name, subnets in (("public_subnets", self.public), ("private_subnets", self.private)):
            if len(subnets) != len(self.zones):
                problems.append((name, f"expected one subnet for each of the {len(self.zones)} zones"))
            problems += [
                (name, f"expected networks inside the VPC's {self.cidr}, which {subnet} is not")
                for subnet in subnets
                if not subnet.subnet_of(self.cidr)
            ]
        named = [("public_subnets", subnet) for subnet in self.public]
        named += [("private_subnets", subnet) for subnet in self.private]
        problems += [
            (name, f"expected networks apart from one another: {subnet} and {other} overlap")
            for (_, other), (name, subnet) in combinations(named, 2)
            if subnet.overlaps(other)
        ]
        if problems:
            raise FieldsError(problems)
        return self
