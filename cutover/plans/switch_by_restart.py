"""Phase 2, the stage `switch-database` as the document itself has it: fence, switch, restart the services.

Nothing is built ahead and nothing holds requests: reads are served all along, and writes are refused from the
fence on until each service has been restarted with the target's address. The strategy `armed` avoids that.
"""

from __future__ import annotations

from cutover.actions.database import SwitchDatabase
from cutover.plan import Stage, Step, Undo
from cutover.plans.parts import OPERATOR, PHASE_2, Parts
from cutover.plans.switch_database import (
    database_by_rds,
    hold_schedules,
    replicate_back,
    restart_services,
    resume_schedules,
    services_back,
    soak_database,
)


def switch_by_restart(parts: Parts) -> Stage:
    """The stage; a breach of its limits undoes it by itself, and keeps every write.

    The way back is ready before the services write to the target for the first time.
    """
    ready = parts.ready("target", parts.serving)
    return Stage(
        id="switch-database",
        title="The target's database serves, and the services are restarted",
        phase=PHASE_2,
        steps=(
            hold_schedules(parts),
            Step(
                id="switch-database",
                title="Switch the database; writes are refused from now on until the services are restarted",
                owner=OPERATOR,
                affects_service=True,
                fulfils=("rollback.4",),
                action=SwitchDatabase(parks=False),
                gates=(*ready, *parts.serves("target")),
                way_back=Undo(
                    gates=ready,
                    checks=parts.serves("target"),
                    timeout_seconds=parts.limits.database_copy,
                ),
                timeout_seconds=parts.limits.database_copy,
            ),
            replicate_back(),
            services_back(parts),
            database_by_rds(parts, gate=False),
            restart_services(parts, affects_service=True),
            resume_schedules(parts),
            soak_database(parts),
        ),
    )
