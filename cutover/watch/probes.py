"""What both sides do right now, seen from where the page's server runs.

Users' requests are read from the access logs of both sides' ingress, the lag from the replication itself, and
health checks and DNS are asked. All of that is looked at beside the runner, goes on when the runner has died,
and changes nothing. Each kind is looked at in a thread of its own, so that one that hangs delays no other.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from cutover.context import Context
from cutover.database_move import Lag
from cutover.errors import CutoverError
from cutover.measure.series import Sample, SeriesFile
from cutover.measure.traffic import Traffic, TrafficMeter, percentile
from cutover.ports import Side, WebAnswer
from stacks.settings import DomainSettings

EVERY_SECONDS = 2.0
AGAIN_SECONDS = 20.0
"""Until what cannot be had is looked for again: it may take seconds to find that out."""
SIDES: tuple[Side, ...] = ("source", "target")
KEPT = 60
"""How many answers of a side are judged together."""
SHOWN = 150
"""How many samples a page shows: five minutes."""


@dataclass
class _Seen:
    """What one side answered for one domain, the newest last."""

    answers: deque[WebAnswer] = field(default_factory=lambda: deque(maxlen=KEPT))
    address: str = ""
    error: str = ""


class Probes:
    """Looks again and again until it is closed. `connect` gives what is asked with; it may take seconds."""

    def __init__(
        self, connect: Callable[[Callable[[], bool]], Context], file: SeriesFile | None = None
    ) -> None:
        """`file`: where samples are kept for the report."""
        self._connect = connect
        self._file = file
        self._context: Context | None = None
        self._connecting = threading.Lock()
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, Side], _Seen] = {}
        self._dns: dict[str, str] = {}
        self._error = ""
        self._meters: dict[Side, TrafficMeter] = {}
        self._traffic: dict[Side, Traffic | str] = {}
        self._lag: Lag | str = "not looked at yet"
        self._samples: deque[Sample] = deque(file.recent(SHOWN) if file else (), maxlen=SHOWN)
        self._ended = threading.Event()
        self._looks: dict[str, Callable[[], bool]] = {
            "answers": self.look_at_answers,
            **{f"traffic-{side}": partial(self.look_at_traffic, side) for side in SIDES},
            "lag": self.look_at_lag,
        }

    def start(self) -> None:
        """Begins to look."""
        for name, look in self._looks.items():
            threading.Thread(target=self._run, args=(look,), name=name, daemon=True).start()
        threading.Thread(target=self._sample, name="samples", daemon=True).start()

    def close(self) -> None:
        """Ends it."""
        self._ended.set()

    def found(self) -> dict[str, Any]:
        """For the page."""
        with self._lock:
            rows = [
                {"domain": domain, "side": side, "dns": self._dns.get(domain, ""), **_row(seen)}
                for (domain, side), seen in self._seen.items()
            ]
            return {
                "error": self._error,
                "rows": rows,
                "traffic": {side: _traffic(found) for side, found in self._traffic.items()},
                "lag": _lag(self._lag),
                "history": [sample.compact() for sample in self._samples],
            }

    def sample(self, at: float) -> Sample:
        """What is known at a time, in seconds since 1970."""
        with self._lock:
            traffic = {side: found for side, found in self._traffic.items() if isinstance(found, Traffic)}
            lag = self._lag if isinstance(self._lag, Lag) else None
        return Sample.of(at, traffic, lag)

    def look(self) -> None:
        """Looks at everything once."""
        for look in self._looks.values():
            look()

    def look_at_answers(self) -> bool:
        """Health checks and DNS; False where nobody can be asked."""
        if (context := self._connected()) is None:
            return False
        for domain in context.environment.domains:
            answered = _dns(context, domain)
            with self._lock:
                self._dns[domain.name] = answered
            for side, seen in self._asked(context, domain):
                with self._lock:
                    self._seen[domain.name, side] = seen
        return True

    def look_at_traffic(self, side: Side) -> bool:
        """The users' requests at a side; False where they cannot be told."""
        if (context := self._connected()) is None:
            return False
        environment = context.environment
        ingress = environment.source_ingress if side == "source" else environment.target_ingress
        if ingress is None:
            found: Traffic | str = f"the settings name no {side}_ingress, whose access log tells of requests"
        else:
            cluster, clock = context.clusters[side], context.clock
            meter = self._meters.get(side) or TrafficMeter(environment, cluster, ingress, clock)
            self._meters[side] = meter
            try:
                found = meter.look()
            except CutoverError as error:
                found = str(error)
        with self._lock:
            self._traffic[side] = found
        return isinstance(found, Traffic)

    def look_at_lag(self) -> bool:
        """How far the replica is behind; False where nothing replicates."""
        if (context := self._connected()) is None:
            return False
        if context.database_move is None:
            found: Lag | str = "the settings move no database"
        else:
            try:
                found = context.database_move.lag()
            except CutoverError as error:
                found = str(error)
        with self._lock:
            self._lag = found
        return isinstance(found, Lag) and found.state == "running"

    def _connected(self) -> Context | None:
        with self._connecting:
            try:
                if self._context is None:
                    self._context = self._connect(self._ended.is_set)
            except CutoverError as error:
                with self._lock:
                    self._error = str(error)
                return None
        with self._lock:
            self._error = ""
        return self._context

    def _asked(self, context: Context, domain: DomainSettings) -> Iterator[tuple[Side, _Seen]]:
        timeout = context.environment.cutover.health_checks.timeout_ms / 1000
        for side in SIDES:
            seen = self._seen.get((domain.name, side)) or _Seen()
            try:
                if not seen.address:  # the target's comes from a stack, which takes seconds to ask
                    seen.address = context.content(domain.name, side)
                answer = context.web.ask(domain.name, domain.health, seen.address, timeout)
            except CutoverError as error:
                yield side, _Seen(seen.answers, seen.address, str(error))
            else:
                yield side, _Seen(deque([*seen.answers, answer], KEPT), seen.address)

    def _run(self, look: Callable[[], bool]) -> None:
        while not self._ended.is_set():
            try:
                good = look()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is said, and looked at again
                good = False
                with self._lock:
                    self._error = f"{type(error).__name__}: {error}"
            self._ended.wait(EVERY_SECONDS if good else AGAIN_SECONDS)

    def _sample(self) -> None:
        while not self._ended.wait(EVERY_SECONDS):
            if self._context is None:
                continue
            sample = self.sample(self._context.clock.now().timestamp())
            with self._lock:
                self._samples.append(sample)
            if self._file is not None:
                self._file.write(sample)


