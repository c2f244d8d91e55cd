"""EC2's networks: VPC, subnets, gateways, routes, security groups, endpoints and flow logs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lab.providers.aws.hooks import network as hooks
from lab.providers.aws.table import Call, Hook, Row, Settle, Tagging, Update
from lab.providers.base import Properties

_TAGS = Tagging(
    tag=Call("CreateTags", {"Resources": ["{id}"], "Tags": "{tags}"}),
    untag=Call("DeleteTags", {"Resources": ["{id}"], "Tags": "{keys}"}),
)


def _tagged(kind: str) -> dict[str, Any]:
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": "{tagsAll!}"}]}


def _arn(kind: str) -> dict[str, str]:
    return {"arn": f"arn:{{partition}}:ec2:{{region}}:{{account}}:{kind}/{{id}}"}


def _filtered(**filters: str) -> list[dict[str, Any]]:
    return [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]


def _vpc_attribute(name: str, member: str) -> Update:
    call = Call("ModifyVpcAttribute", {"VpcId": "{id}", member: {"Value": f"{{{name}}}"}})
    return Update(call, when=(name,), on_create=True)


def _vpc_look(name: str, member: str) -> tuple[str, Call]:
    call = Call("DescribeVpcAttribute", {"VpcId": "{id}", "Attribute": name}, result=f"{member}.Value")
    return name, call


def _subnet_attribute(name: str, member: str) -> Update:
    call = Call("ModifySubnetAttribute", {"SubnetId": "{id}", member: {"Value": f"{{{name}}}"}})
    return Update(call, when=(name,), on_create=True)


def _rule(direction: str, authorize: str, revoke: str) -> Row:
    described = {"IpProtocol": "{ipProtocol}", "FromPort": "{fromPort}", "ToPort": "{toPort}"}
    note = {"Description": "{description}"}
    permission: dict[str, Any] = {
        **described,
        "IpRanges": [{"CidrIp": "{cidrIpv4!}", **note}],
        "Ipv6Ranges": [{"CidrIpv6": "{cidrIpv6!}", **note}],
        "PrefixListIds": [{"PrefixListId": "{prefixListId!}", **note}],
        "UserIdGroupPairs": [{"GroupId": "{referencedSecurityGroupId!}", **note}],
    }
    changed: dict[str, Any] = {
        **described,
        **note,
        "CidrIpv4": "{cidrIpv4}",
        "CidrIpv6": "{cidrIpv6}",
        "PrefixListId": "{prefixListId}",
        "ReferencedGroupId": "{referencedSecurityGroupId}",
    }
    return Row(
        token=f"aws:vpc/securityGroup{direction}Rule:SecurityGroup{direction}Rule",
        service="ec2",
        create=Call(
            authorize,
            {"GroupId": "{securityGroupId}", "IpPermissions": [permission], **_tagged("security-group-rule")},
            result="SecurityGroupRules[0]",
        ),
        read=Call(
            "DescribeSecurityGroupRules", {"SecurityGroupRuleIds": ["{id}"]}, result="SecurityGroupRules[0]"
        ),
        delete=Call(revoke, {"GroupId": "{securityGroupId}", "SecurityGroupRuleIds": ["{id}"]}),
        id="{securityGroupRuleId}",
        names={"securityGroupId": "GroupId"},
        reads={
            "referencedSecurityGroupId": "ReferencedGroupInfo.GroupId",
            "isEgress": "",
            "groupOwnerId": "",
        },
        updates=(
            Update(
                Call(
                    "ModifySecurityGroupRules",
                    {
                        "GroupId": "{securityGroupId}",
                        "SecurityGroupRules": [{"SecurityGroupRuleId": "{id}", "SecurityGroupRule": changed}],
                    },
                ),
                when=(
                    "ipProtocol",
                    "fromPort",
                    "toPort",
                    "description",
                    "cidrIpv4",
                    "cidrIpv6",
                    "prefixListId",
                    "referencedSecurityGroupId",
                ),
            ),
        ),
        replace=frozenset({"securityGroupId"}),
        required=("securityGroupId", "ipProtocol"),
        computed=_arn("security-group-rule"),
        tags=_TAGS,
        gone=frozenset(
            {"InvalidSecurityGroupRuleId.NotFound", "InvalidGroup.NotFound", "InvalidPermission.NotFound"}
        ),
    )


def _flow_log_target(values: Properties) -> Properties:
    for name, kind in (("vpcId", "VPC"), ("subnetId", "Subnet"), ("eniId", "NetworkInterface")):
        if values.get(name):
            return {"resourceId": values[name], "resourceType": kind}
    return {}


_SECURITY_GROUP_GONE = frozenset({"InvalidGroup.NotFound", "InvalidGroupId.NotFound"})

ROWS = (
    Row(
        token="aws:ec2/vpc:Vpc",
        service="ec2",
        create=Call("CreateVpc", _tagged("vpc"), result="Vpc", rest=True),
        read=Call("DescribeVpcs", {"VpcIds": ["{id}"]}, result="Vpcs[0]"),
        delete=Call("DeleteVpc", {"VpcId": "{id}"}),
        id="{vpcId}",
        names={"assignGeneratedIpv6CidrBlock": "AmazonProvidedIpv6CidrBlock"},
        updates=(
            _vpc_attribute("enableDnsSupport", "EnableDnsSupport"),
            _vpc_attribute("enableDnsHostnames", "EnableDnsHostnames"),
            _vpc_attribute("enableNetworkAddressUsageMetrics", "EnableNetworkAddressUsageMetrics"),
            Update(
                Call("ModifyVpcTenancy", {"VpcId": "{id}", "InstanceTenancy": "{instanceTenancy}"}),
                when=("instanceTenancy",),
            ),
        ),
        looks=(
            _vpc_look("enableDnsSupport", "EnableDnsSupport"),
            _vpc_look("enableDnsHostnames", "EnableDnsHostnames"),
            (
                "defaultSecurityGroupId",
                Call(
                    "DescribeSecurityGroups",
                    {"Filters": [*_filtered(vpc_id="{id}"), {"Name": "group-name", "Values": ["default"]}]},
                    result="SecurityGroups[0].GroupId",
                ),
            ),
            (
                "defaultNetworkAclId",
                Call(
                    "DescribeNetworkAcls",
                    {"Filters": [*_filtered(vpc_id="{id}"), {"Name": "default", "Values": ["true"]}]},
                    result="NetworkAcls[0].NetworkAclId",
                ),
            ),
            (
                "mainRouteTableId",
                Call(
                    "DescribeRouteTables",
                    {
                        "Filters": [
                            *_filtered(vpc_id="{id}"),
                            {"Name": "association.main", "Values": ["true"]},
                        ]
                    },
                    result="RouteTables[0].RouteTableId",
                ),
            ),
        ),
        computed={**_arn("vpc"), "defaultRouteTableId": "{mainRouteTableId}"},
        defaults={"enableDnsSupport": True, "enableDnsHostnames": False},
        tags=_TAGS,
        gone=frozenset({"InvalidVpcID.NotFound"}),
    ),
    Row(
        token="aws:ec2/subnet:Subnet",
        service="ec2",
        create=Call("CreateSubnet", _tagged("subnet"), result="Subnet", rest=True),
        read=Call("DescribeSubnets", {"SubnetIds": ["{id}"]}, result="Subnets[0]"),
        delete=Call("DeleteSubnet", {"SubnetId": "{id}"}),
        id="{subnetId}",
        names={"arn": "SubnetArn"},
        updates=(
            _subnet_attribute("mapPublicIpOnLaunch", "MapPublicIpOnLaunch"),
            _subnet_attribute("assignIpv6AddressOnCreation", "AssignIpv6AddressOnCreation"),
        ),
        required=("vpcId",),
        defaults={"mapPublicIpOnLaunch": False, "assignIpv6AddressOnCreation": False},
        tags=_TAGS,
        gone=frozenset({"InvalidSubnetID.NotFound"}),
    ),
    Row(
        token="aws:ec2/internetGateway:InternetGateway",
        service="ec2",
        create=Call("CreateInternetGateway", _tagged("internet-gateway"), result="InternetGateway"),
        read=Call("DescribeInternetGateways", {"InternetGatewayIds": ["{id}"]}, result="InternetGateways[0]"),
        delete=Call("DeleteInternetGateway", {"InternetGatewayId": "{id}"}),
        id="{internetGatewayId}",
        reads={"vpcId": "Attachments[0].VpcId", "attachments": ""},
        hooks=(Hook(("vpcId",), hooks.attach_gateway),),
        before_delete=(
            Update(
                Call(
                    "DetachInternetGateway",
                    {"InternetGatewayId": "{id}", "VpcId": "{vpcId}"},
                    ignore=frozenset({"Gateway.NotAttached"}),
                ),
                flag="vpcId",
            ),
        ),
        computed=_arn("internet-gateway"),
        tags=_TAGS,
        gone=frozenset({"InvalidInternetGatewayID.NotFound"}),
    ),
    Row(
        token="aws:ec2/routeTable:RouteTable",
        service="ec2",
        create=Call("CreateRouteTable", {"VpcId": "{vpcId}", **_tagged("route-table")}, result="RouteTable"),
        read=Call("DescribeRouteTables", {"RouteTableIds": ["{id}"]}, result="RouteTables[0]"),
        delete=Call("DeleteRouteTable", {"RouteTableId": "{id}"}),
        id="{routeTableId}",
        hooks=(Hook(("routes",), hooks.set_routes, hooks.read_routes),),
        reads={"associations": ""},
        required=("vpcId",),
        computed=_arn("route-table"),
        tags=_TAGS,
        gone=frozenset({"InvalidRouteTableID.NotFound"}),
    ),
    Row(
        token="aws:ec2/route:Route",
        service="ec2",
        create=Call("CreateRoute", rest=True),
        read=Call(
            "DescribeRouteTables",
            {"RouteTableIds": ["{routeTableId}"]},
            result="RouteTables[0].Routes[?DestinationCidrBlock=='{destination}'"
            " || DestinationIpv6CidrBlock=='{destination}'"
            " || DestinationPrefixListId=='{destination}'] | [0]",
        ),
        delete=Call(
            "DeleteRoute",
            {
                "RouteTableId": "{routeTableId}",
                "DestinationCidrBlock": "{destinationCidrBlock}",
                "DestinationIpv6CidrBlock": "{destinationIpv6CidrBlock}",
                "DestinationPrefixListId": "{destinationPrefixListId}",
            },
        ),
        id="{routeTableId}_{destination}",
        names={"egressOnlyGatewayId": "EgressOnlyInternetGatewayId"},
        prepare=hooks.route_destination,
        updates=(Update(Call("ReplaceRoute", rest=True, parameters=hooks.ROUTE_KEY)),),
        replace=frozenset(
            {"routeTableId", "destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId"}
        ),
        required=("routeTableId",),
        gone=frozenset({"InvalidRouteTableID.NotFound", "InvalidRoute.NotFound"}),
    ),
    Row(
        token="aws:ec2/routeTableAssociation:RouteTableAssociation",
        service="ec2",
        create=Call("AssociateRouteTable", rest=True),
        read=Call(
            "DescribeRouteTables",
            {"Filters": [{"Name": "association.route-table-association-id", "Values": ["{id}"]}]},
            result="RouteTables[].Associations[] | [?RouteTableAssociationId=='{id}'] | [0]",
        ),
        delete=Call("DisassociateRouteTable", {"AssociationId": "{id}"}),
        id="{associationId}",
        required=("routeTableId",),
        gone=frozenset({"InvalidAssociationID.NotFound"}),
    ),
    Row(
        token="aws:ec2/eip:Eip",
        service="ec2",
        create=Call("AllocateAddress", {"Domain": "vpc", **_tagged("elastic-ip")}, rest=True),
        read=Call("DescribeAddresses", {"AllocationIds": ["{id}"]}, result="Addresses[0]"),
        delete=Call("ReleaseAddress", {"AllocationId": "{id}"}),
        id="{allocationId}",
        hooks=(Hook(("instance", "networkInterface", "associateWithPrivateIp"), hooks.associate_address),),
        names={
            "instance": "InstanceId",
            "networkInterface": "NetworkInterfaceId",
            "privateIp": "PrivateIpAddress",
        },
        before_delete=(
            Update(Call("DisassociateAddress", {"AssociationId": "{associationId}"}), flag="associationId"),
        ),
        local=frozenset({"domain"}),
        computed={"arn": "arn:{partition}:ec2:{region}:{account}:elastic-ip/{id}"},
        tags=_TAGS,
        gone=frozenset({"InvalidAllocationID.NotFound"}),
    ),
    Row(
        token="aws:ec2/natGateway:NatGateway",
        service="ec2",
        create=Call("CreateNatGateway", _tagged("natgateway"), result="NatGateway", rest=True),
        read=Call("DescribeNatGateways", {"NatGatewayIds": ["{id}"]}, result="NatGateways[0]"),
        delete=Call("DeleteNatGateway", {"NatGatewayId": "{id}"}),
        id="{natGatewayId}",
        names={"privateIp": "PrivateIpAddress"},
        reads={
            "allocationId": "NatGatewayAddresses[0].AllocationId",
            "associationId": "NatGatewayAddresses[0].AssociationId",
            "networkInterfaceId": "NatGatewayAddresses[0].NetworkInterfaceId",
            "privateIp": "NatGatewayAddresses[0].PrivateIp",
            "publicIp": "NatGatewayAddresses[0].PublicIp",
            "natGatewayAddresses": "",
            "createTime": "",
        },
        settle=Settle("state", frozenset({"available"}), frozenset({"failed", "deleted", "deleting"})),
        gone=frozenset({"NatGatewayNotFound"}),
        gone_states={"state": frozenset({"deleted"})},
        tags=_TAGS,
    ),
    Row(
        token="aws:ec2/securityGroup:SecurityGroup",
        service="ec2",
        create=Call(
            "CreateSecurityGroup",
            {"GroupName": "{name}", "Description": "{description}", **_tagged("security-group")},
            rest=True,
        ),
        read=Call("DescribeSecurityGroups", {"GroupIds": ["{id}"]}, result="SecurityGroups[0]"),
        delete=Call("DeleteSecurityGroup", {"GroupId": "{id}"}),
        id="{groupId}",
        names={"name": "GroupName", "arn": "SecurityGroupArn"},
        reads={"ipPermissions": "", "ipPermissionsEgress": ""},
        prepare=lambda values: {"description": values.get("description") or "Managed by Pulumi"},
        hooks=(Hook(("ingress", "egress"), hooks.set_rules, hooks.read_rules),),
        local=frozenset({"revokeRulesOnDelete"}),
        computed=_arn("security-group"),
        autoname="name",
        tags=_TAGS,
        gone=_SECURITY_GROUP_GONE,
    ),
    Row(
        # The one that AWS makes with each VPC: taken over, and emptied of rules that are not stated.
        token="aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        service="ec2",
        create=Call(
            "DescribeSecurityGroups",
            {"Filters": [*_filtered(vpc_id="{vpcId}"), {"Name": "group-name", "Values": ["default"]}]},
            result="SecurityGroups[0]",
        ),
        read=Call("DescribeSecurityGroups", {"GroupIds": ["{id}"]}, result="SecurityGroups[0]"),
        delete=None,
        id="{groupId}",
        names={"name": "GroupName", "arn": "SecurityGroupArn"},
        reads={"ipPermissions": "", "ipPermissionsEgress": ""},
        hooks=(Hook(("ingress", "egress"), hooks.set_all_rules, hooks.read_rules),),
        local=frozenset({"revokeRulesOnDelete"}),
        computed=_arn("security-group"),
        required=("vpcId",),
        tags=replace(_TAGS, after=True),
        gone=_SECURITY_GROUP_GONE,
    ),
    _rule("Ingress", "AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress"),
    _rule("Egress", "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupEgress"),
    Row(
        token="aws:ec2/flowLog:FlowLog",
        service="ec2",
        create=Call(
            "CreateFlowLogs",
            {"ResourceIds": ["{resourceId}"], "ResourceType": "{resourceType}", **_tagged("vpc-flow-log")},
            result="FlowLogIds[0]",
            rest=True,
        ),
        read=Call("DescribeFlowLogs", {"FlowLogIds": ["{id}"]}, result="FlowLogs[0]"),
        delete=Call("DeleteFlowLogs", {"FlowLogIds": ["{id}"]}),
        id="{flowLogId}",
        names={"iamRoleArn": "DeliverLogsPermissionArn"},
        prepare=_flow_log_target,
        # The target is one member in what AWS describes; which property stated it shows in its form.
        reads={
            "resourceId": "",
            "vpcId": "ResourceId && starts_with(ResourceId, 'vpc-') && ResourceId || null",
            "subnetId": "ResourceId && starts_with(ResourceId, 'subnet-') && ResourceId || null",
            "eniId": "ResourceId && starts_with(ResourceId, 'eni-') && ResourceId || null",
        },
        prepared=frozenset({"vpcId", "subnetId", "eniId"}),
        computed=_arn("vpc-flow-log"),
        tags=_TAGS,
        gone=frozenset({"InvalidFlowLogId.NotFound"}),
    ),
    Row(
        token="aws:ec2/vpcPeeringConnection:VpcPeeringConnection",
        service="ec2",
        create=Call(
            "CreateVpcPeeringConnection",
            _tagged("vpc-peering-connection"),
            result="VpcPeeringConnection",
            rest=True,
        ),
        read=Call(
            "DescribeVpcPeeringConnections",
            {"VpcPeeringConnectionIds": ["{id}"]},
            result="VpcPeeringConnections[0]",
        ),
        delete=Call("DeleteVpcPeeringConnection", {"VpcPeeringConnectionId": "{id}"}),
        id="{vpcPeeringConnectionId}",
        reads={
            "vpcId": "RequesterVpcInfo.VpcId",
            "peerVpcId": "AccepterVpcInfo.VpcId",
            "peerOwnerId": "AccepterVpcInfo.OwnerId",
            "peerRegion": "AccepterVpcInfo.Region",
            "acceptStatus": "Status.Code",
            "autoAccept": "",
            "accepter": "",
            "requester": "",
        },
        updates=(
            Update(
                Call("AcceptVpcPeeringConnection", {"VpcPeeringConnectionId": "{id}"}),
                when=("autoAccept",),
                on_create=True,
                flag="autoAccept",
            ),
        ),
        settle=Settle("acceptStatus", frozenset({"active", "pending-acceptance"}), frozenset({"failed"})),
        required=("vpcId", "peerVpcId"),
        tags=_TAGS,
        gone=frozenset({"InvalidVpcPeeringConnectionID.NotFound", "InvalidVpcPeeringConnectionId.NotFound"}),
        gone_states={"acceptStatus": frozenset({"deleted", "rejected"})},
    ),
    Row(
        token="aws:ec2/vpcEndpoint:VpcEndpoint",
        service="ec2",
        create=Call("CreateVpcEndpoint", _tagged("vpc-endpoint"), result="VpcEndpoint", rest=True),
        read=Call("DescribeVpcEndpoints", {"VpcEndpointIds": ["{id}"]}, result="VpcEndpoints[0]"),
        delete=Call("DeleteVpcEndpoints", {"VpcEndpointIds": ["{id}"]}),
        id="{vpcEndpointId}",
        names={"policy": "PolicyDocument"},
        reads={"securityGroupIds": "Groups[].GroupId"},
        updates=(
            Update(
                Call(
                    "ModifyVpcEndpoint",
                    {
                        "VpcEndpointId": "{id}",
                        "PolicyDocument": "{policy}",
                        "PrivateDnsEnabled": "{privateDnsEnabled}",
                    },
                ),
                when=("policy", "privateDnsEnabled"),
            ),
        ),
        hooks=(Hook(("routeTableIds", "subnetIds", "securityGroupIds"), hooks.set_endpoint_members),),
        documents=frozenset({"policy"}),
        required=("vpcId", "serviceName"),
        computed=_arn("vpc-endpoint"),
        tags=_TAGS,
        gone=frozenset({"InvalidVpcEndpointId.NotFound", "InvalidVpcEndpoint.NotFound"}),
        gone_states={"state": frozenset({"deleted", "Deleted"})},
    ),
)
