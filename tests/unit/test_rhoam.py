"""The second environment's stacks: the standalone VPC with its databases, and the destination's."""

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest

from stacks import builder_for
from stacks.settings import SettingsError, load_rhoam_environment
from tests.unit.conftest import OUTPUTS
from tests.unit.recording import (
    ACCOUNT,
    IMPORT_WARNINGS,
    PEER_ROUTE_TABLE,
    KeyPath,
    Recording,
    project_copy,
    record,
)

pytestmark = pytest.mark.filterwarnings(IMPORT_WARNINGS)


def test_the_standalone_vpc_has_the_databases_of_the_document(migration: Recording) -> None:
    engines = {
        name: (found.inputs["engine"], found.inputs["engineVersion"])
        for name, found in migration.of("rds/instance:Instance").items()
    }
    assert engines == {
        "rhoam-migration-system-database": ("mysql", "5.7"),
        "rhoam-migration-conversion-database": ("postgres", "15"),
    }
    assert set(migration.of("ReplicationGroup")) == {
        "rhoam-migration-backend-redis",
        "rhoam-migration-system-redis",
    }
    assert migration.outputs["dump_bucket"] == "rhoam-migration-dumps-id"
    assert migration.one("ec2/instance:Instance").name == "rhoam-migration-workspace"


def test_the_destination_has_postgres_and_two_redis(destination: Recording) -> None:
    assert destination.one("rds/instance:Instance").inputs["engine"] == "postgres"
    assert len(destination.of("ReplicationGroup")) == 2
    assert destination.of("ec2/instance:Instance") == {}


@pytest.mark.parametrize(
    ("stack", "cidr", "peer"),
    [("migration", "10.50.0.0/16", "10.70.0.0/16"), ("destination", "10.60.0.0/16", "10.80.0.0/16")],
)
def test_vpcs_are_connected_both_ways(
    request: pytest.FixtureRequest, stack: str, cidr: str, peer: str
) -> None:
    recording: Recording = request.getfixturevalue(stack)
    connection = recording.one("VpcPeeringConnection")
    assert connection.inputs["autoAccept"] is True
    routes = [
        route.inputs
        for route in recording.of("ec2/route:Route").values()
        if "vpcPeeringConnectionId" in route.inputs
    ]
    there = [route for route in routes if route["destinationCidrBlock"] == peer]
    back = [route for route in routes if route["destinationCidrBlock"] == cidr]
    assert len(there) == 3
    assert [route["routeTableId"] for route in back] == [PEER_ROUTE_TABLE]
    for rule in recording.of("SecurityGroupIngressRule").values():
        assert rule.inputs.get("cidrIpv4") in (None, peer, cidr)


def test_another_accounts_vpc_is_accepted_by_its_owner(tmp_path: Path) -> None:
    project = project_copy(tmp_path, rhoam_changes={("migration", "peer", "owner"): "210987654321"})
    recording = record(builder_for("rhoam-migration", project), "rhoam-migration")
    connection = recording.one("VpcPeeringConnection").inputs
    assert connection["peerOwnerId"] == "210987654321"
    assert connection["autoAccept"] is False
    assert not [name for name in recording.of("ec2/route:Route") if "back" in name]


def test_the_workspace_takes_the_destinations_role(migration: Recording, destination: Recording) -> None:
    policy = json.loads(migration.of("RolePolicy")["rhoam-migration-workspace-runner"].inputs["policy"])
    role = destination.of("iam/role:Role")["rhoam-runner-destination"].inputs
    assert f"arn:aws:iam::{ACCOUNT}:role/{role['name']}" in policy["Statement"][0]["Resource"]
    (trusted,) = json.loads(role["assumeRolePolicy"])["Statement"]
    assert trusted["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:role/workspace"}


def test_a_postgres_source_is_not_converted(tmp_path: Path) -> None:
    changes: dict[KeyPath, object] = {
        ("source_database",): "postgresql",
        ("migration", "conversion_database"): None,
        ("migration", "system_database", "engine"): "postgres",
        ("migration", "system_database", "version"): "15",
    }
    project = project_copy(tmp_path, rhoam_changes=changes)
    recording = record(builder_for("rhoam-migration", project), "rhoam-migration")
    assert recording.one("rds/instance:Instance").inputs["engine"] == "postgres"
    assert "conversion_database_address" not in recording.outputs


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({("source_database",): "oracle"}, "source_database: expected mysql or postgresql, as oracle cannot"),
        ({("source_database",): "postgresql"}, "migration.system_database.engine: expected postgres"),
        ({("source_database",): "postgresql"}, "migration.conversion_database: expected none, as nothing"),
        ({("migration", "conversion_database"): None}, "expected a postgres to convert mysql into"),
        ({("notifications",): None}, "notifications: expected this section"),
        (
            {("migration", "peer", "cidr"): "10.50.128.0/17"},
            "migration.network.cidr: expected no address of migration.peer.cidr, 10.50.128.0/17",
        ),
        ({("destination", "network", "cidr"): "10.50.0.0/16"}, "expected no address of destination.network"),
        ({("migration", "network", "zones"): ["eu-west-1a"]}, "at least 2"),
        (
            {("migration", "system_database", "version"): "5.28"},
            "RDS has no mysql 5.28; it has 5.7, 8.0, 8.4",
        ),
        ({("migration", "system_database", "parameter_family"): "mysql8.0"}, "expected mysql5.7"),
        ({("migration", "account"): "12"}, "12 digits"),
        ({("migration", "backend_redis", "version"): "9.9"}, "ElastiCache has no redis 9.9"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, changes: dict[KeyPath, object], expected: str) -> None:
    project = project_copy(tmp_path, rhoam_changes=changes)
    with pytest.raises(SettingsError) as caught:
        load_rhoam_environment(project, "rhoam")
    assert expected in str(caught.value)
    assert "Pulumi.rhoam.yaml" in str(caught.value)


def test_several_problems_show_at_once_each_with_its_line(tmp_path: Path) -> None:
    changes: dict[KeyPath, object] = {
        ("source_database",): "postgresql",
        ("migration", "system_database", "version"): "5.28",
        ("migration", "network", "cidr"): "10.70.0.0/12",
        ("destination", "network", "zones"): ["eu-west-1a", "eu-west-2b", "eu-west-1c"],
        ("destination", "peer", "vpc_id"): "vpc-1",
        ("notifications",): None,
    }
    project = project_copy(tmp_path, rhoam_changes=changes)
    with pytest.raises(SettingsError) as caught:
        load_rhoam_environment(project, "rhoam")
    found = {problem.key.partition("environment.")[2]: problem for problem in caught.value.problems}
    assert set(found) == {
        "migration.system_database.version",
        "migration.network.cidr",
        "destination.network.zones",
        "destination.peer.vpc_id",
        "notifications",
    }
    lines = (project / "Pulumi.rhoam.yaml").read_text().splitlines()
    for key, problem in found.items():
        if key != "notifications":
            assert problem.line is not None
            assert key.rpartition(".")[2] in lines[problem.line - 1]
            assert problem.value is not None


def test_a_placeholder_ends_the_program_before_anything_is_registered(tmp_path: Path) -> None:
    needed: Any = {"placeholder": "the id of the account; its owner knows it"}
    project = project_copy(tmp_path, rhoam_changes={("migration", "account"): needed})
    with pytest.raises(pulumi.RunError, match="account is still a placeholder: the id of the account"):
        record(builder_for("rhoam-migration", project), "rhoam-migration", stack_outputs=OUTPUTS)
