"""A row of the fault table: its parts, each with cases that are run side by side, and what of them held."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any

PROCESSES = min(2, os.cpu_count() or 1)
_SHOWN = 5


@dataclass
class Part:
    """Cases of one kind."""

    how: str
    """On what they are run: the simulation, real processes, real databases."""
    cases: int = 0
    held: int = 0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)
    """The first cases that did not hold, each with how to run it again."""
    not_run: str = ""
    """Why it was not run; empty where it was."""

    def count(self, failure: str) -> None:
        """One more case; empty where it held."""
        self.cases += 1
        if not failure:
            self.held += 1
        elif len(self.failures) < _SHOWN:
            self.failures.append(failure)

    @property
    def holds(self) -> bool:
        """Whether there were cases, and all of them held."""
        return bool(self.cases) and self.held == self.cases and not self.not_run

    def figures(self) -> dict[str, Any]:
        """For the report."""
        found: dict[str, Any] = {
            "how": self.how, "cases": self.cases, "held": self.held, "seconds": round(self.seconds, 1),
        }  # fmt: skip
        if self.failures:
            found["failures"] = self.failures
        if self.not_run:
            found["not_run"] = self.not_run
        return found


@dataclass
class Row:
    """What was seen of a fault."""

    fault: str
    parts: list[Part] = field(default_factory=list)

    @property
    def cases(self) -> int:
        """Of all parts."""
        return sum(part.cases for part in self.parts)

    @property
    def held(self) -> int:
        """Of all parts."""
        return sum(part.held for part in self.parts)

    @property
    def seconds(self) -> float:
        """Of all parts."""
        return sum(part.seconds for part in self.parts)

    @property
    def holds(self) -> bool:
        """Whether every part was run and holds."""
        return bool(self.parts) and all(part.holds for part in self.parts)

    def lines(self) -> Iterator[str]:
        """For the terminal: the row, its parts where there are several, and what did not hold."""
        several = len(self.parts) > 1
        how = f"{len(self.parts)} parts:" if several else "".join(part.how for part in self.parts)
        yield _line(self.fault, self.cases, self.held, self.seconds, how, holds=self.holds)
        for part in self.parts:
            if several:
                yield _line("", part.cases, part.held, part.seconds, f"  {part.how}", holds=part.holds)
            if part.not_run:
                yield f"    not run: {part.not_run}"
            yield from (f"    {failure}" for failure in part.failures)

    def report(self) -> dict[str, Any]:
        """For the report."""
        return {
            "fault": self.fault, "cases": self.cases, "held": self.held, "seconds": round(self.seconds, 1),
            "parts": [part.figures() for part in self.parts],
        }  # fmt: skip


HEADING = f"{'fault':30} {'cases':>8} {'held':>8} {'seconds':>8}  how"


def _line(name: str, cases: int, held: int, seconds: float, how: str, *, holds: bool) -> str:
    mark = "" if holds else "  <-- DOES NOT HOLD"
    return f"{name:30} {cases:>8,} {held:>8,} {seconds:>8.1f}  {how}{mark}"


def run_cases(
    how: str,
    check: Callable[..., str],
    cases: Iterable[tuple[Any, ...]],
    *,
    processes: int = PROCESSES,
    say: Callable[[str], None] = lambda _: None,
) -> Part:
    """Runs `check(*case)` for each, which returns what is wrong; some at a time."""
    part = Part(how)
    begun = said = time.monotonic()
    for failure in results(check, list(cases), processes):
        part.count(failure)
        if time.monotonic() - said > 5:
            said = time.monotonic()
            say(f"{how}: {part.cases} cases, {part.held} held")
    part.seconds = time.monotonic() - begun
    return part


def results(
    check: Callable[..., str], cases: Sequence[tuple[Any, ...]], processes: int = PROCESSES
) -> Iterator[str]:
    """What `check(*case)` says of each, in their order."""
    if processes == 1:
        for case in cases:
            yield check(*case)
        return
    # not forked from here, where other parts of the table may run in threads
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.rows"])
    # what computes leaves the cores to what keeps a deadline
    with ProcessPoolExecutor(processes, context, initializer=os.nice, initargs=(10,)) as pool:
        size = max(1, min(20, len(cases) // (processes * 4)))
        yield from pool.map(_Spread(check), cases, chunksize=size)


@dataclass(frozen=True)
class _Spread:
    """A check that takes its arguments as one."""

    check: Callable[..., str]

    def __call__(self, case: tuple[Any, ...]) -> str:
        return self.check(*case)
