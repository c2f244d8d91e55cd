"""When requests were held, or writes refused, while the database was switched, as the journal says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from cutover.journal import read_journal


def parked(journal: Path) -> Iterator[tuple[float, float]]:
    """From when to when, in seconds since the epoch, of each switch that came to its end, there or back."""
    for record in read_journal(journal).records:
        evidence = record.data.get("evidence") or {}
        if record.kind == "outcome" and "parked" in evidence:
            begun, ended = evidence["parked"]
            yield float(begun), float(ended)


def refused(journal: Path) -> Iterator[tuple[float, float]]:
    """The same of switches by restarts: until the last service was restarted; back: from the first one on."""
    begun: float | None = None
    for record in read_journal(journal).records:
        step, data = record.data.get("step"), record.data
        if step == "services-back" and record.kind == "intent" and data["direction"] == "back":
            begun = begun or _seconds(record.at)
        if record.kind != "outcome" or data["result"] != "done":
            continue
        switched = (data.get("evidence") or {}).get("refused")
        if switched and data["direction"] == "forward":
            begun = float(switched[0])
        elif begun is not None and (switched or step == "restart-services"):
            yield begun, float(switched[1]) if switched else _seconds(record.at)
            begun = None


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()
