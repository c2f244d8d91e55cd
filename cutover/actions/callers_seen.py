"""Whether those who called before the move call after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cutover.actions.base import Evidence, Look
from cutover.actions.find_callers import CALLERS
from cutover.callers.access import read_ingress
from cutover.context import Context
from cutover.errors import StepTimeoutError


@dataclass(frozen=True, kw_only=True)
class CallersSeen(Look):
    """Waits until each caller of before is in the access log of the target's ingress, or names it."""

    seconds: float
    """How long they are waited for."""

    @property
    def needs(self) -> tuple[str, ...]:
        """See Action."""
        return (CALLERS,)

    def describe(self) -> str:
        """See Action."""
        return (
            "look for each caller that was seen before the move in the access log of the target's ingress; "
            f"name those that do not come within {self.seconds:g} s"
        )

    def apply(self, context: Context) -> Evidence:
        """A caller that comes once a day is named, which is no reason to go back. Raises StepError."""
        expected = expected_agents(context.facts.recall(CALLERS))
        ingress = context.environment.target_ingress
        if ingress is None:
            return self._named(context, {}, expected, "the settings name no target_ingress")
        found: dict[str, int] = {}

        def look() -> tuple[bool, str]:
            seen = read_ingress(context.environment, context.clusters["target"], ingress)
            found.clear()
            for client, requests in seen.requests.items():
                found[client.agent] = found.get(client.agent, 0) + requests
            left = _missing(expected, found)
            return not left, f"not seen yet: {', '.join(left)}"

        try:
            context.wait_for("the callers to be seen at the target", self.seconds, look)
        except StepTimeoutError:
            context.remaining()  # the step's own limit is another matter
        return self._named(context, found, expected, f"not in its access log within {self.seconds:g} s")

    def _named(
        self, context: Context, found: dict[str, int], expected: dict[str, str], reason: str
    ) -> Evidence:
        callers = [
            {"caller": name, "before": before, "after": _after(name, found)}
            for name, before in sorted(expected.items())
        ]
        missing = [f"{name} ({expected[name]}): {reason}" for name in _missing(expected, found)]
        for text in missing:
            context.say(f"NOT SEEN after the move: {text}")
        return {"callers": callers, "not_seen": missing}


def expected_agents(fact: dict[str, Any]) -> dict[str, str]:
    """Whom to look for, with where each was found: those seen in access logs, and those who were told."""
    expected: dict[str, str] = {}
    for part in ("seen", "seen_in_cluster"):
        for client in fact.get(part, {}).get("clients", ()):
            if client["agent"] not in ("", "landfall"):
                expected.setdefault(client["agent"], f"asked for {client['host']}")
    for caller in fact["callers"]:
        # one that is known by its User-Agent as well is looked for once
        if not any(_same(caller["name"], agent) for agent in expected):
            expected[caller["name"]] = f"{caller['kind']} {caller['namespace']}/{caller['name']}"
    return expected


def _missing(expected: dict[str, str], found: dict[str, int]) -> list[str]:
    return sorted(name for name in expected if not any(_same(name, agent) for agent in found))


def _after(name: str, found: dict[str, int]) -> int:
    return sum(count for agent, count in found.items() if _same(name, agent))


def _same(name: str, agent: str) -> bool:
    """Whether a workload's name and a product's are one's, such as `kodo-billing-report` and `kodo`."""
    short, long = sorted((name.lower(), agent.lower()), key=len)
    return bool(short) and (long == short or long.startswith(f"{short}-"))
