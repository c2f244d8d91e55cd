"""Every type of the aws provider against the lab's AWS, from its preview to its end."""

from __future__ import annotations

import pytest

from lab.providers import compare
from lab.providers.aws.rows import ROWS
from lab.providers.base import State, has_unknown
from tests.providers.aws_cases import CASES, Case
from tests.providers.client import CallError, urn
from tests.providers.cloud import Cloud, token


def test_every_type_has_a_case() -> None:
    assert {token(case.type) for case in CASES} == set(ROWS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.type)
def test_a_resource_lives_and_dies(cloud: Cloud, case: Case) -> None:
    where, provider = urn(token(case.type), "it"), cloud.provider
    stated = case.inputs(cloud)
    inputs = provider.check(where, stated)

    preview = provider.create(where, inputs, preview=True)
    assert preview.id == ""

    state = provider.create(where, inputs)
    assert not has_unknown(state.outputs)
    foretold = {name: value for name, value in preview.outputs.items() if not has_unknown(value)}
    assert compare.covers(state.outputs, foretold), "what a preview knows comes true"
    assert inputs.items() <= state.inputs.items()
    assert provider.check(where, stated, state.inputs) == inputs
    assert not provider.diff(where, state, inputs).changes

    refreshed = provider.read(where, state)
    assert refreshed is not None
    assert refreshed.outputs == state.outputs
    assert not provider.diff(where, refreshed, inputs).changes

    imported = provider.import_(where, state.id)
    assert imported is not None
    found = provider.diff(where, imported, inputs)
    assert {path.split(".")[0].split("[")[0] for path in found.paths} == case.untold

    state = _change(cloud, case, state)
    provider.delete(where, state)
    assert (provider.read(where, state) is not None) == case.stays
    provider.delete(where, state)


def _change(cloud: Cloud, case: Case, state: State) -> State:
    if case.change is None:
        return state
    where, provider = urn(token(case.type), "it"), cloud.provider
    wanted = case.change(cloud)
    inputs = provider.check(where, {**case.inputs(cloud), **wanted}, state.inputs)
    found = provider.diff(where, state, inputs)
    assert found.changes
    assert found.replaces == (), "a change in place"
    assert {path.split(".")[0].split("[")[0] for path in found.paths} <= wanted.keys() | {"tagsAll"}
    changed = provider.update(where, state, inputs)
    refreshed = provider.read(where, changed)
    assert refreshed is not None
    assert not provider.diff(where, refreshed, inputs).changes, "nothing is left to change"
    return changed


@pytest.mark.parametrize("stated", [None, True, False])
def test_a_subscription_is_active_unless_it_is_said_otherwise(cloud: Cloud, stated: bool | None) -> None:
    inputs: dict[str, object] = {"snsTopic": cloud.topic, "sourceType": "db-instance"}
    inputs |= {} if stated is None else {"enabled": stated}
    made = cloud.make("rds.EventSubscription", f"active-{stated}".lower(), inputs)
    assert made.outputs["enabled"] == (stated is not False)


def test_a_preview_knows_what_it_does_not_know(cloud: Cloud) -> None:
    where = urn(token("eks.Cluster"), "foretold")
    inputs = {
        "name": "foretold",
        "roleArn": cloud.role_arn,
        "vpcConfig": {"subnetIds": cloud.subnets, "endpointPublicAccess": False},
    }
    preview = cloud.provider.create(where, cloud.provider.check(where, inputs), preview=True)
    assert preview.outputs["vpcConfig"]["endpointPublicAccess"] is False
    assert has_unknown(preview.outputs["vpcConfig"]["clusterSecurityGroupId"])


def test_an_option_group_outlives_its_deletion_where_a_snapshot_needs_it(cloud: Cloud) -> None:
    inputs = {"name": "kept", "engineName": "mysql", "majorEngineVersion": "8.4", "skipDestroy": True}
    made = cloud.make("rds.OptionGroup", "kept", inputs)
    cloud.provider.delete(urn(token("rds.OptionGroup"), "kept"), made)
    rds = cloud.aws.client("rds")
    assert "kept" in {group["OptionGroupName"] for group in rds.describe_option_groups()["OptionGroupsList"]}
    rds.delete_option_group(OptionGroupName="kept")
    assert rds.describe_option_groups()["OptionGroupsList"] == []


def test_a_cache_leaves_the_snapshot_that_it_is_told_to_and_no_second_of_its_name(cloud: Cloud) -> None:
    where = urn(token("elasticache.ReplicationGroup"), "left")
    inputs = {
        "replicationGroupId": "left",
        "description": "it",
        "engine": "redis",
        "nodeType": "cache.m7g.large",
        "numCacheClusters": 2,
        "finalSnapshotIdentifier": "left-final",
    }
    cloud.provider.delete(where, cloud.make("elasticache.ReplicationGroup", "left", inputs))
    elasticache = cloud.aws.client("elasticache")
    (snapshot,) = elasticache.describe_snapshots(ReplicationGroupId="left")["Snapshots"]
    assert (snapshot["SnapshotName"], snapshot["SnapshotSource"]) == ("left-final", "manual")
    again = cloud.make("elasticache.ReplicationGroup", "left", inputs)
    with pytest.raises(CallError, match="SnapshotAlreadyExistsFault"):
        cloud.provider.delete(where, again)


def test_security_groups_stand_in_the_template_or_with_the_interface(cloud: Cloud) -> None:
    group = cloud.make("ec2.SecurityGroup", "once", {"vpcId": cloud.vpc, "description": "it"}).id
    template = cloud.make("ec2.LaunchTemplate", "once", {"vpcSecurityGroupIds": [group], "imageId": "ami-1"})
    inputs = {
        "launchTemplate": {"id": template.id, "version": "1"},
        "instanceType": "t3.large",
        "subnetId": cloud.subnets[0],
        "associatePublicIpAddress": False,
    }
    with pytest.raises(CallError, match="may not be specified on the same request"):
        cloud.make("ec2.Instance", "once", inputs)
