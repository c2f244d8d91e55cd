"""The versions by which a database gets to another major one, from what AWS offers for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

_MOST_UPGRADES = 4


@dataclass(frozen=True)
class Offer:
    """A version that AWS upgrades to."""

    version: str
    is_major: bool


def major(version: str) -> str:
    """The major version: `8.0` of `8.0.39`, `15` of `15.4`."""
    parts = version.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 or int(parts[0]) < 10 else parts[0]


def number(version: str) -> tuple[int, ...]:
    """A version to be compared by; letters in it count as 0."""
    return tuple(int(part) if part.isdigit() else 0 for part in version.replace("-", ".").split("."))


def upgrade_path(version: str, wanted: str, offers: Callable[[str], Sequence[Offer]]) -> tuple[Offer, ...]:
    """The fewest upgrades from a version to a major one, each to the newest there is; empty: no way.

    Never goes beyond the wanted version.
    """
    paths: list[tuple[Offer, ...]] = [()]
    seen = {version}
    for _ in range(_MOST_UPGRADES):
        longer: list[tuple[Offer, ...]] = []
        for path in paths:
            here = path[-1].version if path else version
            for offer in sorted(offers(here), key=lambda offer: number(offer.version), reverse=True):
                if offer.version in seen or number(major(offer.version)) > number(wanted):
                    continue
                seen.add(offer.version)
                longer.append((*path, offer))
        arrived = [path for path in longer if major(path[-1].version) == wanted]
        if arrived:
            return max(arrived, key=lambda path: number(path[-1].version))
        paths = longer
    return ()
