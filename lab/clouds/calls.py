"""How the calls of those who call the services went, from what their pods have written."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

CALLERS = ("automata", "invoice-exporter", "inner-app")
_FAILURES = ("lab.services.caller", "lab.services.inner_app")


def failed_calls(clusters: Path, since: float) -> dict[str, int]:
    """Failed calls of each caller, by cluster and name, in the logs of all pods that there were.

    `clusters`: the folder of the clusters' folders; `since` in seconds since the epoch.
    """
    found: dict[str, int] = {}
    for name in CALLERS:
        for path in sorted(clusters.glob(f"*/node/logs/*_{name}-*.log")):
            caller = f"{path.parents[2].name}/{name}"
            found[caller] = found.get(caller, 0) + count(path.read_text().splitlines(), since)
    return found


def count(lines: Iterable[str], since: float) -> int:
    """The lines that tell of a failed call: time, level, logger, text, as Python's logging writes them."""
    total = 0
    for line in lines:
        day, _, rest = line.partition(" ")
        clock, _, said = rest.partition(" ")
        level, _, logger = said.partition(" ")
        if level == "WARNING" and logger.startswith(_FAILURES):
            moment = datetime.strptime(f"{day} {clock}", "%Y-%m-%d %H:%M:%S,%f").astimezone()
            total += moment.timestamp() >= since
    return total
