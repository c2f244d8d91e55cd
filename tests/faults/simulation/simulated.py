"""What every simulated world has in common: a plan's runners, faults and rules know no more of it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cutover.context import Context
from cutover.history import FORWARD
from tests.faults.simulation.kernel import Kernel, Life
from tests.faults.simulation.machine import Disk, SimulatedClock
from tests.faults.simulation.outside import Call, Fault, Outside
from tests.faults.simulation.rules import Rules
from tests.faults.simulation.team import Entry


@dataclass(frozen=True)
class Goal:
    """Where the operator wants to go."""

    direction: str
    until: str | None

    def __str__(self) -> str:
        return (
            f"{self.direction} to {self.until or ('the end' if self.direction == FORWARD else 'the start')}"
        )


@dataclass(frozen=True)
class Figures:
    """What clients saw."""

    writes: int = 0
    excused: int = 0
    """Requests that were refused while a switch was broken off and no runner was there to end it."""
    longest_held: float = 0.0


class Simulated(Protocol):
    """A world."""

    kernel: Kernel
    outside: Outside
    simulated_clock: SimulatedClock
    disk: Disk
    lives: list[Life]
    entry: Entry
    """The team's lease."""

    def build(self, kernel: Kernel, faults: list[Fault], seed: int, folder: Path) -> None:
        """Readies it."""

    @property
    def rules(self) -> Rules:
        """Its invariants."""

    def inside(self) -> AbstractContextManager[None]:
        """What stands around its runners."""

    def port_context(self, folder: Path) -> Context:
        """A runner's ways out."""

    @property
    def step(self) -> str:
        """What the last runner works on."""

    def before(self, call: Call, life: Life | None) -> None:
        """See outside.World."""

    def passed(self) -> None:
        """Somebody has waited."""

    def heed(self, said: str) -> None:
        """A run halted, and says what a person has to do: it is done."""

    def at_the_end(self, goal: Goal, end: str) -> None:
        """Breaks a rule where it is not as it must be once the last goal is reached."""

    @property
    def figures(self) -> Figures:
        """What its clients saw."""

    @property
    def state(self) -> Any:
        """What may be compared between two runs."""
