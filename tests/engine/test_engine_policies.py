"""Policy packs: what they are asked, what a violation does, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import pulumi
import pytest
from pulumi import automation
from pulumi.automation.events import EngineEvent

from tests.engine.workshop import Thing, Workshop

PACK = """
from pulumi_policy import (
    EnforcementLevel, PolicyPack, ResourceValidationPolicy, StackValidationPolicy)

def small(args, report):
    if args.resource_type == "cloud:index:Thing" and args.props["size"] > 3:
        report(f"{args.name} has size {args.props['size']:g}, provider {args.provider.name}", None)

def valued(args, report):
    if args.resource_type == "cloud:index:Thing" and args.props.get("value") == "dull":
        report("its value is dull", None)

def few(args, report):
    things = [item for item in args.resources if item.resource_type == "cloud:index:Thing"]
    if len(things) > 2:
        report("too many: " + ", ".join(sorted(item.name for item in things)), None)
    for item in things:
        for source in item.property_dependencies.get("value", []):
            if source.name == "forbidden":
                report("takes its value from what it may not", item.urn)

PolicyPack(name="shop", enforcement_level=EnforcementLevel.MANDATORY, policies=[
    ResourceValidationPolicy("small", "Things are small.", small),
    ResourceValidationPolicy("valued", "Things are bright.", valued, EnforcementLevel.ADVISORY),
    StackValidationPolicy("few", "There are few things.", few),
])
"""


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A pack's folder."""
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "PulumiPolicy.yaml").write_text("runtime: python\nversion: 1.2.3\n", encoding="utf-8")
    (folder / "__main__.py").write_text(PACK, encoding="utf-8")
    return folder


def _things(**sizes: int) -> None:
    for name, size in sizes.items():
        Thing(name, size=size)


def test_what_meets_all_policies_is_done(workshop: Workshop, pack: Path) -> None:
    stack = workshop.stack(lambda: _things(a=1, b=2))
    events: list[EngineEvent] = []
    stack.up(policy_packs=[str(pack)], on_event=events.append)
    assert len(workshop.cloud.things) == 2
    assert [event.policy_event for event in events if event.policy_event] == []
    summary = next(event.summary_event for event in events if event.summary_event)
    assert summary.policy_packs == {"shop": "1.2.3"}


def test_a_preview_shows_all_that_is_wrong_and_fails(workshop: Workshop, pack: Path) -> None:
    stack = workshop.stack(lambda: _things(big=7, bigger=8, small=1))
    events: list[EngineEvent] = []
    with pytest.raises(automation.CommandError) as failure:
        stack.preview(policy_packs=[str(pack)], on_event=events.append)
    said = str(failure.value)
    assert "[mandatory] small of cloud:index:Thing big (shop 1.2.3)" in said
    assert "big has size 7" in said
    assert "bigger has size 8" in said
    assert "mandatory policies are violated" in said
    assert "too many: big, bigger, small" in said
    found = {event.policy_event.message.split("\n")[1] for event in events if event.policy_event}
    assert {text.partition(",")[0] for text in found if "has size" in text} == {
        "big has size 7",
        "bigger has size 8",
    }
    assert workshop.cloud.things == {}


def test_an_update_does_not_touch_what_violates_and_begins_nothing_more(
    workshop: Workshop, pack: Path
) -> None:
    def program() -> None:
        first = Thing("first", size=1)
        second = Thing("second", size=9, opts=pulumi.ResourceOptions(depends_on=[first]))
        Thing("third", size=1, opts=pulumi.ResourceOptions(depends_on=[second]))

    stack = workshop.stack(program)
    with pytest.raises(automation.CommandError, match="mandatory policies are violated"):
        stack.up(policy_packs=[str(pack)])
    assert workshop.cloud.order("Create") == ["Create first"]
    assert "pending_operations" not in json.loads(workshop.state())["checkpoint"]["latest"]
    stack.up()
    assert len(workshop.cloud.things) == 3


