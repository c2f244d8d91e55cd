"""Triggers, as statements that make them on another server."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cutover.mysql import Session, quoted

_CREATE = re.compile(r"^CREATE\s+(?:OR\s+REPLACE\s+)?(DEFINER\s*=\s*\S+\s+)?TRIGGER\s+", re.IGNORECASE)


def triggers(source: Session, schemas: Sequence[str]) -> list[str]:
    """Statements, which may be repeated, that make a server's triggers; each for the schema chosen before it.

    Raises DatabaseError.
    """
    found: list[str] = []
    for schema in schemas:
        names = source.rows(
            "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s "
            "ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER",
            (schema,),
        )
        if names:
            found.append(f"USE {quoted(schema)}")
        for (name,) in names:
            (record,) = source.records(f"SHOW CREATE TRIGGER {quoted(schema, str(name))}")
            found.append(_repeatable(str(record["SQL Original Statement"])))
    return found


def _repeatable(statement: str) -> str:
    return _CREATE.sub(lambda said: f"CREATE {said.group(1) or ''}TRIGGER IF NOT EXISTS ", statement, count=1)
