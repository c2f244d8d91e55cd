"""What a night of faults has seen, and what is expected of each stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def assert_stopped(
    fault: str, found: Mapping[str, Any], *, code: int, step: str, words: Sequence[str], goes_on: str
) -> None:
    """A command's end names the step, the cause, what was done so far, and the command that goes on."""
    assert found["code"] == code, found["printed"][-3000:]
    reason = _line(found, "what happened: ")
    assert step in reason, fault
    assert [word for word in words if word not in reason] == [], reason
    assert found["next"].endswith(f" {goes_on}"), fault
    assert _line(found, "done so far: "), fault


def _line(found: Mapping[str, Any], start: str) -> str:
    lines = [line for line in found["printed"].splitlines() if line.startswith(start)]
    assert len(lines) == 1, found["printed"][-3000:]
    return str(lines[0])
