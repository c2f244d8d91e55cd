"""The stack `<environment>`: network and cluster."""

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from stacks import builder_for
from tests.unit.recording import IMPORT_WARNINGS, Recording, project_copy, record

pytestmark = pytest.mark.filterwarnings(IMPORT_WARNINGS)


def test_everything_belongs_to_a_component_and_to_the_tagging_provider(landing_zone: Recording) -> None:
    provider = landing_zone.one("pulumi:providers:aws")
    assert "project" in str(provider.inputs["defaultTags"])
    for resource in landing_zone.resources:
        if resource.type.startswith("aws:"):
            assert "landfall:" in resource.parent, resource
            assert "pulumi:providers:aws::aws" in resource.provider, resource


def test_subnets_lie_in_the_vpc_and_give_no_public_addresses(landing_zone: Recording) -> None:
    vpc = IPv4Network(landing_zone.one("ec2/vpc:Vpc").inputs["cidrBlock"])
    subnets = landing_zone.of("ec2/subnet:Subnet")
    assert len(subnets) == 6
    networks = [IPv4Network(subnet.inputs["cidrBlock"]) for subnet in subnets.values()]
    assert all(network.subnet_of(vpc) for network in networks)
    assert len(set(networks)) == 6
    assert not any(subnet.inputs["mapPublicIpOnLaunch"] for subnet in subnets.values())


def test_each_private_subnet_leaves_by_its_own_zones_nat(landing_zone: Recording) -> None:
    routes = landing_zone.of("ec2/route:Route")
    for zone in ("ap-southeast-1a", "ap-southeast-1b", "ap-southeast-1c"):
        route = routes[f"prod-private-{zone}"].inputs
        assert route["natGatewayId"] == f"prod-{zone}-id"
        assert route["routeTableId"] == f"prod-private-{zone}-id"
        table = landing_zone.of("ec2/routeTableAssociation:RouteTableAssociation")[f"prod-private-{zone}"]
        assert table.inputs["subnetId"] == f"prod-private-{zone}-id"
    assert routes["prod-public"].inputs["gatewayId"] == "prod-id"


def test_a_single_nat_serves_all_zones(tmp_path: Path) -> None:
    recording = record(builder_for("prod", project_copy(tmp_path, {("network", "nat"): "single"})))
    gateway = recording.one("ec2/natGateway:NatGateway")
    private = [route for name, route in recording.of("ec2/route:Route").items() if "private" in name]
    assert len(private) == 3
    assert {route.inputs["natGatewayId"] for route in private} == {f"{gateway.name}-id"}
    assert len(recording.outputs["nat_addresses"]) == 1


def test_the_default_security_group_lets_nothing_through(landing_zone: Recording) -> None:
    group = landing_zone.one("DefaultSecurityGroup").inputs
    assert group["ingress"] == []
    assert group["egress"] == []


def test_addresses_are_exported_by_their_role(landing_zone: Recording) -> None:
    roles = [eip.inputs["tags"]["landfall:role"] for eip in landing_zone.of("ec2/eip:Eip").values()]
    assert sorted(roles) == ["ingress"] * 3 + ["nat"] * 3
    outputs = landing_zone.outputs
    assert len(set(outputs["nat_addresses"]) | set(outputs["ingress_addresses"])) == 6
    assert len(outputs["ingress_allocation_ids"]) == 3


def test_the_cluster_is_private_encrypted_and_logged(landing_zone: Recording) -> None:
    cluster = landing_zone.one("eks/cluster:Cluster").inputs
    assert cluster["vpcConfig"]["endpointPrivateAccess"] is True
    assert cluster["vpcConfig"]["endpointPublicAccess"] is False
    assert sorted(cluster["vpcConfig"]["subnetIds"]) == [
        f"prod-private-ap-southeast-1{zone}-id" for zone in "abc"
    ]
    assert cluster["encryptionConfig"]["resources"] == ["secrets"]
    assert set(cluster["enabledClusterLogTypes"]) == {
        "api",
        "audit",
        "authenticator",
        "controllerManager",
        "scheduler",
    }
    assert cluster["accessConfig"]["authenticationMode"] == "API"
    assert landing_zone.of("kms/key:Key")["prod-secrets"].inputs["enableKeyRotation"] is True
    logs = landing_zone.of("cloudwatch/logGroup:LogGroup")["prod-control-plane"].inputs
    assert logs["name"] == "/aws/eks/prod/cluster"
    assert logs["retentionInDays"] == 90


def test_a_public_endpoint_is_for_named_networks_alone(tmp_path: Path) -> None:
    project = project_copy(tmp_path, {("cluster", "public_access_cidrs"): ["198.51.100.0/24"]})
    recording = record(builder_for("prod", project))
    access = recording.one("eks/cluster:Cluster").inputs["vpcConfig"]
    assert access["endpointPublicAccess"] is True
    assert access["publicAccessCidrs"] == ["198.51.100.0/24"]


def test_nodes_take_imdsv2_alone_and_have_encrypted_disks(landing_zone: Recording) -> None:
    template = landing_zone.of("LaunchTemplate")["prod-node"].inputs
    assert template["metadataOptions"]["httpTokens"] == "required"
    assert [device["ebs"]["encrypted"] for device in template["blockDeviceMappings"]] == ["true"]
    group = landing_zone.one("NodeGroup").inputs
    assert group["scalingConfig"] == {"minSize": 2, "maxSize": 6, "desiredSize": 3}
    assert group["launchTemplate"] == {"id": "prod-node-id", "version": "1"}
