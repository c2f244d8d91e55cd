"""Exceptions from controls, as the environment's settings name them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from components.settings.exceptions import ControlException

KEY = "landfall:environment"
_EXCEPTIONS = TypeAdapter(tuple[ControlException, ...])


def load_exceptions(project: Path, environment: Mapping[str, str]) -> tuple[ControlException, ...]:
    """The exceptions of the environment that the stack belongs to.

    They stand in the stack's own configuration, or for the environment's other stacks in the file of the
    environment, `Pulumi.<environment>.yaml`.

    Args:
        project: the project's folder.
        environment: the process's environment; there the engine tells the stack and its configuration.

    Raises:
        SystemExit: they are not valid; the message says where and what was expected.
    """
    config = json.loads(environment.get("PULUMI_CONFIG") or "{}")
    settings: Any = next((config[key] for key in config if key.replace(":config:", ":") == KEY), None)
    place = f"the configuration key {KEY}"
    if settings is None:
        name = environment.get("PULUMI_STACK", "").partition("-")[0]
        file = project / f"Pulumi.{name}.yaml"
        place = str(file)
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
        except (OSError, yaml.YAMLError) as error:
            raise SystemExit(f"{file} cannot be read: {error}") from error
        settings = ((content or {}).get("config") or {}).get(KEY) or {}
    elif isinstance(settings, str):
        settings = json.loads(settings)
    try:
        return _EXCEPTIONS.validate_python(settings.get("exceptions") or ())
    except ValidationError as error:
        problems = "; ".join(
            f"exceptions[{'.'.join(map(str, item['loc']))}]: {item['msg']}" for item in error.errors()
        )
        raise SystemExit(f"{place}: {problems}") from error


def covering(
    exceptions: Iterable[ControlException], control: str, resource: str, today: date
) -> ControlException | None:
    """The exception that excuses a resource from a control today, if any."""
    return next((item for item in exceptions if item.covers(control, resource, today)), None)


def ended(
    exceptions: Iterable[ControlException], control: str, resource: str, today: date
) -> ControlException | None:
    """The exception that excused a resource from a control until it ended."""
    past = (item for item in exceptions if item.until < today)
    return next((item for item in past if item.covers(control, resource, item.until)), None)
