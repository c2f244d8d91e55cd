"""Which subnets are public, as far as the stack's own routes say."""

from __future__ import annotations

from collections.abc import Iterator

from policy.control import Stack, StackJudge
from policy.judgement import Failed, Finding, NotEvaluated, Resource

SUBNET = "aws:ec2/subnet:Subnet"
ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"
TABLE = "aws:ec2/routeTable:RouteTable"
ROUTE = "aws:ec2/route:Route"
INTERNET = "aws:ec2/internetGateway:InternetGateway"


def not_in_public_subnets(path: str) -> StackJudge:
    """Demands that the subnets of a property have no route to an internet gateway."""

    def judged(resource: Resource, stack: Stack) -> Iterator[Finding]:
        subnets = stack.sources(resource, path, SUBNET)
        if not subnets:
            yield NotEvaluated(f"the subnets of {resource.name} are not of this stack")
        for subnet in subnets:
            if _public(subnet, stack):
                yield Failed(f"{path} of {resource.name} names {subnet.name}, which is public")

    return judged


def _public(subnet: Resource, stack: Stack) -> bool:
    tables = (
        table
        for association in stack.users(subnet, ASSOCIATION, "subnetId")
        for table in stack.sources(association, "routeTableId", TABLE)
    )
    routes = (route for table in tables for route in stack.users(table, ROUTE, "routeTableId"))
    return any(
        stack.sources(route, "gatewayId", INTERNET) or str(route.value("gatewayId")).startswith("igw-")
        for route in routes
    )
