"""Conditional writes to DynamoDB happen one at a time; moto's look first and write later, in any thread."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from moto.dynamodb.models import DynamoDBBackend

_ONE = threading.RLock()
_OPERATIONS = ("put_item", "update_item", "delete_item", "transact_write_items", "get_item", "query", "scan")


def install() -> None:
    """Correct it."""
    for name in _OPERATIONS:
        found = getattr(DynamoDBBackend, name)
        if not hasattr(found, "corrected"):
            setattr(DynamoDBBackend, name, _one_at_a_time(found))


def _one_at_a_time(operation: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(operation)
    def alone(*args: Any, **named: Any) -> Any:
        with _ONE:
            return operation(*args, **named)

    alone.corrected = True  # type: ignore[attr-defined]
    return alone
