"""What became of the writes, given what a database holds: lost, duplicated, or found of those unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lab.soak.log import Write


@dataclass
class Fate:
    """Counts of writes of one kind."""

    acknowledged: int = 0
    lost: int = 0
    duplicated: int = 0
    unknown: int = 0
    """Whose answer was lost."""
    unknown_done: int = 0
    """Those of them that had been done."""
    examples: list[str] = field(default_factory=list)
    """Of what was lost or duplicated."""

    def wrong(self, text: str) -> None:
        """Keeps a few."""
        if len(self.examples) < 10:
            self.examples.append(text)


def inserts(writes: Iterable[Write], held: Iterable[int]) -> Fate:
    """Each value was written by one write: it is to be there once if it was acknowledged."""
    there = Counter(held)
    fate = Fate()
    known = 0
    for write in writes:
        count = there.get(write.value, 0)
        known += count
        if write.outcome == "acknowledged":
            fate.acknowledged += 1
            if not count:
                fate.lost += 1
                fate.wrong(f"lost: value {write.value} of writer {write.place}")
        else:
            fate.unknown += 1
            fate.unknown_done += bool(count)
        if count > 1:
            fate.duplicated += count - 1
            fate.wrong(f"duplicated: value {write.value} of writer {write.place}, {count} times")
    if (nobody := sum(there.values()) - known) > 0:
        fate.duplicated += nobody
        fate.wrong(f"{nobody} rows that nobody wrote")
    return fate


def swaps(writes: Iterable[Write], registers: Mapping[int, int]) -> Fate:
    """The swaps of a register are a chain, from 0 to what it holds: each acknowledged one is a link of it.

    Two that took the place of the same value cannot both be: one of the two is lost, as one side did not know
    of the other.
    """
    fate = Fate()
    chains: dict[int, dict[int, list[Write]]] = {register: {} for register in registers}
    for write in writes:
        chains.setdefault(write.place, {}).setdefault(write.before, []).append(write)
        if write.outcome == "acknowledged":
            fate.acknowledged += 1
        else:
            fate.unknown += 1
    for register, after in chains.items():
        made = {write.value: write for found in after.values() for write in found}
        value, links = registers.get(register, 0), 0
        while value and value in made:  # from its end, as each value was written by one write
            write = made.pop(value)
            fate.unknown_done += write.outcome == "unknown"
            value, links = write.before, links + 1
        if value:
            fate.duplicated += 1
            fate.wrong(f"register {register}: {value} was written by nobody, or twice")
        for write in made.values():
            if write.outcome == "acknowledged":
                fate.lost += 1
                fate.wrong(f"lost: register {register}, {write.before} for {write.value}")
    return fate
