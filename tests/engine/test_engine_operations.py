"""Refresh, drift, interrupts, locks, crashes, stack references and events."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi import ResourceOptions, automation

from tests.engine.workshop import Thing, Workshop

PROGRAM = """
import pulumi
class Thing(pulumi.CustomResource):
    def __init__(self, name, opts=None, **inputs):
        super().__init__("cloud:index:Thing", name, {"address": None, **inputs}, opts)
"""


def test_drift_is_seen_and_taken_over(workshop: Workshop) -> None:
    def program() -> None:
        kept = Thing("kept", value=1)
        Thing("gone", ResourceOptions(depends_on=[kept]))

    stack = workshop.stack(program)
    stack.up()
    assert stack.preview_refresh().change_summary == {"same": 3}
    workshop.cloud.things["kept-1"].inputs["value"] = 2
    del workshop.cloud.things["gone-2"]
    assert stack.preview_refresh().change_summary == {"same": 1, "update": 1, "delete": 1}
    assert workshop.resources()["kept"]["inputs"]["value"] == 1
    assert stack.refresh().summary.resource_changes == {"same": 1, "update": 1, "delete": 1}
    assert workshop.resources()["kept"]["inputs"]["value"] == 2
    assert "gone" not in workshop.resources()
    assert stack.up().summary.resource_changes == {"same": 1, "update": 1, "create": 1}


def test_an_update_can_begin_with_a_refresh(workshop: Workshop) -> None:
    stack = workshop.stack(lambda: Thing("thing", value=1))
    stack.up()
    workshop.cloud.things["thing-1"].inputs["value"] = 2
    assert stack.up().summary.resource_changes == {"same": 2}
    stack.preview(refresh=True)
    assert workshop.cloud.things["thing-1"].inputs["value"] == 2
    stack.up(refresh=True)
    assert workshop.cloud.things["thing-1"].inputs["value"] == 1


def test_a_stack_reads_the_outputs_of_another(workshop: Workshop) -> None:
    def source() -> None:
        pulumi.export("plain", {"addresses": ["a", "b"]})
        pulumi.export("secret", pulumi.Output.secret("hidden"))

    def program() -> None:
        other = pulumi.StackReference("organization/shop/other")
        pulumi.export("plain", other.get_output("plain").apply(lambda item: item["addresses"][0]))
        pulumi.export("secret", other.require_output("secret"))
        pulumi.export("absent", other.get_output("absent"))

    workshop.stack(source, "other").up()
    stack = workshop.stack(program)
    stack.preview()
    outputs = stack.up().outputs
    assert outputs["plain"].value == "a"
    assert not outputs["plain"].secret
    assert outputs["secret"].value == "hidden"
    assert outputs["secret"].secret
    assert "hidden" not in workshop.state()
    assert stack.up().summary.resource_changes == {"same": 1, "read": 1}
    stack.refresh()
    stack.destroy()
    assert not workshop.resources()


def test_a_stack_that_does_not_exist_cannot_be_read(workshop: Workshop) -> None:
    def program() -> None:
        pulumi.StackReference("organization/shop/nowhere")

    with pytest.raises(automation.CommandError, match='unknown stack "organization/shop/nowhere"'):
        workshop.stack(program).up()


def deployment(stack: automation.Stack) -> dict[str, Any]:
    """A stack's exported state."""
    return dict(stack.export_stack().deployment or {})


def children(process: int) -> list[str]:
    """The processes that a process has started and that have not ended."""
    path = Path(f"/proc/{process}/task/{process}/children")
    return [child for child in path.read_text(encoding="ascii").split() if running(child)]


