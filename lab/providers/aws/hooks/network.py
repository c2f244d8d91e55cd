"""Networks: attachments, routes, rules and members that are changed one by one."""

# ruff: noqa: ARG001 - every hook has the same signature
from __future__ import annotations

from typing import TYPE_CHECKING

from lab.providers.base import Properties

if TYPE_CHECKING:
    from lab.providers.aws.resources import Resources

ROUTE_KEY = {
    "RouteTableId": "{routeTableId}",
    "DestinationCidrBlock": "{destinationCidrBlock}",
    "DestinationIpv6CidrBlock": "{destinationIpv6CidrBlock}",
    "DestinationPrefixListId": "{destinationPrefixListId}",
}
_ROUTE_TARGETS = {
    "gatewayId": "GatewayId",
    "natGatewayId": "NatGatewayId",
    "vpcPeeringConnectionId": "VpcPeeringConnectionId",
    "transitGatewayId": "TransitGatewayId",
    "networkInterfaceId": "NetworkInterfaceId",
    "vpcEndpointId": "VpcEndpointId",
    "egressOnlyGatewayId": "EgressOnlyInternetGatewayId",
}
_ROUTE_DESTINATIONS = {
    "cidrBlock": "DestinationCidrBlock",
    "ipv6CidrBlock": "DestinationIpv6CidrBlock",
    "destinationPrefixListId": "DestinationPrefixListId",
}


def attach_gateway(calls: Resources, old: Properties, new: Properties) -> None:
    """Attach an internet gateway to its VPC, after detaching it from another."""
    identity = new["id"]
    if old.get("vpcId"):
        calls.call("ec2", "DetachInternetGateway", {"InternetGatewayId": identity, "VpcId": old["vpcId"]})
    if new.get("vpcId"):
        calls.call("ec2", "AttachInternetGateway", {"InternetGatewayId": identity, "VpcId": new["vpcId"]})


def associate_address(calls: Resources, old: Properties, new: Properties) -> None:
    """Associate an Elastic IP with an instance or an interface, or with none."""
    if new.get("instance") or new.get("networkInterface"):
        wanted = {
            "AllocationId": new["id"],
            "InstanceId": new.get("instance"),
            "NetworkInterfaceId": new.get("networkInterface"),
            "PrivateIpAddress": new.get("associateWithPrivateIp"),
            "AllowReassociation": True,
        }
        calls.call(
            "ec2", "AssociateAddress", {name: value for name, value in wanted.items() if value is not None}
        )
    elif old.get("instance") or old.get("networkInterface"):
        calls.call("ec2", "DisassociateAddress", {"AssociationId": new["associationId"]})


def route_destination(values: Properties) -> Properties:
    """A route's destination by one name, and after an import by its own again."""
    names = ("destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId")
    for name in names:
        if values.get(name):
            return {"destination": values[name]}
    found = str(values.get("destination", ""))
    if not found:
        return {}
    return {names[2] if found.startswith("pl-") else names[1] if ":" in found else names[0]: found}


def set_routes(calls: Resources, old: Properties, new: Properties) -> None:
    """Make a route table's own routes those that are stated; without any statement, leave them alone."""
    if new.get("routes") is None and not old.get("routes"):
        return
    wanted = [_route(route) for route in new.get("routes") or []]
    table = {"RouteTableId": new["id"]}
    live = _live_routes(calls, new["id"])
    keys = [_destination(route) for route in wanted]
    for route in live:
        if _destination(route) not in keys:
            calls.call("ec2", "DeleteRoute", {**table, **_destination(route)})
    for route in wanted:
        there = next((item for item in live if _destination(item) == _destination(route)), None)
        if there is None:
            calls.call("ec2", "CreateRoute", {**table, **route})
        elif there != route:
            calls.call("ec2", "ReplaceRoute", {**table, **route})


def read_routes(calls: Resources, values: Properties) -> Properties:
    """A route table's own routes in Pulumi's form."""
    names = {theirs: ours for ours, theirs in {**_ROUTE_TARGETS, **_ROUTE_DESTINATIONS}.items()}
    return {
        "routes": [
            {names[key]: value for key, value in route.items()} for route in _live_routes(calls, values["id"])
        ]
    }


def _live_routes(calls: Resources, table: str) -> list[dict[str, str]]:
    (found,) = calls.call("ec2", "DescribeRouteTables", {"RouteTableIds": [table]})["RouteTables"]
    kept = {*_ROUTE_TARGETS.values(), *_ROUTE_DESTINATIONS.values()}
    return [
        {key: value for key, value in route.items() if key in kept}
        for route in found["Routes"]
        if route.get("GatewayId") != "local" and route.get("Origin") != "EnableVgwRoutePropagation"
    ]


def _route(stated: Properties) -> dict[str, str]:
    names = {**_ROUTE_TARGETS, **_ROUTE_DESTINATIONS}
    return {names[name]: value for name, value in stated.items() if value}


def _destination(route: dict[str, str]) -> dict[str, str]:
    return {key: route[key] for key in _ROUTE_DESTINATIONS.values() if key in route}


def set_rules(calls: Resources, old: Properties, new: Properties) -> None:
    """Make a security group's rules those that are stated inline.

    A new group loses AWS's own "allow all" for egress, as under Terraform and Pulumi. A direction of which
    nothing is stated is left to rules of their own.
    """
    fresh = not old
    for direction in ("ingress", "egress"):
        stated = new.get(direction)
        if stated is not None or old.get(direction) or (fresh and direction == "egress"):
            _set_direction(calls, new["id"], direction, stated or [])


