"""What becomes of resources: order, replacement, options, failures; through inline programs."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest
from pulumi import ResourceOptions, automation

from tests.engine.cloud import Cloud
from tests.engine.workshop import Provider, Thing, Workshop

Settings = dict[str, Any]


def test_dependents_are_deleted_before_what_they_depend_on(workshop: Workshop) -> None:
    def program() -> None:
        first = Thing("first")
        second = Thing("second", value=first.address)
        third = Thing("third", ResourceOptions(depends_on=[second]))
        Thing("fourth", ResourceOptions(parent=third))

    stack = workshop.stack(program)
    stack.up()
    assert workshop.cloud.order("Create") == [
        f"Create {name}" for name in ("first", "second", "third", "fourth")
    ]
    stack.destroy()
    assert workshop.cloud.order("Delete") == [
        f"Delete {name}" for name in ("fourth", "third", "second", "first")
    ]


def test_what_the_program_no_longer_has_is_deleted(workshop: Workshop) -> None:
    wanted = ["a", "b"]

    def program() -> None:
        for name in wanted:
            Thing(name)

    stack = workshop.stack(program)
    stack.up()
    wanted.remove("b")
    assert stack.preview().change_summary == {"same": 2, "delete": 1}
    assert stack.up().summary.resource_changes == {"same": 2, "delete": 1}
    assert workshop.cloud.order("Delete") == ["Delete b"]
    assert set(workshop.resources()) == {"shop-dev", "default", "a"}


def test_a_preview_knows_what_it_cannot_know(workshop: Workshop) -> None:
    seen: list[automation.EngineEvent] = []

    def program() -> None:
        first = Thing("first")
        Thing("second", value=first.address)
        pulumi.export("address", first.address)
        pulumi.export("length", first.address.apply(len))

    stack = workshop.stack(program)
    assert stack.preview(on_event=seen.append).change_summary == {"create": 3}
    new = {
        event.resource_pre_event.metadata.urn.rsplit("::", 1)[-1]: event.resource_pre_event.metadata.new
        for event in seen
        if event.resource_pre_event
    }
    assert new["second"] is not None
    assert new["second"].inputs == {"size": 1, "value": "04da6b54-80e4-46f7-96ec-b56ff0331ba9"}
    result = stack.up()
    assert result.outputs["length"].value == len("address-of-first-1")


@pytest.mark.parametrize("first", ["create", "delete"])
def test_a_replacement_has_an_order(workshop: Workshop, first: str) -> None:
    settings: Settings = {"zone": "a"}

    def program() -> None:
        Thing("thing", ResourceOptions(delete_before_replace=first == "delete"), **settings)

    stack = workshop.stack(program)
    stack.up()
    settings["zone"] = "b"
    workshop.cloud.calls.clear()
    assert stack.preview().change_summary == {"same": 1, "replace": 1}
    assert stack.up().summary.resource_changes == {"same": 1, "replace": 1}
    expected = ["Create thing", "Delete thing"]
    assert workshop.cloud.order("Create", "Delete") == (expected if first == "create" else expected[::-1])
    assert list(workshop.cloud.things) == ["thing-2"]
    assert workshop.resources()["thing"]["id"] == "thing-2"


def test_replacing_deletes_dependents_that_cannot_stay(workshop: Workshop) -> None:
    settings: Settings = {"zone": "a"}

    def program() -> None:
        base = Thing("base", ResourceOptions(delete_before_replace=True), **settings)
        Thing("bound", zone=base.id)
        Thing("loose", value=base.id)

    stack = workshop.stack(program)
    stack.up()
    settings["zone"] = "b"
    workshop.cloud.calls.clear()
    stack.up()
    assert workshop.cloud.order("Create", "Delete", "Update") == [
        "Delete bound",
        "Delete base",
        "Create base",
        *sorted(["Create bound", "Update loose"], key=workshop.cloud.order("Create", "Update").index),
    ]


def test_changes_can_be_ignored(workshop: Workshop) -> None:
    settings: Settings = {"value": {"kept": 1, "free": 1}}

    def program() -> None:
        Thing("thing", ResourceOptions(ignore_changes=["value.kept"]), **settings)

    stack = workshop.stack(program)
    stack.up()
    settings["value"] = {"kept": 2, "free": 1}
    assert stack.up().summary.resource_changes == {"same": 2}
    settings["value"] = {"kept": 2, "free": 2}
    assert stack.up().summary.resource_changes == {"same": 1, "update": 1}
    assert workshop.cloud.things["thing-1"].inputs["value"] == {"kept": 1, "free": 2}


def test_changes_can_be_made_to_replace(workshop: Workshop) -> None:
    settings: Settings = {"value": 1}

    def program() -> None:
        Thing("thing", ResourceOptions(replace_on_changes=["value"]), **settings)

    stack = workshop.stack(program)
    stack.up()
    settings["value"] = 2
    assert stack.up().summary.resource_changes == {"same": 1, "replace": 1}


def test_an_alias_keeps_the_resource_and_its_children(workshop: Workshop) -> None:
    class Group(pulumi.ComponentResource):
        def __init__(self, name: str, opts: ResourceOptions | None = None) -> None:
            super().__init__("shop:index:Group", name, None, opts)
            Thing(f"{name}-child", ResourceOptions(parent=self))

    names = {"group": "old", "thing": "one"}
    options: dict[str, list[pulumi.Alias]] = {"group": [], "thing": []}

    def program() -> None:
        Group(names["group"], ResourceOptions(aliases=list(options["group"])))
        Thing(names["thing"], ResourceOptions(aliases=list(options["thing"])))

    stack = workshop.stack(program)
    stack.up()
    names.update(group="new", thing="two")
    options["group"] = [pulumi.Alias(name="old")]
    options["thing"] = [pulumi.Alias(name="one")]
    assert stack.up().summary.resource_changes == {"same": 4}
    assert set(workshop.resources()) == {"shop-dev", "default", "new", "new-child", "two"}
    assert not workshop.cloud.order("Delete")


def test_a_protected_resource_is_not_deleted_or_replaced(workshop: Workshop) -> None:
    settings: Settings = {"zone": "a"}
    there = [True]

    def program() -> None:
        if there[0]:
            Thing("thing", ResourceOptions(protect=True), **settings)

    stack = workshop.stack(program)
    stack.up()
    there[0] = False
    with pytest.raises(automation.CommandError, match="protected"):
        stack.preview()
    with pytest.raises(automation.CommandError, match="protected"):
        stack.up()
    with pytest.raises(automation.CommandError, match="protected"):
        stack.destroy()
    there[0] = True
    settings["zone"] = "b"
    with pytest.raises(automation.CommandError, match="marked for protection"):
        stack.up()
    assert list(workshop.cloud.things) == ["thing-1"]
    assert workshop.resources()["thing"]["protect"] is True


def test_a_retained_resource_leaves_only_the_state(workshop: Workshop) -> None:
    def program() -> None:
        Thing("thing", ResourceOptions(retain_on_delete=True))

    stack = workshop.stack(program)
    stack.up()
    stack.destroy()
    assert list(workshop.cloud.things) == ["thing-1"]
    assert not workshop.resources()


def test_what_goes_with_another_is_not_deleted_by_itself(workshop: Workshop) -> None:
    def program() -> None:
        house = Thing("house")
        Thing("room", ResourceOptions(deleted_with=house))

    stack = workshop.stack(program)
    stack.up()
    stack.destroy()
    assert workshop.cloud.order("Delete") == ["Delete house"]


def test_a_failure_leaves_independent_resources_and_a_true_state(workshop: Workshop) -> None:
    settings: Settings = {"fail": "create"}

    def program() -> None:
        bad = Thing("bad", **settings)
        Thing("dependent", value=bad.address)
        Thing("independent")
        pulumi.export("address", bad.address)

    stack = workshop.stack(program)
    with pytest.raises(automation.CommandError, match="the cloud has no room for bad") as caught:
        stack.up()
    assert "code: 255" in str(caught.value)
    assert set(workshop.resources()) == {"shop-dev", "default", "independent"}
    assert "pending_operations" not in json.loads(workshop.state())["checkpoint"]["latest"]
    info = stack.info()
    assert info is not None
    assert info.result == "failed"
    settings.clear()
    assert stack.up().summary.resource_changes == {"create": 2, "same": 2}


@pytest.mark.parametrize("operation", ["check", "update"])
def test_a_failed_change_keeps_the_old_state(workshop: Workshop, operation: str) -> None:
    settings: Settings = {"value": 1}

    def program() -> None:
        Thing("thing", **settings)

    stack = workshop.stack(program)
    stack.up()
    settings.update(value=2, fail=operation)
    with pytest.raises(automation.CommandError, match=r"not allowed|refuses to change"):
        stack.up()
    assert workshop.resources()["thing"]["inputs"]["value"] == 1


def test_a_failed_delete_keeps_what_the_resource_depends_on(workshop: Workshop) -> None:
    def program() -> None:
        base = Thing("base")
        Thing("stubborn", fail="delete", value=base.id)
        Thing("other")

    stack = workshop.stack(program)
    stack.up()
    with pytest.raises(automation.CommandError, match="will not let go of stubborn"):
        stack.destroy()
    assert {"base", "stubborn"} <= set(workshop.resources())
    assert "other" not in workshop.resources()


def test_a_resource_that_never_got_ready_is_kept_and_tried_again(workshop: Workshop) -> None:
    settings: Settings = {"fail": "init"}

    def program() -> None:
        Thing("thing", **settings)

    stack = workshop.stack(program)
    with pytest.raises(automation.CommandError, match="it never got ready"):
        stack.up()
    stored = workshop.resources()["thing"]
    assert stored["id"] == "thing-1"
    assert stored["initErrors"] == ["it never got ready"]
    settings.clear()
    assert stack.up().summary.resource_changes == {"same": 1, "update": 1}
    assert "initErrors" not in workshop.resources()["thing"]


def test_a_program_that_raises_deletes_nothing(workshop: Workshop) -> None:
    broken = [False]

    def program() -> None:
        if broken[0]:
            raise ValueError("the program is broken")
        Thing("thing")

    stack = workshop.stack(program)
    stack.up()
    broken[0] = True
    with pytest.raises(automation.InlineSourceRuntimeError, match="the program is broken"):
        stack.up()
    assert list(workshop.cloud.things) == ["thing-1"]
    assert "thing" in workshop.resources()


def test_one_name_is_used_once(workshop: Workshop) -> None:
    def program() -> None:
        Thing("thing")
        Thing("thing")

    with pytest.raises(automation.CommandError, match="Duplicate resource URN"):
        workshop.stack(program).up()
    assert len(workshop.cloud.things) == 1


def test_explicit_providers_are_instances_of_their_own(workshop: Workshop) -> None:
    regions = {"near": "here", "far": "there"}

    def program() -> None:
        for name, region in regions.items():
            provider = Provider(name, region=region, tags={"of": name})
            Thing(f"thing-{name}", ResourceOptions(provider=provider))

    stack = workshop.stack(program)
    assert stack.preview().change_summary == {"create": 5}
    stack.up()
    assert {thing.id[:-2]: thing.region for thing in workshop.cloud.things.values()} == {
        "thing-near": "here",
        "thing-far": "there",
    }
    configured = [peer["variables"] for peer in workshop.cloud.peers.values()]
    assert {"cloud:config:region": "here", "cloud:config:tags": '{"of":"near"}'} in configured
    assert "default" not in workshop.resources()
    regions["far"] = "elsewhere"
    assert stack.up().summary.resource_changes == {"same": 3, "replace": 2}
    assert {thing.region for thing in workshop.cloud.things.values()} == {"here", "elsewhere"}
    del regions["far"]
    assert stack.up().summary.resource_changes == {"same": 3, "delete": 2}


def test_the_default_provider_is_configured_by_the_stack(workshop: Workshop) -> None:
    def program() -> None:
        Thing("thing")

    stack = workshop.stack(program)
    stack.set_config("cloud:region", automation.ConfigValue("home"))
    stack.up()
    assert workshop.cloud.things["thing-1"].region == "home"


def test_a_provider_that_is_not_attached_is_named(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_DEBUG_PROVIDERS", "other:1")

    def program() -> None:
        Thing("thing")

    with pytest.raises(
        automation.CommandError, match=r"no provider for the package 'cloud'.*PULUMI_DEBUG_PROVIDERS"
    ):
        workshop.stack(program).up()


def test_a_provider_that_does_not_answer_is_named(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_DEBUG_PROVIDERS", "cloud:1")

    def program() -> None:
        Thing("thing")

    with pytest.raises(
        automation.CommandError, match=r"the provider cloud at 127.0.0.1:1 .* does not answer"
    ):
        workshop.stack(program).up()


def test_what_exists_is_imported_if_it_is_as_declared(workshop: Workshop) -> None:
    def before() -> None:
        Thing("made", value="x")

    workshop.stack(before, "other").up()
    settings: Settings = {"value": "y"}

    def program() -> None:
        Thing("taken", ResourceOptions(import_="made-1"), **settings)

    stack = workshop.stack(program)
    preview = stack.preview()
    assert preview.change_summary == {"create": 1, "import": 1}
    assert "do not match" in preview.stdout
    with pytest.raises(
        automation.CommandError, match="inputs to import do not match the existing resource: value"
    ):
        stack.up()
    assert "taken" not in workshop.resources()
    settings["value"] = "x"
    assert stack.up().summary.resource_changes == {"same": 1, "import": 1}
    assert workshop.resources()["taken"]["id"] == "made-1"
    assert workshop.resources()["taken"]["importID"] == "made-1"
    assert stack.up().summary.resource_changes == {"same": 2}
    settings["value"] = "z"
    assert stack.up().summary.resource_changes == {"same": 1, "update": 1}


def test_what_does_not_exist_is_not_imported(workshop: Workshop) -> None:
    def program() -> None:
        Thing("taken", ResourceOptions(import_="nothing"))

    with pytest.raises(automation.CommandError, match="resource 'nothing' does not exist"):
        workshop.stack(program).up()


def test_what_is_only_read_is_never_deleted(workshop: Workshop) -> None:
    workshop.stack(lambda: Thing("made", value="x"), "other").up()

    def program() -> None:
        found = Thing("found", ResourceOptions(id="made-1"))
        pulumi.export("value", found.value)

    stack = workshop.stack(program)
    assert stack.up().outputs["value"].value == "x"
    assert workshop.resources()["found"]["external"] is True
    stack.destroy()
    assert list(workshop.cloud.things) == ["made-1"]


def test_functions_are_invoked(workshop: Workshop) -> None:
    def program() -> None:
        provider = Provider("far", region="there")
        answer = pulumi.runtime.invoke_output(
            "cloud:index:getThing", {"name": "x"}, pulumi.InvokeOutputOptions(provider=provider)
        )
        pulumi.export("answer", answer)

    stack = workshop.stack(program)
    stack.preview()
    assert stack.up().outputs["answer"].value == {"region": "there", "asked": "x"}


def test_what_the_engine_does_not_do_is_refused_by_name(workshop: Workshop) -> None:
    def program() -> None:
        pulumi.runtime.call("cloud:index:Thing/method", {})

    with pytest.raises(
        automation.CommandError, match=r"method call cloud:index:Thing/method is not supported"
    ):
        workshop.stack(program).up()


def test_a_component_has_outputs(workshop: Workshop) -> None:
    class Group(pulumi.ComponentResource):
        address: pulumi.Output[str]

        def __init__(self, name: str) -> None:
            super().__init__("shop:index:Group", name)
            self.address = Thing(f"{name}-thing", ResourceOptions(parent=self)).address
            self.register_outputs({"address": self.address})

    def program() -> None:
        pulumi.export("address", Group("group").address)

    stack = workshop.stack(program)
    assert stack.up().outputs["address"].value == "address-of-group-thing-1"
    stored = workshop.resources()
    assert stored["group"]["outputs"] == {"address": "address-of-group-thing-1"}
    assert stored["group-thing"]["parent"].endswith("shop:index:Group::group")
    assert (
        stored["group-thing"]["urn"]
        == "urn:pulumi:dev::shop::shop:index:Group$cloud:index:Thing::group-thing"
    )
    assert stack.up().summary.resource_changes == {"same": 3}


def test_a_diff_says_which_properties_change(workshop: Workshop) -> None:
    settings: Settings = {"value": 1, "zone": "a"}
    seen: list[automation.EngineEvent] = []

    def program() -> None:
        Thing("thing", **settings)

    def detailed() -> dict[str, str]:
        seen.clear()
        stack.preview(on_event=seen.append)
        found = [event.resource_pre_event.metadata for event in seen if event.resource_pre_event]
        return {
            path: item.diff_kind.value
            for step in found
            if step.op != "same"
            for path, item in (step.detailed_diff or {}).items()
        }

    stack = workshop.stack(program)
    stack.up()
    settings.update(value=2, more=True)
    assert detailed() == {"value": "update", "more": "add"}
    workshop.cloud.detailed = False
    assert detailed() == {"value": "update", "more": "add"}
    settings["zone"] = "b"
    workshop.cloud.detailed = True
    assert detailed()["zone"] == "update-replace"


def test_a_change_of_many_is_done_at_the_same_time(workshop: Workshop, cloud: Cloud) -> None:
    def program() -> None:
        for index in range(20):
            Thing(f"thing-{index}", size=index)

    stack = workshop.stack(program)
    assert stack.up().summary.resource_changes == {"create": 21}
    assert len(cloud.things) == 20


def test_transforms_change_what_is_registered(workshop: Workshop) -> None:
    def tag(word: str) -> Any:
        def transform(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
            if args.type_ != "cloud:index:Thing":
                return None
            given: dict[str, Any] = dict(args.props)
            tags = [*given.get("tags", []), word]
            return pulumi.ResourceTransformResult({**args.props, "tags": tags}, args.opts)

        return transform

    def protect(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult:
        return pulumi.ResourceTransformResult(
            args.props, ResourceOptions.merge(args.opts, ResourceOptions(retain_on_delete=True))
        )

    class Group(pulumi.ComponentResource):
        def __init__(self, name: str, opts: ResourceOptions) -> None:
            super().__init__("shop:index:Group", name, None, opts)
            Thing(
                "child",
                ResourceOptions(parent=self, transforms=[tag("own")]),
                value=pulumi.Output.secret("x"),
            )

    def program() -> None:
        pulumi.runtime.register_resource_transform(tag("stack"))
        first = Thing("first", ResourceOptions(transforms=[protect]))
        Group("group", ResourceOptions(transforms=[tag("group")], depends_on=[first]))

    stack = workshop.stack(program)
    stack.up()
    found = workshop.resources()
    assert found["child"]["inputs"]["tags"] == ["own", "group", "stack"]
    assert "ciphertext" in found["child"]["inputs"]["value"]
    assert found["first"]["inputs"]["tags"] == ["stack"]
    assert found["first"]["retainOnDelete"] is True
    assert "retainOnDelete" not in found["child"]
    assert stack.up().summary.resource_changes == {"same": 4}


def test_a_transform_that_fails_is_named(workshop: Workshop) -> None:
    def fail(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
        raise ValueError("this transform is broken")

    def program() -> None:
        Thing("thing", ResourceOptions(transforms=[fail]))

    with pytest.raises(automation.CommandError, match="this transform is broken"):
        workshop.stack(program).up()
    assert not workshop.cloud.things
