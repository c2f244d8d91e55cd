"""The plan `boss-corestone`, Phase 1: BOSS moves to the AWS cluster, while its database stays where it is.

A rollback undoes these steps from the last to the first. So what has to hold on the way back stands with the
step that it takes back: the source is ready before its Services are sent back to it, the Services before
DNS, DNS (with its TTL) before the target is left, and the target's buffers are drained before its pods end.
"""

from __future__ import annotations

from cutover.plan import Plan
from cutover.plans.connect import connect
from cutover.plans.migration_document import phase_1
from cutover.plans.move import move
from cutover.plans.parts import CALLERS, HUAWEI, OPERATOR, Parts, settings_hash
from cutover.plans.prepare import prepare
from cutover.plans.quiesce import quiesce
from cutover.plans.switch import switch
from cutover.plans.verify import verify
from stacks.settings import Environment


def boss_corestone(environment: Environment) -> Plan:
    """The plan for an environment's settings."""
    parts = Parts(environment)
    return Plan(
        id="boss-corestone",
        title="BOSS and Corestone from Huawei Cloud to AWS Singapore, Phase 1",
        environment=environment.name,
        settings_hash=settings_hash(environment),
        owners=(OPERATOR, HUAWEI, CALLERS),
        document=phase_1(),
        stages=(
            prepare(parts),
            move(parts),
            connect(parts),
            switch(parts),
            quiesce(parts),
            verify(parts),
        ),
    )
