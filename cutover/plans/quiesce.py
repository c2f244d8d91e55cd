"""The stage `quiesce`: the source serves nobody any more, and sends stragglers on."""

from __future__ import annotations

from cutover.actions.await_callers import AwaitCallers
from cutover.actions.confirm import Confirm
from cutover.actions.flip_stack import UPDATES, Expected, Flip, FlipStack, Remembered
from cutover.actions.remember import REPLICAS
from cutover.actions.schedules import HandOverSchedules
from cutover.plan import Stage, Step, Undo
from cutover.plans.parts import CALLERS, CHANGES_NOTHING, MARGIN_SECONDS, OPERATOR, PHASE_1, Parts
from cutover.ports import Side


def quiesce(parts: Parts) -> Stage:
    """The stage; after it the source's workloads are at 0."""
    return Stage(
        id="quiesce",
        title="The source serves nobody any more, and its ingress sends stragglers on",
        phase=PHASE_1,
        steps=(
            Step(
                id="await-callers",
                title="Wait until nobody calls the source by a name in its cluster",
                owner=CALLERS,
                affects_service=False,
                fulfils=("1.4.others",),
                action=AwaitCallers(parts.clusters),
                way_back=CHANGES_NOTHING,
                timeout_seconds=parts.limits.person,
            ),
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
                beside=parts.follow_keys,
                way_back=Undo(
                    gates=parts.ready("source", parts.workloads),
                    checks=(*parts.services_send_to(forwarder=False), *parts.serves("source")),
                    timeout_seconds=parts.flip_seconds + parts.limits.pods_ready,
                ),
                timeout_seconds=parts.flip_seconds + parts.limits.pods_ready,
            ),
            Step(
                id="hand-over-schedules",
                title="Hand the schedules over to the target",
                owner=OPERATOR,
                affects_service=False,
                reason="a schedule that runs on both sides runs twice, one that runs on neither is missed",
                action=HandOverSchedules(seconds=parts.limits.jobs_end),
                way_back=Undo(timeout_seconds=parts.limits.jobs_end + MARGIN_SECONDS),
                timeout_seconds=parts.limits.jobs_end + MARGIN_SECONDS,
            ),
            *_workers(parts),
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
                fulfils=("1.3.scale", "rollback.2"),
                action=FlipStack(
                    stack="source",
                    flips=tuple(
                        Flip(key="replicas", item=key, forward=0, back=Remembered(REPLICAS, key))
                        for key in parts.serving
                    ),
                    expected=tuple(
                        Expected(type=expected.type, name=expected.name, operations=UPDATES, back=UPDATES)
                        for expected in map(parts.patch, parts.serving)
                    ),
                ),
                checks=(
                    *parts.gone("source", parts.workloads),
                    parts.drained("source"),
                    *parts.serves("source"),
                ),
                way_back=Undo(
                    checks=parts.ready("source", parts.serving),
                    timeout_seconds=parts.flip_seconds + parts.limits.pods_ready,
                ),
                timeout_seconds=parts.flip_seconds + parts.limits.pods_gone + parts.limits.buffers_empty,
            ),
        ),
    )


def _workers(parts: Parts) -> tuple[Step, ...]:
    """Workers run on one side alone: the source's end before the target's begin, and the other way round."""
    if not parts.workers:
        return ()

    def scale(step_id: str, title: str, side: Side) -> Step:
        leaving = side == "source"
        there, here = parts.ready(side, parts.workers), parts.gone(side, parts.workers)
        return Step(
            id=step_id,
            title=title,
            owner=OPERATOR,
            affects_service=True,
            reason="work that two sides take at a time may be done twice",
            action=FlipStack(
                stack=side,
                flips=tuple(
                    Flip(
                        key="replicas",
                        item=key,
                        forward=0 if leaving else Remembered(REPLICAS, key),
                        back=Remembered(REPLICAS, key) if leaving else 0,
                    )
                    for key in parts.workers
                ),
                expected=tuple(parts.patch(key) for key in parts.workers),
            ),
            checks=here if leaving else there,
            way_back=Undo(
                checks=there if leaving else here, timeout_seconds=parts.flip_seconds + parts.limits.pods_gone
            ),
            timeout_seconds=parts.flip_seconds + parts.limits.pods_gone,
        )

    return (
        scale("stop-workers", "Stop the source's workers", "source"),
        scale("start-workers", "Start the target's workers", "target"),
    )
