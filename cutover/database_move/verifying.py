"""The verification of a move: ahead of the switch, and what is left of it under the fence."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cutover.errors import StepError
from cutover.mysql import Server
from cutover.replication.dms import MARKER_TABLE
from cutover.verification import Options, Result, Verification
from stacks.settings import DatabaseSettings

_LEFT = 50
"""Rows that may still wait when the switch begins: they are what changed within the last moments."""
_SETTLE_SECONDS = 60.0
_SHOWN = 5


def options(database: DatabaseSettings) -> Options:
    """What is compared: everything of the schemas that move but the replication's own table."""
    return Options(schemas=database.names, left_out=(f"{database.name}.{MARKER_TABLE}",))


def open_verification(
    source: Server, target: Server, database: DatabaseSettings, checkpoint: Path, say: Callable[[str], None]
) -> Verification:
    """Begun, with all tables compared: those that were before are not compared again. Raises StepError."""
    verification = Verification(source, target, options(database), checkpoint=checkpoint, say=say)
    try:
        verification.begin()
        verification.compare_tables()
        # where it goes on with an earlier one, what has changed since then is known from the binlogs alone
        verification.catch_up()
        until = time.monotonic() + _SETTLE_SECONDS
        while (left := verification.settle()) > _LEFT:
            if time.monotonic() > until:
                say(f"{left} rows still differ or change; they are compared again under the fence")
                break
    except BaseException:
        verification.close()
        raise
    return verification


def evidence(result: Result) -> dict[str, Any]:
    """A result for the journal and the report."""
    return {
        "tables": result.tables,
        "rows": result.rows,
        "rows_per_second": round(result.rows_per_second),
        "rechecked_under_fence": result.rechecked_under_fence,
        "mismatches": result.mismatches,
        "schema_differences": len(schema_errors(result)),
        "remarks": list(result.remarks),
    }


def schema_errors(result: Result, later: Sequence[str] = ()) -> list[str]:
    """Differences of the schema that count. Rights do not: accounts get theirs with the promotion.

    `later`: further kinds of objects that come with the promotion.
    """
    return [
        str(difference)
        for difference in result.schema_differences
        if difference.weight == "error"
        and difference.kind not in ("grant", *later)
        and not difference.name.endswith(f".{MARKER_TABLE}")
    ]


def refuse_differences(result: Result, later: Sequence[str] = ()) -> None:
    """Raises StepError where the databases do not hold the same."""
    wrong = schema_errors(result, later)
    if not wrong and not result.mismatches:
        return
    shown = [*wrong[:_SHOWN], *(str(difference) for difference in result.differences[:_SHOWN])]
    raise StepError(
        f"the databases differ: {result.mismatches} rows, {len(wrong)} differences of the schema: "
        + "; ".join(shown)
    )


def figures(parts: Mapping[str, float]) -> dict[str, float]:
    """Milliseconds, as they are reported."""
    return {f"{name}_ms": round(value, 3) for name, value in parts.items()}