def set_all_rules(calls: Resources, old: Properties, new: Properties) -> None:
    """Make a default security group's rules just those that are stated."""
    for direction in ("ingress", "egress"):
        _set_direction(calls, new["id"], direction, new.get(direction) or [])


def read_rules(calls: Resources, values: Properties) -> Properties:
    """A security group's rules in Pulumi's inline form."""
    (group,) = calls.call("ec2", "DescribeSecurityGroups", {"GroupIds": [values["id"]]})["SecurityGroups"]
    return {
        "ingress": [_stated_rule(item, values["id"]) for item in group.get("IpPermissions", [])],
        "egress": [_stated_rule(item, values["id"]) for item in group.get("IpPermissionsEgress", [])],
    }


def _set_direction(calls: Resources, group: str, direction: str, stated: list[Properties]) -> None:
    member = "IpPermissions" if direction == "ingress" else "IpPermissionsEgress"
    (found,) = calls.call("ec2", "DescribeSecurityGroups", {"GroupIds": [group]})["SecurityGroups"]
    live = [_stated_rule(item, group) for item in found.get(member, [])]
    wanted = [_normal_rule(rule) for rule in stated]
    suffix = direction.capitalize()
    for rule in (rule for rule in live if rule not in wanted):
        permissions = [_permission(rule, group)]
        calls.call("ec2", f"RevokeSecurityGroup{suffix}", {"GroupId": group, "IpPermissions": permissions})
    for rule in (rule for rule in wanted if rule not in live):
        permissions = [_permission(rule, group)]
        calls.call("ec2", f"AuthorizeSecurityGroup{suffix}", {"GroupId": group, "IpPermissions": permissions})


def _normal_rule(rule: Properties) -> Properties:
    """An inline rule with every member, lists in order."""
    protocol = str(rule.get("protocol", "-1"))
    every = protocol in {"-1", "all"}
    return {
        "protocol": "-1" if every else protocol,
        "fromPort": 0 if every else int(rule.get("fromPort") or 0),
        "toPort": 0 if every else int(rule.get("toPort") or 0),
        "cidrBlocks": sorted(rule.get("cidrBlocks") or []),
        "ipv6CidrBlocks": sorted(rule.get("ipv6CidrBlocks") or []),
        "prefixListIds": sorted(rule.get("prefixListIds") or []),
        "securityGroups": sorted(rule.get("securityGroups") or []),
        "self": bool(rule.get("self")),
        "description": rule.get("description") or "",
    }


def _stated_rule(permission: Properties, group: str) -> Properties:
    groups = [pair.get("GroupId") for pair in permission.get("UserIdGroupPairs", [])]
    sources = [
        *permission.get("IpRanges", []),
        *permission.get("Ipv6Ranges", []),
        *permission.get("PrefixListIds", []),
        *permission.get("UserIdGroupPairs", []),
    ]
    return _normal_rule(
        {
            "protocol": permission["IpProtocol"],
            "fromPort": permission.get("FromPort"),
            "toPort": permission.get("ToPort"),
            "cidrBlocks": [item["CidrIp"] for item in permission.get("IpRanges", [])],
            "ipv6CidrBlocks": [item["CidrIpv6"] for item in permission.get("Ipv6Ranges", [])],
            "prefixListIds": [item["PrefixListId"] for item in permission.get("PrefixListIds", [])],
            "securityGroups": [item for item in groups if item != group],
            "self": group in groups,
            "description": next((item["Description"] for item in sources if item.get("Description")), ""),
        }
    )


def _permission(rule: Properties, group: str) -> Properties:
    note = {"Description": rule["description"]} if rule["description"] else {}
    groups = [*rule["securityGroups"], *([group] if rule["self"] else [])]
    permission: Properties = {
        "IpProtocol": rule["protocol"],
        "IpRanges": [{"CidrIp": item, **note} for item in rule["cidrBlocks"]],
        "Ipv6Ranges": [{"CidrIpv6": item, **note} for item in rule["ipv6CidrBlocks"]],
        "PrefixListIds": [{"PrefixListId": item, **note} for item in rule["prefixListIds"]],
        "UserIdGroupPairs": [{"GroupId": item, **note} for item in groups],
    }
    if rule["protocol"] != "-1":
        permission |= {"FromPort": rule["fromPort"], "ToPort": rule["toPort"]}
    return {name: value for name, value in permission.items() if value != []}


def set_endpoint_members(calls: Resources, old: Properties, new: Properties) -> None:
    """Add and remove an endpoint's route tables, subnets and security groups; creation takes them itself."""
    parameters: Properties = {}
    for name, member in (
        ("routeTableIds", "RouteTable"),
        ("subnetIds", "Subnet"),
        ("securityGroupIds", "SecurityGroup"),
    ):
        before, after = set(old.get(name) or []), set(new.get(name) or [])
        if old and after - before:
            parameters[f"Add{member}Ids"] = sorted(after - before)
        if old and before - after:
            parameters[f"Remove{member}Ids"] = sorted(before - after)
    if parameters:
        calls.call("ec2", "ModifyVpcEndpoint", {"VpcEndpointId": new["id"], **parameters})
