"""A flip looks before it leaps, and refuses whatever it does not expect."""

from __future__ import annotations

import pytest

from cutover.actions.flip_stack import (
    DELETES,
    UPDATES,
    Expected,
    Flip,
    FlipStack,
    Remembered,
    unexpected,
    with_values,
)
from cutover.errors import StepError
from cutover.ports import Change
from stacks.settings import EdgeFlips, SourceFlips, TargetFlips
from tests.cutover.world import BOSS, DOMAIN, SOURCE_ADDRESS, TARGET_ADDRESS, World

RECORD = "cloudflare:index/dnsRecord:DnsRecord"
SWITCH = FlipStack(
    stack="edge",
    flips=(Flip(key="records", item=DOMAIN, forward="target", back="source"),),
    expected=(Expected(type="DnsRecord", name=DOMAIN, operations=UPDATES, back=UPDATES),),
)


def test_it_changes_what_it_names(world: World) -> None:
    evidence = SWITCH.apply(world.context())

    assert world.record == TARGET_ADDRESS
    assert evidence["changes"] == [f"update DnsRecord {DOMAIN} (content)"]
    assert SWITCH.observe(world.context()).state == "done"


def test_its_undo_brings_back_what_was(world: World) -> None:
    SWITCH.apply(world.context())
    SWITCH.undo(world.context())

    assert world.record == SOURCE_ADDRESS


def test_a_second_time_it_runs_nothing(world: World) -> None:
    SWITCH.apply(world.context())
    world.events.clear()
    SWITCH.apply(world.context())

    assert world.events == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (Change("replace", RECORD, DOMAIN), "only update is expected"),
        (Change("delete", RECORD, DOMAIN), "only update is expected"),
        (Change("create", RECORD, DOMAIN), "only update is expected"),
        (Change("create-replacement", RECORD, DOMAIN), "only update is expected"),
        (Change("update", RECORD, "other.truewatch.com"), "another resource"),
        (Change("delete", "kubernetes:core/v1:ConfigMap", "ns/config"), "another resource"),
        (Change("delete", "aws:rds/instance:Instance", "boss"), "another resource"),
        (Change("replace", "pulumi:providers:kubernetes", "source"), "another resource"),
        (Change("something-new", RECORD, DOMAIN), "only update is expected"),
    ],
)
def test_a_preview_with_anything_else_stops_it_before_anything_is_changed(
    world: World, change: Change, why: str
) -> None:
    world.stacks.surprise = [change]
    before = world.state

    with pytest.raises(StepError, match="does not expect") as caught:
        SWITCH.apply(world.context())

    assert why in str(caught.value)
    assert "nothing was changed" in str(caught.value)
    assert world.state == before
    assert any(line.startswith("REFUSED") for line in SWITCH.preview(world.context()))


def test_pending_operations_stop_it(world: World) -> None:
    world.stacks.open_operations = [f"updating {DOMAIN}"]
    before = world.state

    with pytest.raises(StepError, match="prod-edge has pending operations of an interrupted run"):
        SWITCH.apply(world.context())

    assert world.state == before


def test_drift_stops_it(world: World) -> None:
    world.stacks.drifted = [Change("update", RECORD, DOMAIN, ("content",))]
    before = world.state

    with pytest.raises(StepError, match="the world differs from what prod-edge declared") as caught:
        SWITCH.apply(world.context())

    assert f"update DnsRecord {DOMAIN} (content)" in str(caught.value)
    assert world.state == before


def test_observing_distinguishes_file_state_and_world(world: World) -> None:
    context = world.context()
    assert SWITCH.observe(context).state == "not done"

    world.stacks.files["prod-edge"] = EdgeFlips(records={DOMAIN: "target"}, ttl="original")
    seen = SWITCH.observe(context)
    assert (seen.state, "still to do" in seen.detail) == ("not done", True)

    world.stacks.open_operations = ["updating"]
    assert SWITCH.observe(context).state == "unknown"
    SWITCH.repair(context)

    SWITCH.apply(context)
    world.stacks.drifted = [Change("update", RECORD, DOMAIN)]
    seen = SWITCH.observe(context)
    assert (seen.state, "the world differs" in seen.detail) == ("not done", True)


def test_what_pulumi_keeps_for_itself_is_no_surprise() -> None:
    own = [
        Change("create", "pulumi:pulumi:Stack", "landfall-prod-edge"),
        Change("create", "pulumi:providers:cloudflare", "default_6_23_1"),
        Change("create", "landfall:dns:Records", "prod"),
    ]

    assert unexpected(own, (), back=False) == []


def test_on_the_way_back_other_operations_are_expected() -> None:
    expected = [Expected(type="Deployment", name="ns/forwarder", back=DELETES)]
    delete = Change("delete", "kubernetes:apps/v1:Deployment", "ns/forwarder")

    assert unexpected([delete], expected, back=True) == []
    assert unexpected([delete], expected, back=False) != []


def test_remembered_values_come_from_the_facts(world: World) -> None:
    scale = FlipStack(
        stack="target",
        flips=(Flip(key="replicas", item=BOSS, forward=Remembered("replicas", BOSS), back=0),),
        expected=(Expected(type="DeploymentPatch", name=BOSS),),
    )
    context = world.context()
    world.target.replicas[BOSS] = 0

    assert scale.needs == ("replicas",)
    assert scale.preview(context) == ("known once replicas are remembered",)
    with pytest.raises(StepError, match="holds no fact 'replicas'"):
        scale.apply(context)
    context.facts.values["replicas"] = {BOSS: 3}
    scale.apply(context)
    assert world.target.replicas[BOSS] == 3


def test_an_output_that_does_not_show_the_flip_is_an_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.stacks, "outputs", lambda _: {"flipped": {"records": {DOMAIN: "source"}}})

    with pytest.raises(StepError, match=r"`flipped` does not say records\[bill.truewatch.com\] = target"):
        SWITCH.apply(world.context())


def test_flip_keys_that_a_stack_does_not_take_are_refused() -> None:
    flip = Flip(key="database", forward="elsewhere", back="internal")

    with pytest.raises(StepError, match="TargetFlips does not take"):
        with_values(TargetFlips(), [(flip, "elsewhere")])


def test_other_items_of_a_key_are_left_alone() -> None:
    flips = SourceFlips(replicas={"a/b": 1, "c/d": 2})

    changed = with_values(flips, [(Flip(key="replicas", item="c/d", forward=5, back=2), 5)])

    assert changed == SourceFlips(replicas={"a/b": 1, "c/d": 5})
