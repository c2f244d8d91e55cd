"""Waiting until nobody calls the source by a name that leads nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cutover.actions.base import Evidence, Look
from cutover.actions.find_callers import CALLERS
from cutover.callers.access import read_services
from cutover.callers.find import Caller, find_callers
from cutover.callers.judge import holding, stale
from cutover.context import Context
from cutover.errors import StepError, StepTimeoutError

POLL_SECONDS = 5.0
MOST_FAILURES = 3
"""How many looks in a row may fail while people take their time: an answer may get lost in hours."""
HEARD_SECONDS = 15.0
"""How fresh a line of an access log must be to tell of somebody who still calls."""
HEARD_LINES = 5_000
"""How far back a pod's log is read for that."""


@dataclass(frozen=True)
class AwaitCallers(Look):
    """Looks at every cluster again, now; each caller that is left is named, and redirected or accepted."""

    clusters: tuple[str, ...]

    @property
    def asks(self) -> bool:
        """See Action."""
        return True

    @property
    def needs(self) -> tuple[str, ...]:
        """See Action."""
        return (CALLERS,)

    def describe(self) -> str:
        """See Action."""
        return (
            f"look again at {', '.join(self.clusters)}: whoever still calls the source by a name in its "
            "cluster is redirected, or accepted by name"
        )

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        return tuple(f"waits for {text}" for text in self._left(context)) or ("waits for nobody",)

    def apply(self, context: Context) -> Evidence:
        """Waits for the callers' owners. Raises StepError."""
        said = ""
        while left := self._looked(context):
            text = (
                f"these still call the source, which is about to be scaled to 0: {'; '.join(left)}. Redirect "
                "each to its domain and restart it; or approve, which accepts that these callers fail"
            )
            if text != said:
                context.say(f"{context.step} waits for callers ({len(left)}): {text}")
                context.say(
                    f"to accept them as they are: cutover approve {context.step} --as NAME --note TEXT"
                )
                said = text
            context.activity.note(f"waiting for callers: {'; '.join(left)}")
            if approval := context.approval(context.step, text):
                context.say(f"{context.step}: accepted by {approval.by}: {approval.note}")
                return {"accepted": list(left), "accepted_by": approval.by, "note": approval.note}
            context.pause(POLL_SECONDS)
        return {"accepted": [], "left": 0}

    def _looked(self, context: Context) -> tuple[str, ...]:
        """Who is left; a look that failed is repeated. Raises StepError."""
        for _ in range(MOST_FAILURES - 1):
            try:
                return self._left(context)
            except StepTimeoutError:
                raise
            except StepError as error:
                context.say(f"{context.step}: looked in vain, and looks again: {error}")
                context.pause(POLL_SECONDS)
        return self._left(context)

    def _left(self, context: Context) -> tuple[str, ...]:
        found = find_callers(context.environment, context.clusters)
        left = [str(caller) for caller in holding(found.callers, context.environment)]
        before = context.facts.values.get(CALLERS, {}).get("callers", ())
        left += self._heard(context, found.callers)
        for caller, reason in stale(before, found, context.environment, context.clusters):
            left.append(f"{caller.kind} {caller.namespace}/{caller.name} on {caller.cluster}: {reason}")
        return tuple(left)

    @staticmethod
    def _heard(context: Context, callers: Iterable[Caller]) -> list[str]:
        """Who asked by a name in the cluster a moment ago, and is told so by nothing that was read."""
        since = context.clock.now().timestamp() - HEARD_SECONDS
        seen = read_services(context.environment, context.clusters["source"], since, HEARD_LINES)
        named = " ".join(f"{caller.name} {caller.namespace}" for caller in callers)
        accepted = " ".join(item.name for item in context.environment.accepted_callers)
        return [
            f"somebody who says {client.agent!r}, at {client.address}, asked for {client.host} just now"
            for client in sorted(set(seen.requests))
            if not client.agent or client.agent not in f"{named} {accepted}"
        ]
