"""What a reviewer sees of a change: each property before and after."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.automation.events import StepEventMetadata

from cutover.actions.flip_stack import review
from cutover.differences import at, differences, show
from cutover.ports import Change, Difference
from tests.cutover.world import BOSS, World


def metadata(
    op: str, old: dict[str, Any] | None, new: dict[str, Any] | None, **more: Any
) -> StepEventMetadata:
    return StepEventMetadata.from_json({
        "op": op,
        "urn": "urn:pulumi:prod-edge::landfall::cloudflare:index/dnsRecord:DnsRecord::bill",
        "type": "cloudflare:index/dnsRecord:DnsRecord",
        "old": old,
        "new": new,
        **more,
    })  # fmt: skip


def test_an_update_shows_before_and_after() -> None:
    found = differences(
        metadata(
            "update",
            {"inputs": {"content": "203.0.113.10", "ttl": 60, "data": {"a.b": "1"}}},
            {"inputs": {"content": "203.0.113.64", "ttl": 60, "data": {"a.b": "2"}}},
            detailedDiff={
                "content": {"diffKind": "update", "inputDiff": True},
                'data["a.b"]': {"diffKind": "update", "inputDiff": True},
            },
        )
    )

    assert list(map(str, found)) == ["content: 203.0.113.10 -> 203.0.113.64", 'data["a.b"]: 1 -> 2']


def test_without_details_the_named_properties_are_compared() -> None:
    found = differences(
        metadata(
            "update", {"inputs": {"ttl": 300, "x": 1}}, {"inputs": {"ttl": 60, "x": 1}}, diffs=["ttl", "x"]
        )
    )

    assert found == (Difference("ttl", "300", "60"),)


def test_a_difference_from_the_world_shows_what_the_world_has() -> None:
    found = differences(
        metadata(
            "update",
            {"inputs": {}, "outputs": {"proxied": True}},
            {"inputs": {"proxied": False}},
            detailedDiff={"proxied": {"diffKind": "update", "inputDiff": False}},
        )
    )

    assert found == (Difference("proxied", "true", "false"),)


def test_what_is_created_shows_all_it_says_and_what_is_deleted_nothing() -> None:
    inputs = {"spec": {"replicas": 2}, "__defaults": [], "data": {"a.b": "x\ny"}}

    assert differences(metadata("create", None, {"inputs": inputs})) == (
        Difference('data["a.b"]', "", "x\\ny"),
        Difference("spec.replicas", "", "2"),
    )
    assert differences(metadata("delete", {"inputs": inputs}, None)) == ()


def test_long_and_unknown_values_are_said_to_be_so() -> None:
    assert show("x" * 500) == "x" * 160 + "…"
    assert show("04da6b54-80e4-46f7-96ec-b56ff0331ba9") == "(known after the up)"
    assert at({"a": [{"b": 1}]}, "a[0].b") == 1
    assert at({"a": 1}, "a.b.c") is None


def test_a_patch_that_is_new_is_compared_with_the_live_object(world: World) -> None:
    change = Change(
        "create",
        "kubernetes:core/v1:ConfigMapPatch",
        "billing-guance-intl/boss-config",
        (),
        (
            Difference("data.DATABASE_HOST", "", "203.0.113.30"),
            Difference("data.DATABASE_PORT", "", "3306"),
            Difference("metadata.name", "", "boss-config"),
        ),
    )

    assert list(review(world.context(), "source", change)) == [
        "create ConfigMapPatch billing-guance-intl/boss-config",
        "    data.DATABASE_HOST: (absent) -> 203.0.113.30",
        "    data.DATABASE_PORT: 3306 -> 3306 (as it is)",
    ]


@pytest.mark.parametrize("stack_type", ["pulumi:pulumi:Stack", "landfall:dns:Records"])
def test_what_pulumi_keeps_for_itself_has_no_properties_to_review(world: World, stack_type: str) -> None:
    change = Change("create", stack_type, BOSS, (), (Difference("x", "", "1"),))

    assert list(review(world.context(), "edge", change)) == [f"create {stack_type.rpartition(':')[2]} {BOSS}"]
