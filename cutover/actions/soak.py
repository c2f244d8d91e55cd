"""Watching a stage for a while: what goes beyond the limits undoes the stage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cutover.actions.base import Evidence, Look
from cutover.context import Context
from cutover.errors import BreachError
from cutover.ports import WebAnswer

MINIMUM = 2
"""Bad answers before a share is judged: a single one of a few is no rate."""


@dataclass(frozen=True, kw_only=True)
class Soak(Look):
    """Asks a domain's health over https: by its name, and at both sides' ingress."""

    domains: tuple[str, ...]
    seconds: float
    interval_seconds: float
    answer_seconds: float
    """How long one answer may take."""
    max_error_rate: float
    max_p99_ms: float

    def describe(self) -> str:
        """See Action."""
        limits = f"at most {self.max_error_rate:.1%} failed, 99 % answered within {self.max_p99_ms:g} ms"
        return (
            f"watch the health of {', '.join(self.domains)} for {self.seconds:g} s: {limits}; otherwise the "
            "stage is undone"
        )

    def apply(self, context: Context) -> Evidence:
        """Raises BreachError."""
        ways = [
            (name, where, address)
            for name in self.domains
            for where, address in (
                ("by name", None),
                ("at the target", context.content(name, "target")),
                ("at the source", context.content(name, "source")),
            )
        ]
        answers: dict[str, list[WebAnswer]] = {f"{name} {where}": [] for name, where, _ in ways}
        until = context.clock.monotonic() + self.seconds
        while True:
            for name, where, address in ways:
                path = context.environment.domain(name).health
                answer = context.web.ask(name, path, address, self.answer_seconds)
                answers[f"{name} {where}"].append(answer)
            if breach := self.judge(answers):
                raise BreachError(breach)
            if context.clock.monotonic() >= until:
                break
            context.pause(min(self.interval_seconds, max(0.0, until - context.clock.monotonic())))
        return {
            "watched_seconds": self.seconds,
            "answers": {way: _figures(seen) for way, seen in answers.items()},
        }

    def judge(self, answers: dict[str, list[WebAnswer]]) -> str:
        """What is beyond the limits; empty where nothing is."""
        for way, seen in answers.items():
            failed = [answer for answer in seen if not answer.good]
            if len(failed) >= MINIMUM and len(failed) / len(seen) > self.max_error_rate:
                last = failed[-1].error or f"status {failed[-1].status}"
                return (
                    f"{way}: {len(failed)} of {len(seen)} health checks failed, more than "
                    f"{self.max_error_rate:.1%}; the last: {last}"
                )
            slow = [answer for answer in seen if answer.good and answer.seconds * 1000 > self.max_p99_ms]
            if len(slow) >= MINIMUM and len(slow) / len(seen) > 0.01:
                return f"{way}: {len(slow)} of {len(seen)} answers took longer than {self.max_p99_ms:g} ms"
        return ""


def percentile_ms(seconds: Sequence[float], share: float) -> float:
    """The nearest-rank percentile in milliseconds; 0 for nothing."""
    if not seconds:
        return 0.0
    return sorted(seconds)[max(0, math.ceil(share * len(seconds)) - 1)] * 1000


def _figures(seen: Sequence[WebAnswer]) -> dict[str, float]:
    good = [answer.seconds for answer in seen if answer.good]
    return {
        "asked": len(seen),
        "failed": len(seen) - len(good),
        "p50_ms": round(percentile_ms(good, 0.5), 1),
        "p99_ms": round(percentile_ms(good, 0.99), 1),
    }