def running(process: str) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def start(workshop: Workshop, *words: str) -> subprocess.Popen[str]:
    """Starts a command and returns at once."""
    return subprocess.Popen(
        ["pulumi", *words], cwd=workshop.project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_killed_update_leaves_a_lock_and_what_it_was_at(workshop: Workshop) -> None:
    stack = workshop.local(f'{PROGRAM}\nfirst = Thing("first")\nThing("slow", held=True, value=first.id)\n')
    process = start(workshop, "up", "--yes", "--skip-preview", "--stack", "dev")
    try:
        assert workshop.cloud.entered.wait(60)
    finally:
        process.kill()
        process.communicate(timeout=10)
    with pytest.raises(automation.errors.ConcurrentUpdateError, match="currently locked by 1 lock"):
        stack.up()
    stack.cancel()
    pending = deployment(stack)["pending_operations"]
    assert [(item["type"], item["resource"]["urn"].rsplit("::", 1)[-1]) for item in pending] == [
        ("creating", "slow")
    ]
    (workshop.project / "__main__.py").write_text(f'{PROGRAM}\nThing("first")\n', encoding="utf-8")
    preview = stack.preview()
    assert "pending operations" in preview.stdout
    assert "interrupted while creating" in preview.stdout
    stack.up()
    assert "pending_operations" in deployment(stack)
    stack.refresh(clear_pending_creates=True)
    assert "pending_operations" not in deployment(stack)
    assert "pending operations" not in stack.preview().stdout


def test_an_interrupt_lets_the_running_step_end(workshop: Workshop) -> None:
    workshop.local(f'{PROGRAM}\nslow = Thing("slow", held=True)\nThing("never", value=slow.address)\n')
    process = start(workshop, "up", "--yes", "--skip-preview", "--stack", "dev")
    assert workshop.cloud.entered.wait(60)
    host = children(process.pid)
    assert host
    process.send_signal(signal.SIGINT)
    while children(process.pid):
        time.sleep(0.02)
    workshop.cloud.released.set()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 255, out + err
    assert "canceled" in err
    assert set(workshop.resources()) == {"shop-dev", "default", "slow"}
    assert "pending_operations" not in workshop.state()
    assert list(workshop.cloud.things) == ["slow-1"]
    assert not list((workshop.backend / ".pulumi/locks").rglob("*.json"))


def test_two_updates_do_not_run_at_once(workshop: Workshop) -> None:
    stack = workshop.local(f'{PROGRAM}\nThing("slow", held=True)\n')
    process = start(workshop, "up", "--yes", "--skip-preview", "--stack", "dev")
    try:
        assert workshop.cloud.entered.wait(60)
        with pytest.raises(automation.errors.ConcurrentUpdateError):
            stack.up()
        stack.preview()
        workshop.cloud.released.set()
    finally:
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err


def test_no_changes_can_be_expected(workshop: Workshop) -> None:
    settings: dict[str, Any] = {"value": 1}
    stack = workshop.stack(lambda: Thing("thing", **settings))
    with pytest.raises(automation.CommandError, match="no changes were expected"):
        stack.preview(expect_no_changes=True)
    stack.up()
    stack.preview(expect_no_changes=True)
    stack.up(expect_no_changes=True)


def test_events_tell_what_happens(workshop: Workshop) -> None:
    events: list[automation.EngineEvent] = []
    stack = workshop.stack(lambda: Thing("thing"))
    stack.up(on_event=events.append)
    kinds = [
        next(key for key, value in vars(event).items() if key.endswith("_event") and value)
        for event in events
    ]
    assert kinds[0] == "prelude_event"
    assert kinds[-2:] == ["summary_event", "cancel_event"]
    assert [event.sequence for event in events] == list(range(len(events)))
    assert {"resource_pre_event", "res_outputs_event"} <= set(kinds)
    assert events[-2].summary_event is not None
    assert events[-2].summary_event.resource_changes == {"create": 2}


def test_events_are_written_to_a_file(workshop: Workshop) -> None:
    stack = workshop.local(f'{PROGRAM}\nThing("bad", fail="create")\nprint("said by the program")\n')
    log = workshop.folder / "events"
    workshop.run("up", "--yes", "--skip-preview", "--event-log", str(log), "--stack", stack.name, code=255)
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    kinds = [key for event in events for key in event if key.endswith("Event")]
    assert kinds[0] == "preludeEvent"
    assert kinds[-1] == "cancelEvent"
    assert "resOpFailedEvent" in kinds
    messages = [event["diagnosticEvent"]["message"] for event in events if "diagnosticEvent" in event]
    assert "said by the program\n" in messages
    assert any("no room for bad" in message for message in messages)


def test_a_local_program_that_fails_says_where(workshop: Workshop) -> None:
    stack = workshop.local("import pulumi\nraise ValueError('broken on purpose')\n")
    with pytest.raises(automation.errors.RuntimeError, match="broken on purpose") as caught:
        stack.up()
    assert "__main__.py" in str(caught.value)


def test_a_local_program_gets_its_configuration(workshop: Workshop) -> None:
    stack = workshop.local(
        "import pulumi, helper\n"
        "config = pulumi.Config()\n"
        "pulumi.export('object', config.require_object('environment'))\n"
        "pulumi.export('secret', config.require_secret('key'))\n"
        "pulumi.export('names', [pulumi.get_project(), pulumi.get_stack(), pulumi.get_organization()])\n"
        "pulumi.export('helper', helper.VALUE)\n"
    )
    (workshop.project / "helper.py").write_text("VALUE = 'found'\n", encoding="utf-8")
    file = workshop.project / "Pulumi.dev.yaml"
    content = file.read_text(encoding="utf-8")
    file.write_text(
        f"{content}config:\n"
        "  shop:environment: {name: prod, zones: [a, b], size: 3, on: true, day: 2026-01-31}\n",
        encoding="utf-8",
    )
    stack.set_config("key", automation.ConfigValue("hidden", secret=True))
    outputs = stack.up().outputs
    assert outputs["object"].value == {
        "name": "prod",
        "zones": ["a", "b"],
        "size": 3,
        "on": True,
        "day": "2026-01-31",
    }
    assert outputs["secret"].secret
    assert outputs["secret"].value == "hidden"
    assert outputs["names"].value == ["shop", "dev", "organization"]
    assert outputs["helper"].value == "found"


def test_a_project_may_name_its_program_and_its_python(workshop: Workshop) -> None:
    python = workshop.project / "env/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nVIRTUAL=yes exec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    (workshop.project / "Pulumi.yaml").write_text(
        "name: shop\nmain: src\nruntime:\n  name: python\n  options: {virtualenv: env}\n", encoding="utf-8"
    )
    (workshop.project / "src").mkdir()
    (workshop.project / "src/__main__.py").write_text(
        "import os, pathlib, pulumi\n"
        "pulumi.export('seen', [os.environ.get('VIRTUAL'), pathlib.Path.cwd().name])\n",
        encoding="utf-8",
    )
    stack = workshop.local("raise SystemExit('not this one')")
    assert stack.up().outputs["seen"].value == ["yes", "src"]


