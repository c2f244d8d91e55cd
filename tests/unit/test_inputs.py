"""Every property that a component sets is a real one: all inputs pass botocore's own validation."""

from typing import Any

import pytest

from lab.providers.aws.resources import Resources
from lab.providers.aws.rows import ROWS
from tests.unit.recording import IMPORT_WARNINGS, Recording

pytestmark = pytest.mark.filterwarnings(IMPORT_WARNINGS)

STACKS = ("landing_zone", "replication", "migration", "destination")


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> Recording:
    """Each stack that declares something in AWS."""
    found: Recording = request.getfixturevalue(request.param)
    return found


def problems(token: str, inputs: dict[str, Any]) -> list[tuple[str, str]]:
    """What the AWS API would not take of a resource's inputs."""
    row = ROWS[token]
    named = {row.autoname: "made-up", **inputs} if row.autoname else dict(inputs)
    named.pop(f"{row.autoname}Prefix", None)
    session: Any = None  # nothing is called
    return Resources(row, session, "ap-southeast-1").problems(named)


def test_all_inputs_are_what_aws_takes(stack: Recording) -> None:
    found = {
        f"{resource.type} {resource.name}": problems(resource.type, resource.plain)
        for resource in stack.resources
        if resource.type.startswith("aws:")
    }
    assert len(found) > 20
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    ("token", "change", "expected"),
    [
        ("aws:rds/instance:Instance", {"multiAZones": True}, "not supported"),
        ("aws:rds/instance:Instance", {"allocatedStorage": "much"}, "much"),
        ("aws:eks/cluster:Cluster", {"vpcConfig": {"subnets": ["subnet-1"]}}, "subnets"),
        ("aws:dms/endpoint:Endpoint", {"endpointType": None}, "required"),
    ],
)
def test_what_aws_does_not_take_is_found(
    landing_zone: Recording, replication: Recording, token: str, change: dict[str, Any], expected: str
) -> None:
    resources = [*landing_zone.resources, *replication.resources]
    good = next(found.inputs for found in resources if found.type == token)
    assert expected in str(problems(token, good | change))


def test_everything_that_aws_tags_is_tagged_by_the_provider(stack: Recording) -> None:
    providers = stack.of("pulumi:providers:aws")
    assert set(providers) == {"aws"}
    tags = str(providers["aws"].inputs["defaultTags"])
    assert "landfall" in tags
    assert "environment" in tags
    for resource in stack.resources:
        if resource.type.startswith("aws:"):
            assert "pulumi:providers:aws::aws" in resource.provider, resource