def test_an_advisory_violation_is_shown(workshop: Workshop, pack: Path) -> None:
    stack = workshop.stack(lambda: Thing("a", size=1, value="dull"))
    result = stack.up(policy_packs=[str(pack)])
    assert "[advisory] valued of cloud:index:Thing a" in result.stdout
    assert "its value is dull" in result.stdout


def test_what_is_unknown_in_a_preview_is_judged_in_the_update(workshop: Workshop, pack: Path) -> None:
    def program() -> None:
        first = Thing("first", size=9 if changed else 1, value="x")
        Thing("second", size=first.address.apply(len))

    changed = False
    stack = workshop.stack(program)
    preview = stack.preview(policy_packs=[str(pack)])
    assert "can't run policy 'small'" in preview.stdout
    with pytest.raises(automation.CommandError, match="second has size"):
        stack.up(policy_packs=[str(pack)])


def test_a_stack_is_judged_by_what_depends_on_what(workshop: Workshop, pack: Path) -> None:
    def program() -> None:
        source = Thing("forbidden", size=1)
        Thing("taker", size=1, value=source.address)

    stack = workshop.stack(program)
    with pytest.raises(automation.CommandError, match="takes its value from what it may not"):
        stack.preview(policy_packs=[str(pack)])


def test_a_configuration_changes_levels(workshop: Workshop, pack: Path) -> None:
    stack = workshop.stack(lambda: _things(big=7))
    config = pack / "config.json"
    config.write_text('{"small": "advisory"}', encoding="utf-8")
    result = stack.up(policy_packs=[str(pack)], policy_pack_configs=[str(config)])
    assert "[advisory] small" in result.stdout

    config.write_text('{"all": "disabled"}', encoding="utf-8")
    assert "small" not in stack.preview(policy_packs=[str(pack)], policy_pack_configs=[str(config)]).stdout

    config.write_text('{"tiny": "advisory"}', encoding="utf-8")
    with pytest.raises(automation.CommandError, match="has no policy tiny"):
        stack.preview(policy_packs=[str(pack)], policy_pack_configs=[str(config)])
    config.write_text('{"small": "strict"}', encoding="utf-8")
    with pytest.raises(automation.CommandError, match="expected an object of policies"):
        stack.preview(policy_packs=[str(pack)], policy_pack_configs=[str(config)])


def test_a_pack_that_does_not_start_says_why(workshop: Workshop, pack: Path) -> None:
    stack = workshop.stack(lambda: _things(a=1))
    (pack / "__main__.py").write_text("raise SystemExit('no such rule')\n", encoding="utf-8")
    with pytest.raises(automation.CommandError, match="failed to start: no such rule"):
        stack.up(policy_packs=[str(pack)])
    (pack / "PulumiPolicy.yaml").write_text("runtime: nodejs\n", encoding="utf-8")
    with pytest.raises(automation.CommandError, match="a policy pack of the runtime 'nodejs'"):
        stack.up(policy_packs=[str(pack)])
    with pytest.raises(automation.CommandError, match=r"PulumiPolicy\.yaml cannot be read"):
        stack.up(policy_packs=[str(pack / "elsewhere")])
    assert workshop.cloud.things == {}


def test_the_json_of_a_preview_stays_json(workshop: Workshop, pack: Path) -> None:
    (workshop.project / "__main__.py").write_text(
        "import pulumi\n"
        "class Thing(pulumi.CustomResource): pass\n"
        "Thing('cloud:index:Thing', 'big', {'size': 5})\n",
        encoding="utf-8",
    )
    workshop.run("stack", "init", "dev")
    done = workshop.run("preview", "--json", "--policy-pack", str(pack), "--stack", "dev", code=255)
    assert {step["op"] for step in json.loads(done.stdout)["steps"]} == {"create"}
    assert "big has size 5" in done.stderr
