"""What the documents say is so."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from stacks import builder_for
from stacks.review import stacks_of
from stacks.settings.errors import render_path
from stacks.settings.reference import reference
from tests.docs.costs import prices, quantities, rewritten
from tests.policy.programs import FLIPPED, OUTPUTS, STACKS, fact, recorded, write_settings
from tests.unit.recording import IMPORT_WARNINGS, PROJECT, KeyPath, project_copy, record

pytestmark = pytest.mark.filterwarnings(IMPORT_WARNINGS)

FIRST_PREVIEW = (PROJECT / "docs" / "first-preview.md").read_text(encoding="utf-8")
ROOT = "landfall:environment"
BUILDERS = {
    "prod": ("stacks.landing_zone", "landing_zone"),
    "prod-replication": ("stacks.replication", "replication"),
    "prod-source": ("stacks.source", "source"),
    "prod-target": ("stacks.target", "target"),
    "prod-automata": ("stacks.callers", "callers"),
    "prod-edge": ("stacks.edge", "edge"),
    "rhoam-migration": ("stacks.rhoam", "migration"),
    "rhoam": ("stacks.rhoam", "destination"),
    "rhoam-edge": ("stacks.edge", "edge"),
}


def _part(name: str) -> str:
    found: str = FIRST_PREVIEW.partition(f"<!-- {name}: begin -->")[2].partition(f"<!-- {name}: end -->")[0]
    assert found.strip()
    return found


def _placeholders(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    if isinstance(value, dict) and "placeholder" in value:
        yield path
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _placeholders(item, (*path, key))


def _needed() -> dict[str, list[str]]:
    rows = re.findall(r"^\| ([\w-]+) \| (`.*`) \|$", _part("placeholders"), re.MULTILINE)
    return {stack: re.findall(r"`([^`]+)`", places) for stack, places in rows}


def test_the_reference_of_the_settings_is_up_to_date() -> None:
    kept = (PROJECT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert kept == reference(), "python -m stacks.settings.reference docs/settings.md"


def test_the_costs_follow_from_the_prices_and_from_what_is_declared() -> None:
    known = prices(FIRST_PREVIEW)
    for stack in STACKS:
        assert quantities(stack).keys() <= known.keys(), stack
    assert rewritten(FIRST_PREVIEW) == FIRST_PREVIEW, "python -m tests.docs.costs docs/first-preview.md"
    dearer = FIRST_PREVIEW.replace(
        "| NAT gateway | hour | 0.045 | 0.059 |", "| NAT gateway | hour | 0.045 | 0.06 |"
    )
    assert dearer != FIRST_PREVIEW
    assert rewritten(dearer) != dearer


def test_the_order_of_the_stacks_is_theirs(tmp_path: Path) -> None:
    told = re.findall(r"^\| \d \| ([\w-]+) \|", _part("order"), re.MULTILINE)
    project = project_copy(tmp_path)
    assert told == [*stacks_of(project, "prod"), *stacks_of(project, "rhoam")]


@pytest.mark.parametrize("stack", sorted(_needed()))
def test_a_stack_needs_the_placeholders_that_are_named(tmp_path: Path, stack: str) -> None:
    write_settings(tmp_path)  # certificates and the other files
    name = stack.partition("-")[0]
    tracked = (PROJECT / f"Pulumi.{name}.yaml").read_text()
    paths = {render_path(path): path for path in _placeholders(yaml.safe_load(tracked)["config"][ROOT])}
    named = _needed()[stack]
    assert named == sorted(named)
    assert set(named) <= paths.keys()

    def run(filled: list[str]) -> None:
        document = yaml.safe_load(tracked)
        for place in filled:
            here = document["config"][ROOT]
            for key in paths[place][:-1]:
                here = here[key]
            here[paths[place][-1]] = fact(paths[place])
        (tmp_path / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
        record(builder_for(stack, tmp_path), stack, stack_outputs=OUTPUTS)

    run(named)
    for place in named:
        with pytest.raises(pulumi.RunError, match="is still a placeholder: "):
            run([other for other in named if other != place])


def test_what_needs_no_placeholder_is_not_in_the_table() -> None:
    assert set(_needed()) == {*STACKS, "prod-edge"}, "rhoam-edge has no domains until its customer names some"


@pytest.mark.parametrize("stack", sorted(BUILDERS))
def test_every_output_is_documented_at_its_builder(tmp_path: Path, stack: str) -> None:
    outputs = recorded(tmp_path, stack).outputs
    module, builder = BUILDERS[stack]
    told = getattr(importlib.import_module(module), builder).__doc__.partition("Stack outputs")[2]
    assert outputs
    undocumented = [name for name in outputs if not re.search(rf"\b{name}\b", told)]
    assert undocumented == []
    assert stack in (*STACKS, *FLIPPED)
