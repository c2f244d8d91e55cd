"""Commands about a stack's configuration."""

from __future__ import annotations

import json
import sys
from typing import Any

from lab.engine.config import StackConfig, Value
from lab.engine.errors import EngineError
from lab.engine.flags import Arguments
from lab.engine.project import find_project


def _config(arguments: Arguments) -> StackConfig:
    project = find_project()
    backend = project.backend()
    stack = project.stack(arguments.get("--stack"))
    if not backend.exists(stack):
        raise EngineError(f"no stack named '{stack.name}' found")
    return StackConfig(project, stack.name)


def _json(value: Value, *, show: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {"secret": value.secret}
    if show or not value.secret:
        found["value"] = value.text
        if value.structured is not None:
            found["objectValue"] = value.structured
    return found


def show(arguments: Arguments) -> int:
    """Prints all values."""
    shown = arguments.has("--show-secrets")
    found = _config(arguments).values(show=shown)
    if arguments.has("--json"):
        print(json.dumps({key: _json(value, show=shown) for key, value in found.items()}, indent=2))
        return 0
    for key, value in found.items():
        print(f"{key:<40} {value.text}")
    return 0


def get(arguments: Arguments) -> int:
    """Prints one value."""
    key = arguments.positional[0]
    value = _config(arguments).get(key, path=arguments.has("--path"))
    print(json.dumps({"name": key, **_json(value)}, indent=2) if arguments.has("--json") else value.text)
    return 0


def set_(arguments: Arguments) -> int:
    """Sets one value; without one on the command line, from standard input."""
    key, *values = arguments.positional
    value = values[0] if values else sys.stdin.read().removesuffix("\n")
    _config(arguments).set(key, value, secret=arguments.has("--secret"), path=arguments.has("--path"))
    return 0


def set_all(arguments: Arguments) -> int:
    """Sets several values, given as KEY=VALUE behind --plaintext or --secret, or as JSON."""
    items: list[tuple[str, Any, bool]] = []
    for flag, text in arguments.order:
        if flag not in {"--secret", "--plaintext"}:
            continue
        key, equals, value = text.partition("=")
        if not equals:
            raise EngineError(f"expected KEY=VALUE behind {flag}")
        items.append((key, value, flag == "--secret"))
    if given := arguments.get("--json"):
        try:
            content = json.loads(given)
            for key, value in content.items():
                secret = bool(value["secret"])
                structured = None if secret else value.get("objectValue")
                items.append((key, value["value"] if structured is None else structured, secret))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EngineError(f"--json needs what `pulumi config --json` prints: {error}") from error
    _config(arguments).set_all(items, path=arguments.has("--path"))
    return 0


def rm(arguments: Arguments) -> int:
    """Removes values."""
    _config(arguments).remove(list(arguments.positional), path=arguments.has("--path"))
    return 0
