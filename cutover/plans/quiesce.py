"""The stage `quiesce`: the source serves nobody any more, and sends stragglers on."""

from __future__ import annotations

from cutover.actions.confirm import Confirm
from cutover.actions.flip_stack import UPDATES, Expected, Flip, FlipStack, Remembered
from cutover.actions.remember import REPLICAS
from cutover.plan import Stage, Step, Undo
from cutover.plans.parts import CHANGES_NOTHING, MARGIN_SECONDS, OPERATOR, Parts


def quiesce(parts: Parts) -> Stage:
    """The stage; after it the source's workloads are at 0."""
    return Stage(
        id="quiesce",
        title="The source serves nobody any more, and its ingress sends stragglers on",
        steps=(
            Step(
                id="forward-stragglers",
                title="Let the source's Services send stragglers on to the target",
                owner=OPERATOR,
                affects_service=True,
                reason="clients that never ask DNS again must not be refused once the source is scaled down",
                action=FlipStack(
                    stack="source",
                    flips=(Flip(key="stragglers", forward="forward", back="standby"),),
                    expected=(
                        *(
                            Expected(type=expected.type, name=expected.name, operations=UPDATES, back=UPDATES)
                            for expected in parts.selectors
                        ),
                    ),
                ),
                gates=(*parts.forwarders_ready(), *parts.serves("target")),
                checks=(*parts.services_send_to(forwarder=True), *parts.serves("source")),
                way_back=Undo(
                    gates=parts.ready("source", parts.workloads),
                    checks=(*parts.services_send_to(forwarder=False), *parts.serves("source")),
                    timeout_seconds=parts.flip_seconds + parts.limits.pods_ready,
                ),
                timeout_seconds=parts.flip_seconds + parts.limits.pods_ready,
            ),
            Step(
                id="drain-source",
                title="Wait until nothing un-committed is left on the source",
                owner=OPERATOR,
                affects_service=False,
                fulfils=("1.3.cache",),
                action=Confirm((parts.drained("source"),)),
                way_back=CHANGES_NOTHING,
                timeout_seconds=parts.limits.buffers_empty + MARGIN_SECONDS,
            ),
            Step(
                id="scale-down-source",
                title="Scale the source's services to 0",
                owner=OPERATOR,
                affects_service=True,
                fulfils=("1.3.scale", "rollback.4"),
                action=FlipStack(
                    stack="source",
                    flips=tuple(
                        Flip(key="replicas", item=key, forward=0, back=Remembered(REPLICAS, key))
                        for key in parts.workloads
                    ),
                    expected=tuple(
                        Expected(type=expected.type, name=expected.name, operations=UPDATES, back=UPDATES)
                        for expected in map(parts.patch, parts.workloads)
                    ),
                ),
                checks=(
                    *parts.gone("source", parts.workloads),
                    parts.drained("source"),
                    *parts.serves("source"),
                ),
                way_back=Undo(
                    checks=parts.ready("source", parts.workloads),
                    timeout_seconds=parts.flip_seconds + parts.limits.pods_ready,
                ),
                timeout_seconds=parts.flip_seconds + parts.limits.pods_gone + parts.limits.buffers_empty,
            ),
        ),
    )