def _row(seen: _Seen) -> dict[str, Any]:
    if seen.error or not seen.answers:
        return {
            "says": seen.error or "not asked yet",
            "good": False,
            "p50": 0,
            "p99": 0,
            "failed": 0,
            "of": 0,
        }
    last = seen.answers[-1]
    good = sorted(answer.seconds * 1000 for answer in seen.answers if answer.good)
    return {
        "says": str(last.status) if last.status is not None else last.error,
        "good": last.good,
        "p50": percentile(good, 0.5) or 0,
        "p99": percentile(good, 0.99) or 0,
        "failed": len(seen.answers) - len(good),
        "of": len(seen.answers),
    }


def _traffic(found: Traffic | str) -> Mapping[str, Any]:
    if isinstance(found, str):
        return {"error": found}
    return {
        "rate": round(found.rate, 1),
        "failed": found.failed,
        "requests": found.requests,
        "seconds": round(found.seconds, 1),
        "p50": found.p50_ms,
        "p99": found.p99_ms,
    }


def _lag(found: Lag | str) -> Mapping[str, Any]:
    if isinstance(found, str):
        return {"error": found}
    return {
        "direction": found.direction,
        "state": found.state,
        "detail": found.detail,
        "seconds": found.seconds,
    }


def _dns(context: Context, domain: DomainSettings) -> str:
    try:
        answers = context.dns.authoritative(domain.name, domain.type, domain.zone)
    except CutoverError as error:
        return str(error)
    said = dict.fromkeys(
        f"{', '.join(answer.contents) or 'nothing'} (TTL {answer.ttl} s)" for answer in answers
    )
    return " or ".join(said)
