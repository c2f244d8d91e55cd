"""The stage `move`: the services' objects arrive on the target, at 0 replicas."""

from __future__ import annotations

from cutover.actions.copy_objects import CopyObjects
from cutover.mover import Selection
from cutover.plan import Keep, Stage, Step
from cutover.plans.parts import MARGIN_SECONDS, OPERATOR, Parts
from stacks.settings import WorkloadName


def move(parts: Parts) -> Stage:
    """The stage; nothing runs on the target after it."""
    environment = parts.environment
    shared: dict[str, list[WorkloadName]] = {}
    for workload in environment.shared_workloads:
        shared.setdefault(workload.namespace, []).append(
            WorkloadName(namespace=workload.namespace, kind=workload.kind, name=workload.name)
        )
    namespaces = tuple(dict.fromkeys(workload.namespace for workload in environment.workloads))
    kept = Keep("at 0 replicas it does nothing, and the next attempt brings it up to date")
    return Stage(
        id="move",
        title="The services' objects arrive on the target, where nothing of them runs yet",
        steps=(
            Step(
                id="copy-shared",
                title="Copy what the services share",
                owner=OPERATOR,
                affects_service=False,
                fulfils=("1.1.redis",),
                action=CopyObjects(
                    tuple(Selection(namespace, tuple(only)) for namespace, only in shared.items())
                ),
                checks=parts.gone("target", parts.shared),
                way_back=kept,
                timeout_seconds=MARGIN_SECONDS + parts.limits.pods_gone,
            ),
            Step(
                id="copy-services",
                title="Copy the services' namespaces",
                owner=OPERATOR,
                affects_service=False,
                fulfils=("1.1.billing",),
                action=CopyObjects(tuple(Selection(namespace) for namespace in namespaces)),
                checks=parts.gone("target", parts.workloads),
                way_back=kept,
                timeout_seconds=MARGIN_SECONDS + parts.limits.pods_gone,
            ),
        ),
    )