def test_a_program_that_ends_by_itself_is_a_failure(workshop: Workshop) -> None:
    stack = workshop.local("import os\nos._exit(3)\n")
    with pytest.raises(automation.CommandError, match="the program ended with exit code 3"):
        stack.up()


def test_another_runtime_is_refused(workshop: Workshop) -> None:
    (workshop.project / "Pulumi.yaml").write_text("name: shop\nruntime: nodejs\n", encoding="utf-8")
    stack = workshop.local("")
    with pytest.raises(automation.CommandError, match="the runtime 'nodejs' is not supported"):
        stack.up()


def test_the_preview_as_json(workshop: Workshop) -> None:
    workshop.local(f'{PROGRAM}\nThing("thing", value=1)\n').up()
    workshop.local(f'{PROGRAM}\nThing("thing", value=2)\nThing("more")\n')
    found = json.loads(workshop.run("preview", "--json").stdout)
    assert found["changeSummary"] == {"same": 1, "update": 1, "create": 1}
    update = next(step for step in found["steps"] if step["op"] == "update")
    assert update["detailedDiff"] == {"value": {"kind": "update", "inputDiff": False}}
    assert update["oldState"]["inputs"]["value"] == 1
    assert update["newState"]["inputs"]["value"] == 2


def test_the_environment_of_a_program_hides_the_engine(workshop: Workshop) -> None:
    stack = workshop.local(
        "import sys, pulumi, secrets\n"
        "pulumi.export('where', secrets.__file__)\n"
        "pulumi.export('path', sys.path)\n"
    )
    outputs = stack.up().outputs
    assert Path(outputs["where"].value).parent == Path(os.__file__).parent
    assert not any("lab/engine" in item for item in outputs["path"].value)


def test_an_update_as_json_is_a_line_for_each_event(workshop: Workshop) -> None:
    workshop.local(f'{PROGRAM}\nThing("thing", value=1)\n')
    done = workshop.run("up", "--yes", "--skip-preview", "--json", "--stack", "dev")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [next(key for key in event if key not in {"sequence", "timestamp"}) for event in events]
    assert (kinds[0], kinds[-2:]) == ("preludeEvent", ["summaryEvent", "cancelEvent"])
    assert {"resourcePreEvent", "resOutputsEvent"} <= set(kinds)
    assert [event["sequence"] for event in events] == list(range(len(events)))
