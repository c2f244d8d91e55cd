"""The stage `switch`: users are sent to the target, which is watched."""

from __future__ import annotations

from cutover.actions.flip_stack import UPDATES, Expected, Flip, FlipStack
from cutover.actions.soak import Soak
from cutover.plan import Stage, Step, Undo
from cutover.plans.parts import CHANGES_NOTHING, MARGIN_SECONDS, OPERATOR, Parts


def switch(parts: Parts) -> Stage:
    """The stage; a breach of its limits undoes it by itself."""
    cutover = parts.environment.cutover
    ttls = sum(domain.ttl.original for domain in parts.environment.domains)
    return Stage(
        id="switch",
        title="Users are sent to the target",
        steps=(
            Step(
                id="switch-dns",
                title="Point the domains at the target's ingress",
                owner=OPERATOR,
                affects_service=True,
                fulfils=("1.3.dns", "rollback.1"),
                action=FlipStack(
                    stack="edge",
                    flips=tuple(
                        Flip(key="records", item=name, forward="target", back="source")
                        for name in parts.domains
                    ),
                    expected=tuple(
                        Expected(type="DnsRecord", name=name, operations=UPDATES, back=UPDATES)
                        for name in parts.domains
                    ),
                ),
                gates=(*parts.ready("target", parts.workloads), *parts.serves("target")),
                checks=parts.settled("target"),
                way_back=Undo(
                    gates=(*parts.ready("source", parts.workloads), *parts.serves("source")),
                    checks=parts.settled("source"),
                    timeout_seconds=parts.flip_seconds + parts.limits.dns + ttls,
                ),
                timeout_seconds=parts.flip_seconds + parts.limits.dns + ttls,
            ),
            Step(
                id="soak",
                title="Watch, and undo the switch by itself if it does not hold",
                owner=OPERATOR,
                affects_service=False,
                reason="a fault shows under real traffic, while the way back is a minute",
                action=Soak(
                    domains=parts.domains,
                    seconds=cutover.soak_seconds,
                    interval_seconds=cutover.health_checks.interval_ms / 1000,
                    answer_seconds=cutover.health_checks.timeout_ms / 1000,
                    max_error_rate=cutover.max_error_rate,
                    max_p99_ms=cutover.max_p99_ms,
                ),
                way_back=CHANGES_NOTHING,
                timeout_seconds=cutover.soak_seconds + MARGIN_SECONDS,
            ),
        ),
    )
