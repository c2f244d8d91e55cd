"""What both sides answer right now, seen from where the page's server runs: health, latency and DNS.

It looks by itself, beside the runner, and goes on when the runner has died. It changes nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cutover.actions.soak import percentile_ms
from cutover.context import Context
from cutover.errors import CutoverError
from cutover.ports import Side, WebAnswer
from stacks.settings import DomainSettings

EVERY_SECONDS = 2.0
SIDES: tuple[Side, ...] = ("source", "target")
KEPT = 60
"""How many answers of a side are judged together."""


@dataclass
class _Seen:
    """What one side answered for one domain, the newest last."""

    answers: deque[WebAnswer] = field(default_factory=lambda: deque(maxlen=KEPT))
    address: str = ""
    error: str = ""


class Probes:
    """Asks again and again until it is closed. `connect` gives what is asked with; it may take seconds."""

    def __init__(self, connect: Callable[[Callable[[], bool]], Context]) -> None:
        self._connect = connect
        self._context: Context | None = None
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, Side], _Seen] = {}
        self._dns: dict[str, str] = {}
        self._error = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="probes", daemon=True)

    def start(self) -> None:
        """Begins to ask."""
        self._thread.start()

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
            return {"error": self._error, "rows": rows}

    def look(self) -> None:
        """Asks everything once."""
        try:
            if self._context is None:
                self._context = self._connect(self._ended.is_set)
            context = self._context
        except CutoverError as error:
            with self._lock:
                self._error = str(error)
            return
        for domain in context.environment.domains:
            answered = _dns(context, domain)
            with self._lock:
                self._error, self._dns[domain.name] = "", answered
            for side, seen in self._asked(context, domain):
                with self._lock:
                    self._seen[domain.name, side] = seen

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

    def _run(self) -> None:
        while not self._ended.is_set():
            self.look()
            self._ended.wait(EVERY_SECONDS)


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
    good = [answer.seconds for answer in seen.answers if answer.good]
    return {
        "says": str(last.status) if last.status is not None else last.error,
        "good": last.good,
        "p50": round(percentile_ms(good, 0.5), 1),
        "p99": round(percentile_ms(good, 0.99), 1),
        "failed": len(seen.answers) - len(good),
        "of": len(seen.answers),
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
