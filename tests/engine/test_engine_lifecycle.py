"""Create, update, replace and delete, through the Automation API with an inline program."""

from __future__ import annotations

from typing import Any

import pulumi

from tests.engine.workshop import Thing, Workshop


def test_a_stack_is_made_changed_and_unmade(workshop: Workshop) -> None:
    settings: dict[str, Any] = {"value": "first"}

    def program() -> None:
        thing = Thing("thing", **settings)
        pulumi.export("address", thing.address)

    stack = workshop.stack(program)
    preview = stack.preview()
    assert preview.change_summary == {"create": 2}
    assert not workshop.cloud.things

    result = stack.up()
    assert result.outputs["address"].value == "address-of-thing-1"
    assert result.summary.result == "succeeded"
    assert result.summary.resource_changes == {"create": 2}

    settings["value"] = "second"
    assert stack.preview().change_summary == {"update": 1, "same": 1}
    assert workshop.cloud.things["thing-1"].inputs["value"] == "first"
    assert stack.up().summary.resource_changes == {"update": 1, "same": 1}
    assert workshop.cloud.things["thing-1"].inputs["value"] == "second"
    assert stack.up().summary.resource_changes == {"same": 2}

    assert stack.destroy().summary.resource_changes == {"delete": 2}
    assert not workshop.cloud.things
    assert not workshop.resources()
