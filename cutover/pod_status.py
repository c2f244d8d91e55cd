"""What a pod's status says of a pod of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def container_state(status: Mapping[str, Any]) -> dict[str, Any]:
    """The state of a pod's only container; empty until it has one."""
    for container in status.get("containerStatuses", ()):
        found: dict[str, Any] = container.get("state", {})
        return found
    return {}
