"""A managed database upgraded: an RDS in memory, whose answers have the shape of the real one's."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from cutover.errors import InterruptedRunError, StepError
from cutover.transfer import UpgradeDatabase
from cutover.transfer.manifest import TableSum
from cutover.transfer.upgrade_path import Offer, major, number, upgrade_path
from tests.transfer.transfer_world import REGION, SYSTEM, TransferWorld, make_world

OFFERS = {
    "5.6.51": [("5.7.44", True)],
    "5.7.33": [("5.7.44", False), ("8.0.35", True), ("8.0.39", True)],
    "5.7.44": [("8.0.35", True), ("8.0.39", True)],
    "8.0.39": [("8.4.3", True)],
}
UPGRADE = UpgradeDatabase(database=SYSTEM, to="8.0", wait_seconds=5000)
SUMS = {"accounts": TableSum(rows=3, checksum="a")}


def offers(version: str) -> Sequence[Offer]:
    return [Offer(*offer) for offer in OFFERS.get(version, ())]


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        ("5.7.33", "8.0", ["8.0.39"]),
        ("5.6.51", "8.0", ["5.7.44", "8.0.39"]),
        ("5.6.51", "8.4", ["5.7.44", "8.0.39", "8.4.3"]),
        ("8.0.39", "5.7", []),
        ("5.5.1", "8.0", []),
    ],
)
def test_the_path_is_the_shortest_to_the_newest(version: str, wanted: str, expected: list[str]) -> None:
    assert [offer.version for offer in upgrade_path(version, wanted, offers)] == expected


@given(
    st.dictionaries(
        st.sampled_from(["5.6.1", "5.7.1", "5.7.2", "8.0.1", "8.0.2"]),
        st.lists(st.sampled_from(["5.7.1", "5.7.2", "8.0.1", "8.0.2", "8.4.1"]), unique=True),
    )
)
def test_a_path_only_takes_what_is_offered(given_: dict[str, list[str]]) -> None:
    def told(version: str) -> list[Offer]:
        return [Offer(name, major(name) != major(version)) for name in given_.get(version, ())]

    path = upgrade_path("5.6.1", "8.0", told)
    at = "5.6.1"
    for offer in path:
        assert offer.version in given_[at]
        at = offer.version
    if path:
        assert major(at) == "8.0"
        assert all(number(major(offer.version)) <= (8, 0) for offer in path)


@pytest.mark.parametrize(("version", "expected"), [("8.0.39", "8.0"), ("15.4", "15"), ("10.11.6", "10.11")])
def test_what_the_major_version_is(version: str, expected: str) -> None:
    assert major(version) == expected


@dataclass
class RdsInMemory:
    """A fake RDS: takes a few looks for everything, and keeps `available` for a while after an order."""

    version: str = "5.7.33"
    status: list[str] = field(default_factory=list)
    ordered: list[dict[str, Any]] = field(default_factory=list)
    snapshots: dict[str, list[str]] = field(default_factory=dict)
    gives_up: bool = False
    groups: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    def get_paginator(self, operation: str) -> Any:
        fake = self

        class Pages:
            def paginate(self, **parameters: Any) -> Iterator[Any]:
                yield getattr(fake, operation)(**parameters)

        return Pages()

    def describe_db_instances(self, DBInstanceIdentifier: str = "") -> Any:  # noqa: N803
        status = self.status.pop(0) if self.status else "available"
        if not self.status and self.ordered and status == "available" and not self.gives_up:
            self.version = self.ordered[-1]["EngineVersion"]
        item = {
            "DBInstanceIdentifier": "rhoam-system",
            "Engine": "mysql",
            "EngineVersion": self.version,
            "DBInstanceStatus": status,
            "Endpoint": {"Address": "127.0.0.1"},
            **self.groups,
        }
        return {"DBInstances": [copy.deepcopy(item)]}

    def describe_db_engine_versions(self, Engine: str, EngineVersion: str) -> Any:  # noqa: N803
        targets = [
            {"EngineVersion": name, "IsMajorVersionUpgrade": is_major}
            for name, is_major in OFFERS.get(EngineVersion, ())
        ]
        return {"DBEngineVersions": [{"EngineVersion": EngineVersion, "ValidUpgradeTarget": targets}]}

    def create_db_snapshot(self, DBInstanceIdentifier: str, DBSnapshotIdentifier: str) -> None:  # noqa: N803
        self.snapshots[DBSnapshotIdentifier] = ["creating", "creating", "available"]

    def describe_db_snapshots(self, DBSnapshotIdentifier: str) -> Any:  # noqa: N803
        if DBSnapshotIdentifier not in self.snapshots:
            raise ClientError({"Error": {"Code": "DBSnapshotNotFound"}}, "DescribeDBSnapshots")
        states = self.snapshots[DBSnapshotIdentifier]
        status = states.pop(0) if len(states) > 1 else states[0]
        return {"DBSnapshots": [{"Status": status, "PercentProgress": 50}]}

    def modify_db_instance(self, **order: Any) -> None:
        self.ordered.append(order)
        self.status = ["available", "upgrading", "upgrading"]

    def create_db_parameter_group(self, DBParameterGroupName: str, **rest: Any) -> None:  # noqa: N803
        self.parameters.setdefault(DBParameterGroupName, [])

    def describe_db_parameters(self, DBParameterGroupName: str, Source: str) -> Any:  # noqa: N803
        return {"Parameters": self.parameters[DBParameterGroupName]}

    def modify_db_parameter_group(self, DBParameterGroupName: str, Parameters: Any) -> None:  # noqa: N803
        if Parameters[0]["ParameterName"] == "query_cache_size":
            raise ClientError({"Error": {"Code": "InvalidParameterValue"}}, "ModifyDBParameterGroup")
        self.parameters[DBParameterGroupName] += Parameters


class Answering:
    def connect(self, database: str) -> Answering:
        return self

    def close(self) -> None:
        pass


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> tuple[TransferWorld, RdsInMemory]:
    """A context whose time passes only when somebody sleeps, and an RDS."""
    from tests.cutover.world import FakeClock  # noqa: PLC0415

    world, rds = make_world(tmp_path), RdsInMemory()
    world.context.clock = FakeClock()
    monkeypatch.setattr("cutover.transfer.reach.client", lambda *_, **__: rds)
    monkeypatch.setattr("cutover.transfer.reach.stack_login", lambda *_: ("127.0.0.1", "u", "canary"))
    monkeypatch.setattr("cutover.transfer.reach.database_server", lambda *_: (Answering(), "boss"))
    monkeypatch.setattr("cutover.transfer.upgrade.sums", lambda *_: dict(SUMS))
    return world, rds


def test_a_snapshot_first_then_the_upgrade_then_the_comparison(
    quick: tuple[TransferWorld, RdsInMemory],
) -> None:
    world, rds = quick
    assert UPGRADE.preview(world.context) == ("a snapshot of rhoam-system", "rhoam-system: 5.7.33 -> 8.0.39")
    assert UPGRADE.observe(world.context).state == "not done"
    found = UPGRADE.apply(world.context)
    assert found["version"] == "8.0.39"
    assert found["snapshot"] == next(iter(rds.snapshots)) == "rhoam-system-before-8-0-20260101000000"
    assert found["compared"]
    order = rds.ordered[0]
    assert (order["AllowMajorVersionUpgrade"], order["ApplyImmediately"]) == (True, True)
    assert "DBParameterGroupName" not in order
    assert UPGRADE.observe(world.context).state == "done"
    assert UPGRADE.apply(world.context)["compared"] is False
    assert len(rds.ordered) == 1


def test_groups_of_its_own_are_made_for_the_new_version(quick: tuple[TransferWorld, RdsInMemory]) -> None:
    world, rds = quick
    rds.groups = {
        "DBParameterGroups": [{"DBParameterGroupName": "ours"}],
        "OptionGroupMemberships": [{"OptionGroupName": "ours"}],
    }
    rds.parameters["ours"] = [
        {"ParameterName": "max_connections", "ParameterValue": "500"},
        {"ParameterName": "query_cache_size", "ParameterValue": "1"},
        {"ParameterName": "unset"},
    ]
    UPGRADE.apply(world.context)
    assert rds.ordered[0]["DBParameterGroupName"] == "rhoam-system-8-0"
    assert rds.ordered[0]["OptionGroupName"] == "default:mysql-8-0"
    assert [item["ParameterName"] for item in rds.parameters["rhoam-system-8-0"]] == ["max_connections"]
    assert any("no parameter query_cache_size" in line for line in world.said)


def test_a_runner_that_was_killed_in_the_middle_waits_for_what_it_ordered(
    quick: tuple[TransferWorld, RdsInMemory],
) -> None:
    world, rds = quick
    looks = 0

    def stopping() -> bool:
        nonlocal looks
        looks += bool(rds.ordered)
        return looks > 2

    world.context.stopping = stopping
    with pytest.raises(InterruptedRunError):
        UPGRADE.apply(world.context)
    world.context.stopping = lambda: False
    assert UPGRADE.observe(world.context).state == "not done"
    found = UPGRADE.apply(world.context)
    assert found["compared"], "with what it held before the first attempt"
    assert (len(rds.ordered), len(rds.snapshots)) == (1, 1)


def test_an_upgrade_that_changed_rows_is_told(
    quick: tuple[TransferWorld, RdsInMemory], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, rds = quick
    later = {"accounts": TableSum(rows=2, checksum="b")}
    monkeypatch.setattr("cutover.transfer.upgrade.sums", lambda *_: later if rds.ordered else dict(SUMS))
    with pytest.raises(
        StepError, match="accounts has 2 rows instead of 3; restore the snapshot rhoam-system"
    ):
        UPGRADE.apply(world.context)
    assert UPGRADE.observe(world.context).state == "not done"


def test_an_upgrade_that_aws_gave_up_is_told(quick: tuple[TransferWorld, RdsInMemory]) -> None:
    world, rds = quick
    rds.gives_up = True
    with pytest.raises(
        StepError, match=r"AWS gave up the upgrade of rhoam-system to 8\.0\.39; it is 5\.7\.33"
    ):
        UPGRADE.apply(world.context)


def test_a_version_without_a_way_is_told(quick: tuple[TransferWorld, RdsInMemory]) -> None:
    world, rds = quick
    rds.version = "5.5.62"
    with pytest.raises(StepError, match=r"offers no upgrade of rhoam-system from mysql 5\.5\.62 to 8\.0"):
        UPGRADE.apply(world.context)
    assert not rds.ordered
    assert not rds.snapshots


def test_the_labs_rds_is_upgraded_like_the_one_in_memory(
    world: TransferWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    rds = boto3.client("rds", region_name=REGION)
    rds.create_db_parameter_group(
        DBParameterGroupName="ours", DBParameterGroupFamily="mysql5.7", Description="of the tests"
    )
    rds.modify_db_parameter_group(
        DBParameterGroupName="ours",
        Parameters=[
            {"ParameterName": "max_connections", "ParameterValue": "500", "ApplyMethod": "pending-reboot"}
        ],
    )
    made = rds.create_db_instance(
        DBInstanceIdentifier="rhoam-system",
        Engine="mysql",
        EngineVersion="5.7",
        DBInstanceClass="db.m6i.large",
        AllocatedStorage=20,
        MasterUsername="landfall",
        MasterUserPassword="canary-of-the-tests",
        DBParameterGroupName="ours",
    )["DBInstance"]
    address = made["Endpoint"]["Address"]
    monkeypatch.setattr("cutover.transfer.reach.stack_login", lambda *_: (address, "u", "canary"))
    monkeypatch.setattr("cutover.transfer.reach.database_server", lambda *_: (Answering(), "boss"))
    monkeypatch.setattr("cutover.transfer.upgrade.sums", lambda *_: dict(SUMS))
    assert UPGRADE.observe(world.context).state == "not done"
    assert UPGRADE.apply(world.context)["version"].startswith("8.0.")
    assert UPGRADE.observe(world.context).state == "done"
    found = rds.describe_db_instances()["DBInstances"][0]
    assert [group["DBParameterGroupName"] for group in found["DBParameterGroups"]] == ["rhoam-system-8-0"]
    assert len(rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]) == 1
