"""The stage `move`: the services' objects arrive on the target, at 0 replicas."""

from __future__ import annotations

from cutover.actions.move_objects import MoveObjects
from cutover.conditions.objects_arrived import ObjectsArrived
from cutover.conditions.velero_ready import VeleroReady
from cutover.errors import PlanError
from cutover.plan import Keep, Stage, Step
from cutover.plans.parts import MARGIN_SECONDS, OPERATOR, PHASE_1, Parts
from stacks.settings import VeleroSettings

_VELERO_SECONDS = 1800.0
"""How long a backup, a restore, or the wait between them may take."""
_READY_SECONDS = 60.0


def move(parts: Parts) -> Stage:
    """The stage; nothing runs on the target after it. Raises PlanError where nothing is said to move."""
    environment = parts.environment
    if environment.move is None:
        raise PlanError(f"Pulumi.{environment.name}.yaml does not say what moves: the section move.velero")
    selection = environment.move.velero
    velero = environment.velero or VeleroSettings()
    return Stage(
        id="move",
        title="The services' objects arrive on the target, where nothing of them runs yet",
        phase=PHASE_1,
        steps=(
            Step(
                id="move-objects",
                title="Move the namespaces' objects with Velero, and compare each with its source",
                owner=OPERATOR,
                affects_service=False,
                fulfils=("1.1.velero", "1.1.billing", "1.1.basis", "1.1.redis"),
                action=MoveObjects(move=selection, velero=velero, seconds=_VELERO_SECONDS),
                gates=(VeleroReady(velero.namespace, _READY_SECONDS),),
                checks=(
                    ObjectsArrived(selection),
                    *parts.gone("target", (*parts.shared, *parts.workloads)),
                ),
                way_back=Keep("at 0 replicas it does nothing, and the next attempt brings it up to date"),
                timeout_seconds=_VELERO_SECONDS * 3 + MARGIN_SECONDS + parts.limits.pods_gone,
            ),
        ),
    )
