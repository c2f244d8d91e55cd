"""What DNS answers for a domain."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Condition, Evidence
from cutover.context import Context
from cutover.ports import DnsAnswer, Side


@dataclass(frozen=True, kw_only=True)
class DnsSettled(Condition):
    """Every authoritative server answers a side's content, and caches of the answer before have run out."""

    domain: str
    side: Side
    seconds: float
    """How long the authoritative servers may take."""
    then_ttl: bool = True
    """Whether the TTL is waited for afterwards."""

    def describe(self) -> str:
        """See Condition."""
        after = ", for as long as its TTL" if self.then_ttl else ""
        return f"DNS answers the {self.side} for {self.domain}{after}"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        domain = context.environment.domain(self.domain)
        wanted = context.content(self.domain, self.side)
        answers: list[DnsAnswer] = []

        def look() -> tuple[bool, str]:
            answers[:] = context.dns.authoritative(self.domain, domain.type, domain.zone)
            seen = "; ".join(
                f"{a.server} says {', '.join(a.contents) or 'nothing'} (TTL {a.ttl} s)" for a in answers
            )
            return all(answer.contents == (wanted,) for answer in answers), f"{seen}; expected {wanted}"

        context.wait_for(f"DNS of {self.domain}", self.seconds, look)
        waited = 0
        if self.then_ttl:
            waited = max(answer.ttl for answer in answers)
            context.say(f"{self.domain} answers {wanted}; waiting {waited} s for its TTL")
            context.pause(waited)
        return {
            "content": wanted,
            "servers": [answer.server for answer in answers],
            "waited_ttl_seconds": waited,
        }
