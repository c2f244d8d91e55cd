"""A row of the fault table: its cases, run side by side, and what of them held."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

PROCESSES = min(2, os.cpu_count() or 1)
_SHOWN = 5


@dataclass
class Row:
    """What was seen of a fault."""

    fault: str
    cases: int = 0
    held: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    """The first cases that did not hold, each with how to run it again."""
    how: str = ""
    """On what the cases were run: the simulation, real processes, real databases."""
    not_run: str = ""
    """Why it was not run; empty where it was."""

    def count(self, failure: str) -> None:
        """One more case; empty where it held."""
        self.cases += 1
        if not failure:
            self.held += 1
        elif len(self.failures) < _SHOWN:
            self.failures.append(failure)

    def line(self) -> str:
        """For the terminal."""
        if self.not_run:
            return f"{self.fault:34} not run: {self.not_run}"
        mark = "" if self.held == self.cases and self.cases else "  <-- DOES NOT HOLD"
        return f"{self.fault:34} {self.cases:>7} {self.held:>7} {self.seconds:>8.1f}  {self.how}{mark}"

    def report(self) -> dict[str, Any]:
        """For the report."""
        found: dict[str, Any] = {
            "fault": self.fault, "cases": self.cases, "held": self.held, "seconds": round(self.seconds, 1),
            "how": self.how,
        }  # fmt: skip
        if self.failures:
            found["failures"] = self.failures
        if self.not_run:
            found["not_run"] = self.not_run
        return found


def run_cases(
    fault: str,
    how: str,
    check: Callable[..., str],
    cases: Iterable[tuple[Any, ...]],
    *,
    processes: int = PROCESSES,
    say: Callable[[str], None] = lambda _: None,
) -> Row:
    """Runs `check(*case)` for each, which returns what is wrong; some at a time."""
    row = Row(fault, how=how)
    begun = said = time.monotonic()
    for failure in _results(check, list(cases), processes):
        row.count(failure)
        if time.monotonic() - said > 5:
            said = time.monotonic()
            say(f"{fault}: {row.cases} cases, {row.held} held")
    row.seconds = time.monotonic() - begun
    return row


def _results(check: Callable[..., str], cases: list[tuple[Any, ...]], processes: int) -> Iterator[str]:
    if processes == 1:
        for case in cases:
            yield check(*case)
        return
    with ProcessPoolExecutor(processes) as pool:
        size = max(1, min(20, len(cases) // (processes * 4)))
        yield from pool.map(_Spread(check), cases, chunksize=size)


@dataclass(frozen=True)
class _Spread:
    """A check that takes its arguments as one."""

    check: Callable[..., str]

    def __call__(self, case: tuple[Any, ...]) -> str:
        return self.check(*case)
