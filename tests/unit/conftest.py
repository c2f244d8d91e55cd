"""The stacks that declare something in AWS, each recorded once."""

from collections.abc import Mapping
from typing import Any

import pytest

from stacks import builder_for
from tests.unit.recording import ACCOUNT, KeyPath, Recording, project_copy, record

LANDING_ZONE = {
    "vpc_id": "vpc-1",
    "private_subnet_ids": ["subnet-1", "subnet-2", "subnet-3"],
    "database_security_group_id": "sg-database",
    "database_address": "db.example.com",
    "notifications_topic_arn": f"arn:aws:sns:ap-southeast-1:{ACCOUNT}:alarms",
}
OUTPUTS: dict[str, Mapping[str, Any]] = {
    "organization/landfall/prod": LANDING_ZONE,
    "organization/landfall/rhoam-migration": {"workspace_role_arn": f"arn:aws:iam::{ACCOUNT}:role/workspace"},
}


def _recorded(
    stack: str, factory: pytest.TempPathFactory, changes: dict[KeyPath, object] | None = None
) -> Recording:
    project = project_copy(factory.mktemp(stack), changes)
    return record(builder_for(stack, project), stack, stack_outputs=OUTPUTS)


@pytest.fixture(scope="session")
def landing_zone(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """What `prod` registers."""
    return _recorded("prod", tmp_path_factory)


@pytest.fixture(scope="session")
def replication(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """What `prod-replication` registers where DMS carries both directions."""
    return _recorded("prod-replication", tmp_path_factory, {("replication", "forward"): "dms"})


@pytest.fixture(scope="session")
def migration(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """What `rhoam-migration` registers."""
    return _recorded("rhoam-migration", tmp_path_factory)


@pytest.fixture(scope="session")
def destination(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """What `rhoam` registers."""
    return _recorded("rhoam", tmp_path_factory)
