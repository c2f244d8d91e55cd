"""Day two: a reader who has never seen the code changes one line of settings, and one resource changes."""

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stacks import builder_for
from tests.unit.conftest import OUTPUTS
from tests.unit.recording import IMPORT_WARNINGS, PROJECT, Recording, project_copy, record

pytestmark = pytest.mark.filterwarnings(IMPORT_WARNINGS)
Resources = dict[tuple[str, str], dict[str, Any]]
DOMAIN = (
    "{name: pay.truewatch.com, zone: truewatch.com, source: 203.0.113.10,"
    " service: billing-guance-intl/webportal}"
)


def _made(recording: Recording) -> Resources:
    """What a stack declares in clouds, without passwords: one is made in each run and taken in the first."""
    generated = {"SecretVersion", "User"}
    return {
        (found.type, found.name): found.inputs
        for found in recording.resources
        if not found.type.startswith(("landfall:", "pulumi:"))
        and found.type.rpartition(":")[2] not in generated
    }


def _edited(project: Path, environment: str, edit: Callable[[str], str]) -> None:
    """Edits an environment's file, by one line alone."""
    path = project / f"Pulumi.{environment}.yaml"
    before = path.read_text()
    after = edit(before)
    lines = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]
    assert [line[0] for line in lines] in (["+"], ["-", "+"]), "one line is added, or another"
    path.write_text(after)


def _replaced(line: str, by: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        assert text.count(f"{line}\n") == 1
        return text.replace(f"{line}\n", f"{by}\n")

    return edit


def _added(below: str, line: str) -> Callable[[str], str]:
    return _replaced(below, f"{below}\n{line}")


@pytest.mark.parametrize(
    ("environment", "stack", "edit", "touched"),
    [
        pytest.param(
            "prod",
            "prod",
            _replaced("      replicas: 1", "      replicas: 2"),
            {("ReplicationGroup", "prod-cache", "numCacheClusters")},
            id="a replica of the cache",
        ),
        pytest.param(
            "prod",
            "prod-edge",
            _added("    domains:", f"    - {DOMAIN}"),
            {("DnsRecord", "pay.truewatch.com", "")},
            id="a domain",
        ),
        pytest.param(
            "prod",
            "prod",
            _replaced("        desired: 3", "        desired: 4"),
            {("NodeGroup", "prod-default", "scalingConfig")},
            id="a node",
        ),
        pytest.param(
            "prod",
            "prod",
            _replaced("        instance_class: db.m7g.large", "        instance_class: db.m7g.xlarge"),
            {("Instance", "prod-database", "instanceClass")},
            id="a larger database",
        ),
        pytest.param(
            "prod",
            "prod-replication",
            _replaced("        instance_class: dms.r6i.large", "        instance_class: dms.r6i.xlarge"),
            {("ReplicationInstance", "prod", "replicationInstanceClass")},
            id="a larger replication instance",
        ),
        pytest.param(
            "rhoam",
            "rhoam-edge",
            _replaced(
                "    domains: []",
                "    domains: [{name: api.example.com, zone: example.com,"
                " source: 203.0.113.9, target: 203.0.113.20}]",
            ),
            {("DnsRecord", "api.example.com", "")},
            id="the customer's first domain",
        ),
    ],
)
def test_one_line_of_settings_is_one_resource(
    tmp_path: Path,
    environment: str,
    stack: str,
    edit: Callable[[str], str],
    touched: set[tuple[str, str, str]],
) -> None:
    project = project_copy(tmp_path)
    before = _made(record(builder_for(stack, project), stack, stack_outputs=OUTPUTS))
    _edited(project, environment, edit)
    after = _made(record(builder_for(stack, project), stack, stack_outputs=OUTPUTS))
    assert before.keys() <= after.keys(), "nothing goes"
    new = {(kind, name, "") for kind, name in after.keys() - before.keys()}
    changed = {
        (kind, name, value)
        for (kind, name), inputs in before.items()
        for value in inputs.keys() | after[kind, name].keys()
        if inputs.get(value) != after[kind, name].get(value)
    }
    assert {(kind.rpartition(":")[2], name, value) for kind, name, value in new | changed} == touched


def test_the_document_tells_these_lines() -> None:
    page = (PROJECT / "docs" / "first-preview.md").read_text()
    for line in (f"- {DOMAIN}", "replicas: 2", "desired: 4", "instance_class: db.m7g.xlarge"):
        assert f"| `{line}` |" in page


def test_a_domain_needs_four_facts_and_points_at_the_source(tmp_path: Path) -> None:
    project = project_copy(tmp_path)
    _edited(project, "prod", _added("    domains:", f"    - {DOMAIN}"))
    recording = record(builder_for("prod-edge", project), "prod-edge", stack_outputs=OUTPUTS)
    found = recording.of("DnsRecord")["pay.truewatch.com"]
    assert found.import_id == "", "a new record is created, and none is adopted"
    assert found.inputs["content"] == "203.0.113.10"
    assert (found.inputs["type"], found.inputs["ttl"], found.inputs["proxied"]) == ("A", 300, False)
    assert recording.outputs["flipped"]["records"]["pay.truewatch.com"] == "source"
