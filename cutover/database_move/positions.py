"""How many transactions lie between two positions of a server."""

from __future__ import annotations

from cutover.errors import StepError


def transactions_between(before: str, after: str) -> int:
    """Of MariaDB (`0-30-17,40-40-3`) or of MySQL (`uuid:1-5:7`). Raises StepError for anything else."""
    old, new = _counts(before), _counts(after)
    return sum(max(0, count - old.get(name, 0)) for name, count in new.items())


def _counts(position: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in position.replace("\n", "").split(","))):
        try:
            if ":" in part:
                name, *intervals = part.split(":")
                found[name] = found.get(name, 0) + sum(map(_length, intervals))
            else:
                domain, _, number = part.split("-")
                found[domain] = int(number)
        except ValueError as error:
            raise StepError(f"expected a position by GTIDs, not {position!r}") from error
    return found


def _length(interval: str) -> int:
    first, _, last = interval.partition("-")
    if not first.isdigit():
        return 0  # a tag of MySQL 8.4's GTIDs: the intervals behind it count
    return int(last or first) - int(first) + 1
