"""The plan `boss-corestone`: BOSS and Corestone move to the AWS cluster, and their database after them.

Phase 2 is part of it where the settings have a section `replication`.

A rollback undoes these steps from the last to the first. So what has to hold on the way back stands with the
step that it takes back: the source is ready before its Services are sent back to it, the Services before
DNS, DNS (with its TTL) before the target is left, and the target's buffers are drained before its pods end.
"""

from __future__ import annotations

from cutover.plan import Plan, Stage
from cutover.plans.connect import connect
from cutover.plans.decommission import decommission, validate
from cutover.plans.migration_document import document
from cutover.plans.move import move
from cutover.plans.parts import CALLERS, HUAWEI, OPERATOR, Parts, settings_hash
from cutover.plans.prepare import prepare
from cutover.plans.quiesce import quiesce
from cutover.plans.replicate import arm, replicate
from cutover.plans.switch import switch
from cutover.plans.switch_by_restart import switch_by_restart
from cutover.plans.switch_database import settle, switch_database
from cutover.plans.verify import verify
from stacks.settings import Environment


def boss_corestone(environment: Environment) -> Plan:
    """The plan for an environment's settings."""
    parts = Parts(environment)
    settings = environment.replication
    return Plan(
        id="boss-corestone",
        title="BOSS and Corestone from Huawei Cloud to AWS Singapore",
        environment=environment.name,
        settings_hash=settings_hash(environment),
        owners=(OPERATOR, HUAWEI, CALLERS),
        document=document(
            database=settings is not None, native=settings is not None and settings.forward == "native"
        ),
        stages=(
            prepare(parts),
            move(parts),
            connect(parts),
            switch(parts),
            quiesce(parts),
            verify(parts),
            *_phase_2(parts),
        ),
    )


def _phase_2(parts: Parts) -> tuple[Stage, ...]:
    settings = parts.environment.replication
    if settings is None:
        return ()
    armed = parts.environment.cutover.database_switch == "armed"
    return (
        replicate(parts, settings),
        *((arm(parts), switch_database(parts), settle(parts)) if armed else (switch_by_restart(parts),)),
        validate(parts),
        decommission(parts),
    )
