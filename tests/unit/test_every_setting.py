"""Every key of the settings, made wrong one at a time and all at once: one message each, with its place."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks.settings import SettingsError, load_any_environment
from stacks.settings.errors import Problem, render_path
from tests.unit.recording import KeyPath, project_copy

ENVIRONMENTS = ("prod", "rhoam")
ROOT = "landfall:environment"
WRONG: dict[str, object] = {"no setting": "is this"}
"""No key takes such a mapping but those that hold names of the reader's own."""
FREE = {"tags", "parameters", "selector", "images", "storage_classes", "pull_secrets"}
"""Keys that hold a mapping of texts."""


def _settings(project: Path, environment: str) -> dict[str, Any]:
    document = yaml.safe_load((project / f"Pulumi.{environment}.yaml").read_text())
    # By way of JSON: what the file shares by anchors is changed in one place alone.
    found: dict[str, Any] = json.loads(json.dumps(document["config"][ROOT], default=str))
    return found


def _leaves(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path


def _mappings(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if isinstance(value, dict) and not {*path} & FREE and path[-1:] not in {("zones",), ("clusters",)}:
        yield path
    for key, item in items:
        yield from _mappings(item, (*path, key))


def _put(settings: Any, path: KeyPath, value: object) -> None:
    for key in path[:-1]:
        settings = settings[key]
    settings[path[-1]] = value


def _problems(project: Path, environment: str, settings: dict[str, Any]) -> dict[str, Problem]:
    """The problems of these settings by their keys; no two have the same."""
    file = project / f"Pulumi.{environment}.yaml"
    file.write_text(yaml.safe_dump({"config": {ROOT: settings}}, sort_keys=False))
    with pytest.raises(SettingsError) as caught:
        load_any_environment(project, environment)
    problems = caught.value.problems
    found = {problem.key.removeprefix(f"{ROOT}."): problem for problem in problems}
    assert len(found) == len(problems), str(caught.value)
    lines = file.read_text().splitlines()
    for problem in problems:
        assert problem.file == file
        assert problem.expected
        assert problem.line is None or lines[problem.line - 1].strip()
    return found


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_each_wrong_value_is_one_problem_at_its_key(tmp_path: Path, environment: str) -> None:
    project = project_copy(tmp_path)
    right = _settings(project, environment)
    leaves = [path for path in _leaves(right) if path != ("kind",)]
    assert len(leaves) > 60
    for path in leaves:
        settings = json.loads(json.dumps(right))
        _put(settings, path, WRONG)
        found = _problems(project, environment, settings)
        assert set(found) == {render_path(path)}, path
        (problem,) = found.values()
        assert problem.value == "a mapping"
        assert problem.line is not None


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_each_key_that_is_not_known_is_one_problem(tmp_path: Path, environment: str) -> None:
    project = project_copy(tmp_path)
    right = _settings(project, environment)
    for path in _mappings(right):
        settings = json.loads(json.dumps(right))
        _put(settings, (*path, "no_setting"), 1)
        found = _problems(project, environment, settings)
        assert set(found) == {render_path((*path, "no_setting"))}, path
        assert found[render_path((*path, "no_setting"))].expected.startswith("unknown key; ")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_wrong_value_in_every_section_is_told_at_once(tmp_path: Path, environment: str) -> None:
    project = project_copy(tmp_path)
    settings = _settings(project, environment)
    first = {path[0]: path for path in reversed(list(_leaves(settings))) if path != ("kind",)}
    for path in first.values():
        _put(settings, path, WRONG)
    found = _problems(project, environment, settings)
    assert set(found) == {render_path(path) for path in first.values()}
    assert len(found) > 10
