"""IAM policy documents in properties."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from policy.judgement import ABSENT, Failed, Finding, NotEvaluated, Resource, has_unknown

Statement = Mapping[str, Any]


def statements(resource: Resource, path: str) -> Iterator[Statement | Finding]:
    """The statements of the document at a path, or why there are none to judge."""
    text = resource.value(path)
    if text is ABSENT:
        yield Failed(f"{path} is absent; expected a policy document")
        return
    if has_unknown(text):
        yield NotEvaluated(f"{path} is not known yet")
        return
    try:
        content = json.loads(text) if isinstance(text, str) else text
        found = content["Statement"]
    except (ValueError, TypeError, KeyError):
        yield Failed(f"{path} is no policy document")
        return
    yield from listed(found)


def listed(value: Any) -> list[Any]:
    """The items of what may be one or a list of them."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def allows(statement: Statement, *actions: str) -> bool:
    """Whether a statement allows one of the actions, on whatever resource."""
    if statement.get("Effect") != "Allow":
        return False
    if (kept := statement.get("NotAction")) is not None:
        return not all(any(_matches(action, name) for name in listed(kept)) for action in actions)
    return any(_matches(action, name) for action in actions for name in listed(statement.get("Action")))


def everybody(statement: Statement) -> bool:
    """Whether a statement is about anybody at all."""
    principal = statement.get("Principal")
    if isinstance(principal, Mapping):
        return "*" in listed(principal.get("AWS"))
    return principal == "*"


def _matches(action: str, pattern: Any) -> bool:
    return fnmatchcase(action.lower(), str(pattern).lower())
