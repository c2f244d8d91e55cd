"""Phase 2, the stages `replicate` and `arm`: the target has the data, and everything slow is done ahead."""

from __future__ import annotations

from cutover.actions.arm_pods import ArmPods
from cutover.actions.database import InspectPair, PrepareReverse, PrepareUsers, Replicate, VerifyAhead
from cutover.actions.flip_stack import DELETES, UPDATES, Expected, Flip, FlipStack
from cutover.conditions.endpoints import ServiceSendsTo
from cutover.conditions.workloads import WorkloadReady
from cutover.plan import Keep, Stage, Step, Undo
from cutover.plans.parts import CHANGES_NOTHING, GATE, MARGIN_SECONDS, OPERATOR, PHASE_2, Parts
from stacks.settings import ReplicationSettings


def replicate(parts: Parts, settings: ReplicationSettings) -> Stage:
    """The stage; the source serves all along."""
    copying = parts.limits.database_copy + MARGIN_SECONDS
    return Stage(
        id="replicate",
        title="The target's database holds what the source's holds, and follows it",
        phase=PHASE_2,
        steps=(
            Step(
                id="inspect-databases",
                title="Look for whatever would break the replication or the switch",
                owner=OPERATOR,
                affects_service=False,
                reason="what is in the way is found before the night, and each finding says what to do",
                action=InspectPair(),
                way_back=CHANGES_NOTHING,
                timeout_seconds=MARGIN_SECONDS,
            ),
            Step(
                id="prepare-users",
                title="Make the replication's users, and the services' accounts on the target",
                owner=OPERATOR,
                affects_service=False,
                reason="replication moves no accounts, and nobody may write to the target before the switch",
                action=PrepareUsers(),
                way_back=Keep("accounts that nobody uses change nothing; they go with the database"),
                timeout_seconds=MARGIN_SECONDS,
            ),
            Step(
                id="replicate",
                title="Copy the database, and follow the source",
                owner=OPERATOR,
                affects_service=False,
                fulfils=("2.1.process", *(("2.1.dms",) if settings.forward == "dms" else ())),
                action=Replicate(settings.forward),
                way_back=Undo(timeout_seconds=MARGIN_SECONDS * 3),
                timeout_seconds=copying,
            ),
            Step(
                id="prepare-way-back",
                title="Make the reverse replication ready",
                owner=OPERATOR,
                affects_service=False,
                fulfils=() if settings.forward == "dms" else ("2.1.dms",),
                reason="after the first write on the target there is no other way back that keeps it",
                action=PrepareReverse(),
                way_back=CHANGES_NOTHING,
                timeout_seconds=MARGIN_SECONDS,
            ),
            Step(
                id="verify-data",
                title="Compare schema and data",
                owner=OPERATOR,
                affects_service=False,
                fulfils=("2.3.integrity",),
                action=VerifyAhead(),
                way_back=CHANGES_NOTHING,
                timeout_seconds=copying,
            ),
        ),
    )


def arm(parts: Parts) -> Stage:
    """The stage; requests pass through the gate from its end on, to the pods that they went to before."""
    return Stage(
        id="arm",
        title="Pods wait on the target's database, and requests pass through a gate that can hold them",
        phase=PHASE_2,
        steps=(
            Step(
                id="arm-pods",
                title="Start pods that run against the target's database and wait",
                owner=OPERATOR,
                affects_service=False,
                reason="a pod takes seconds to start, and none may have to inside the switch",
                action=ArmPods(workloads=parts.serving),
                checks=parts.armed_ready(),
                way_back=Undo(timeout_seconds=MARGIN_SECONDS),
                timeout_seconds=parts.limits.pods_ready + MARGIN_SECONDS,
            ),
            Step(
                id="set-up-gate",
                title="Let the gate stand by",
                owner=OPERATOR,
                affects_service=False,
                reason="it holds requests while the database is switched, so that none is refused",
                action=FlipStack(
                    stack="target",
                    flips=(
                        Flip(key="gate", forward="standby", back="absent"),
                        Flip(key="gate_side", forward="source", back="source"),
                    ),
                    expected=gate_expected(parts),
                ),
                checks=gates_ready(parts),
                way_back=Undo(timeout_seconds=parts.flip_seconds),
                timeout_seconds=parts.flip_seconds + parts.limits.pods_ready,
            ),
            Step(
                id="gate-in",
                title="Let the Services send to the gate",
                owner=OPERATOR,
                affects_service=True,
                reason="the gate is in the way of requests for the time of the switch alone",
                action=gate_flip(parts, forward="serve", back="standby"),
                gates=gates_ready(parts),
                checks=(*services_behind(parts, gate=True), *parts.serves("target")),
                way_back=Undo(
                    checks=(*services_behind(parts, gate=False), *parts.serves("target")),
                    timeout_seconds=parts.flip_seconds + parts.limits.pods_ready,
                ),
                timeout_seconds=parts.flip_seconds + parts.limits.pods_ready,
            ),
        ),
    )


def gate_flip(parts: Parts, *, forward: str, back: str) -> FlipStack:
    """The Services' selectors, and nothing else."""
    return FlipStack(
        stack="target",
        flips=(Flip(key="gate", forward=forward, back=back),),
        expected=tuple(
            Expected(type="ServicePatch", name=item.name, operations=UPDATES, back=UPDATES)
            for item in parts.selectors
        ),
    )


def gate_expected(parts: Parts) -> tuple[Expected, ...]:
    """All that the gate is made of; made and deleted, forward or on the way back."""
    operations = ("create", "update", *DELETES)
    made = [
        *(("ConfigMap", f"{namespace}/{GATE}") for namespace in parts.served_namespaces),
        *(("Deployment", f"{namespace}/{GATE}") for namespace in parts.served_namespaces),
        *(("Service", f"{namespace}/{GATE}") for namespace in parts.served_namespaces),
        *(
            ("Service", f"{item.name}-landfall-{end}")
            for item in parts.selectors
            for end in ("source", "target")
        ),
    ]
    return (
        *(Expected(type=kind, name=name, operations=operations, back=operations) for kind, name in made),
        *parts.selectors,
    )


def gates_ready(parts: Parts) -> tuple[WorkloadReady, ...]:
    """The gate's pods are ready in each namespace."""
    return tuple(
        WorkloadReady(side="target", workload=gate, seconds=parts.limits.pods_ready) for gate in parts.gates
    )


def services_behind(parts: Parts, *, gate: bool) -> tuple[ServiceSendsTo, ...]:
    """The target's Services send to the gate, or to the workloads themselves."""
    environment = parts.environment
    return tuple(
        ServiceSendsTo(
            side="target",
            service=domain.service,
            workloads=(GATE,)
            if gate
            else tuple(item.name for item in environment.workloads if item.domain == domain.name),
            seconds=parts.limits.pods_ready,
        )
        for domain in environment.domains
    )
