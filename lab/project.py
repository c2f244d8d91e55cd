"""A rehearsal's own copy of the Pulumi project, with the lab's addresses in place of a real environment's."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.world import LabError

_COPIED = ("__main__.py", "Pulumi.yaml", "stacks", "components", "policy")

Overlay = Mapping[tuple[str | int, ...], object]
"""Values by their path below `landfall:environment`."""


def copy_project(repository: Path, folder: Path, environment: str, overlay: Overlay) -> Path:
    """Copy the tracked project into `folder` and lay `overlay` over the environment's settings.

    Another environment's may be copied beside it.

    Returns the copy's folder. Raises LabError where the overlay names a place that the settings lack.
    """
    for name in _COPIED:
        source = repository / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored, dirs_exist_ok=True)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)
    for path in repository.glob(f"Pulumi.{environment}*.yaml"):
        shutil.copy2(path, folder / path.name)
    settings = folder / f"Pulumi.{environment}.yaml"
    document = yaml.safe_load(settings.read_text())
    for keys, value in overlay.items():
        _set(document["config"]["landfall:environment"], keys, value)
    settings.write_text(yaml.safe_dump(document, sort_keys=False))
    return folder


def _set(document: Any, keys: tuple[str | int, ...], value: object) -> None:
    for key in keys[:-1]:
        try:
            document = document[key]
        except (KeyError, IndexError, TypeError):
            raise LabError(
                f"the lab's overlay names {keys}, but the settings have no {key!r} there"
            ) from None
    document[keys[-1]] = value


def describe(overlay: Overlay) -> list[str]:
    """The overlay as lines for a person."""
    return [f"{'.'.join(str(key) for key in keys)} = {value}" for keys, value in overlay.items()]
