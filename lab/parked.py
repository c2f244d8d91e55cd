"""When requests were held while the database was switched, as the journal says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cutover.journal import read_journal


def parked(journal: Path) -> Iterator[tuple[float, float]]:
    """From when to when, in seconds since the epoch, of each switch that came to its end, there or back."""
    for record in read_journal(journal).records:
        evidence = record.data.get("evidence") or {}
        if record.kind == "outcome" and "parked" in evidence:
            begun, ended = evidence["parked"]
            yield float(begun), float(ended)
