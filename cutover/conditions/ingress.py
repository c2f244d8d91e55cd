"""Whether a side's ingress serves a domain, over https with a verified certificate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from cutover.actions.base import Condition, Evidence
from cutover.context import Context
from cutover.errors import StepError
from cutover.ports import Side

_EXPIRED = "expired"
"""As the TLS library says it."""


@dataclass(frozen=True, kw_only=True)
class IngressServes(Condition):
    """A domain's health check is answered well at a side's ingress, several times in a row."""

    domain: str
    side: Side
    seconds: float
    answer_seconds: float
    certificate_days: int = 0
    """How long the certificate must still be valid."""
    in_a_row: int = 3

    def describe(self) -> str:
        """See Condition."""
        return f"the {self.side}'s ingress serves {self.domain} over https"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        address = context.content(self.domain, self.side)
        path = context.environment.domain(self.domain).health
        earliest = context.clock.now() + timedelta(days=self.certificate_days)
        good = 0

        def look() -> tuple[bool, str]:
            nonlocal good
            answer = context.web.ask(self.domain, path, address, self.answer_seconds)
            good = good + 1 if answer.good else 0
            if _EXPIRED in answer.certificate_problem:
                raise StepError(self._renew(f"has expired at {address}"))
            if not answer.good:
                return (
                    False,
                    f"https://{self.domain}{path} at {address}: {answer.error or f'status {answer.status}'}",
                )
            if answer.certificate_ends is not None and answer.certificate_ends < earliest:
                ends = f"ends on {answer.certificate_ends:%Y-%m-%d} at {address}"
                raise StepError(self._renew(f"{ends}, in less than {self.certificate_days} days"))
            return good >= self.in_a_row, f"answered with {answer.status}"

        seen = context.wait_for(f"{self.domain} at the {self.side}'s ingress", self.seconds, look)
        return {"address": address, "seen": seen}

    def _renew(self, what: str) -> str:
        """Waiting renews no certificate: so it is said at once."""
        return (
            f"the certificate of {self.domain} {what}: have it renewed on the {self.side}; then "
            "`cutover run` goes on"
        )
