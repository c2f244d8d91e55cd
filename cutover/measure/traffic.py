"""The users' own requests, from the access log of a side's ingress: how many, how fast, how many failed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cutover.callers.access import Request, ingress_lines, requests_of
from cutover.clock import Clock
from cutover.ports import Cluster
from stacks.settings import Environment, SourceIngress

WINDOW_SECONDS = 10.0
"""The time that one figure is about."""
FIRST_LINES, MOST_LINES, MARGIN = 500, 20_000, 1.25
"""How much of a pod's log is asked for: what the window held last with a margin, within these."""
OWN = "landfall"
"""The User-Agent of the cutover's own health checks, which are no user's."""
ERRORS = 500
"""A status from here on is a failure of ours; what is below is an answer."""


@dataclass(frozen=True)
class Traffic:
    """The requests that an ingress answered within the last `seconds`."""

    requests: int
    failed: int
    """Answered with 5xx."""
    p50_ms: float | None
    p99_ms: float | None
    seconds: float
    """What the figures are about: the window, or less where the log did not reach so far."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds if self.seconds else 0.0


class TrafficMeter:
    """Reads the end of the logs of one side's ingress again and again. One thread at a time may use it."""

    def __init__(
        self, environment: Environment, cluster: Cluster, ingress: SourceIngress, clock: Clock
    ) -> None:
        self._environment = environment
        self._cluster = cluster
        self._ingress = ingress
        self._clock = clock
        self._asked = FIRST_LINES

    def look(self) -> Traffic:
        """What was answered in the window that ends now. Raises StepError."""
        asked, now = self._asked, self._clock.now().timestamp()
        begin = now - WINDOW_SECONDS
        found: list[Request] = []
        covered, most = WINDOW_SECONDS, 0
        for lines in ingress_lines(self._cluster, self._ingress, asked):
            requests = [item for item in requests_of(self._environment, lines) if item.moment]
            inside = [item for item in requests if item.moment > begin]
            found += (item for item in inside if item.client.agent != OWN)
            if len(lines) >= asked and len(inside) == len(requests) > 0:
                # the log goes further back than what was asked for: what is seen is the end of the window
                covered = min(covered, max(0.1, now - min(item.moment for item in inside)))
                most = max(most, 2 * asked)
            elif requests:
                most = max(most, math.ceil(len(lines) * len(inside) / len(requests)))
        self._asked = min(MOST_LINES, max(FIRST_LINES, math.ceil(MARGIN * most)))
        return summary([item for item in found if item.moment > now - covered], covered)


def summary(requests: Sequence[Request], seconds: float) -> Traffic:
    """The figures of some requests."""
    took = sorted(item.seconds * 1000 for item in requests if item.seconds is not None)
    return Traffic(
        requests=len(requests),
        failed=sum(item.status >= ERRORS for item in requests),
        p50_ms=percentile(took, 0.5),
        p99_ms=percentile(took, 0.99),
        seconds=seconds,
    )


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The nearest rank."""
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 1) if ordered else None
