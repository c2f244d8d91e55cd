"""The lab's RDS raises a major version as AWS does: asked for by name, and done when the server is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lab.aws.server import AwsServer
from lab.rhoam.upgrades import UPGRADES, Upgrades


@pytest.fixture
def upgrades(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upgrades]:
    made = Upgrades(tmp_path / "upgrades")
    monkeypatch.setenv(UPGRADES, str(made.folder))
    yield made
    made.stop()


def instance(client: Any) -> tuple[str, str]:
    found = client.describe_db_instances(DBInstanceIdentifier="db")["DBInstances"][0]
    return found["EngineVersion"], found["DBInstanceStatus"]


def test_an_upgrade_is_under_way_until_the_server_is_upgraded(upgrades: Upgrades) -> None:
    may_end, done = threading.Event(), []

    def upgrade(version: str) -> None:
        may_end.wait(10)
        done.append(version)

    with AwsServer() as server:
        credentials = {"aws_access_key_id": "lab", "aws_secret_access_key": "lab"}
        client = boto3.client("rds", endpoint_url=server.url, region_name="eu-west-1", **credentials)
        client.create_db_instance(
            DBInstanceIdentifier="db",
            Engine="mysql",
            EngineVersion="5.7.44",
            DBInstanceClass="db.m6i.large",
            AllocatedStorage=20,
            MasterUsername="admin",
            MasterUserPassword="of-the-test",
        )
        (found,) = client.describe_db_engine_versions(Engine="mysql", EngineVersion="5.7")["DBEngineVersions"]
        target = found["ValidUpgradeTarget"][-1]["EngineVersion"]
        assert target.startswith("8.0")
        upgrades.carry_out("db", upgrade)
        wanted = {"DBInstanceIdentifier": "db", "EngineVersion": target, "ApplyImmediately": True}
        with pytest.raises(ClientError, match="AllowMajorVersionUpgrade"):
            client.modify_db_instance(**wanted)
        client.modify_db_instance(**wanted, AllowMajorVersionUpgrade=True)
        assert instance(client)[1] == "upgrading"
        may_end.set()
        for _ in range(200):
            if instance(client)[1] == "available":
                break
            threading.Event().wait(0.05)
        assert instance(client) == (target, "available")
        assert done == [target]
