"""Remembering how the source was before anything is changed: replica counts and TTLs."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Action, Evidence, Look, Observation
from cutover.actions.flip_stack import Expected, Flip, flip
from cutover.context import Context
from cutover.errors import StepError

REPLICAS = "replicas"
"""The fact: replica counts by `namespace/name`."""
TTLS = "ttls"
"""The fact: seconds by domain, as DNS answered them before they were lowered."""


@dataclass(frozen=True, kw_only=True)
class RememberReplicas(Look):
    """Writes the source's replica counts into the journal; declares some in its stack as they are."""

    workloads: tuple[str, ...]
    """All whose counts are remembered, as `namespace/name`."""
    declared: tuple[str, ...]
    """Those that the source's stack will change later."""
    expected: tuple[Expected, ...]

    @property
    def gives(self) -> tuple[str, ...]:
        """See Action."""
        return (REPLICAS,)

    def describe(self) -> str:
        """See Action."""
        return f"remember the source's replica counts of {', '.join(self.workloads)}"

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        return tuple(f"remember {key}: {count}" for key, count in self._counts(context).items())

    def apply(self, context: Context) -> Evidence:
        """Raises StepError where a workload is absent, changing, or at 0."""
        counts = self._counts(context)
        context.facts.remember(REPLICAS, counts)
        values: list[tuple[Flip, str | int]] = [
            (Flip(key=REPLICAS, item=key, forward=counts[key], back=counts[key]), counts[key])
            for key in self.declared
        ]
        return {REPLICAS: counts, **flip(context, "source", values, self.expected, back=False)}

    def repair(self, context: Context) -> None:
        """See FlipStack."""
        for cleared in context.stacks.repair(context.stack("source")):
            context.say(f"{context.stack('source')}: cleared {cleared}")

    def _counts(self, context: Context) -> dict[str, int]:
        counts: dict[str, int] = {}
        problems = []
        for key in self.workloads:
            state = context.clusters["source"].workload(context.environment.workload(key))
            counts[key] = state.wanted
            if state.wanted == 0:
                problems.append(f"{key} has 0 replicas: it was moved already, or nobody uses it")
            elif not state.settled:
                problems.append(f"{key} is not settled: {state}")
        if problems:
            raise StepError(f"replica counts of the source cannot be taken: {'; '.join(problems)}")
        return counts


@dataclass(frozen=True)
class RememberTtls(Action):
    """Writes the TTLs that DNS answers now into the journal."""

    domains: tuple[str, ...]

    @property
    def gives(self) -> tuple[str, ...]:
        """See Action."""
        return (TTLS,)

    def describe(self) -> str:
        """See Action."""
        return f"remember the TTL that DNS answers for {', '.join(self.domains)}"

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        return tuple(f"remember {domain}: {ttl} s" for domain, ttl in self._ttls(context).items())

    def observe(self, context: Context) -> Observation:
        """A TTL that was remembered is kept: by now it may have been lowered."""
        if TTLS in context.facts.values:
            return Observation("done", f"remembered: {context.facts.values[TTLS]}")
        return Observation("not done", "not remembered yet")

    def apply(self, context: Context) -> Evidence:
        """See Action."""
        ttls = self._ttls(context)
        context.facts.remember(TTLS, ttls)
        return {TTLS: ttls}

    def _ttls(self, context: Context) -> dict[str, int]:
        found = {}
        for name in self.domains:
            domain = context.environment.domain(name)
            answers = context.dns.authoritative(name, domain.type, domain.zone)
            found[name] = max(answer.ttl for answer in answers)
        return found


@dataclass(frozen=True)
class AwaitOldTtl(Look):
    """Waits until no resolver can still hold an answer with the TTL from before it was lowered."""

    domains: tuple[str, ...]

    @property
    def needs(self) -> tuple[str, ...]:
        """See Action."""
        return (TTLS,)

    def describe(self) -> str:
        """See Action."""
        return f"wait one old TTL of {', '.join(self.domains)}"

    def apply(self, context: Context) -> Evidence:
        """See Action."""
        seconds = max(context.facts.recall(TTLS)[name] for name in self.domains)
        context.say(f"waiting {seconds} s, the TTL from before it was lowered")
        context.pause(seconds)
        return {"waited_seconds": seconds}
