"""Phase 2, the stages `switch-database` and `settle`: the database is switched, and the stacks follow it."""

from __future__ import annotations

from cutover.actions.arm_pods import DisarmPods
from cutover.actions.database import ReplicateBack, SwitchDatabase
from cutover.actions.flip_stack import UPDATES, Expected, Flip, FlipStack
from cutover.actions.restart_workloads import RestartOnTheWayBack, RestartWorkloads
from cutover.actions.schedules import HoldSchedules
from cutover.actions.soak import Soak
from cutover.conditions.database_users import TargetServesPods
from cutover.plan import Keep, Stage, Step, Undo
from cutover.plans.parts import CHANGES_NOTHING, GATE, MARGIN_SECONDS, OPERATOR, PHASE_2, Parts
from cutover.plans.replicate import gate_expected, gate_flip, gates_ready, services_behind


def switch_database(parts: Parts) -> Stage:
    """The stage; a breach of its limits undoes it by itself, and keeps every write."""
    return Stage(
        id="switch-database",
        title="The target's database serves",
        phase=PHASE_2,
        steps=(
            hold_schedules(parts),
            Step(
                id="switch-database",
                title="Switch the database while requests wait",
                owner=OPERATOR,
                affects_service=True,
                fulfils=("rollback.4",),
                action=SwitchDatabase(),
                gates=(*parts.armed_ready(), *gates_ready(parts), *parts.serves("target")),
                checks=parts.serves("target"),
                way_back=Undo(
                    gates=parts.ready("target", parts.serving),
                    checks=parts.serves("target"),
                    timeout_seconds=parts.limits.database_copy,
                ),
                timeout_seconds=parts.limits.database_copy,
            ),
            replicate_back(),
            services_back(parts),
            database_by_rds(parts, gate=True),
            resume_schedules(parts),
            soak_database(parts),
        ),
    )


def hold_schedules(parts: Parts) -> Step:
    """The step before the switch."""
    jobs = parts.limits.jobs_end + MARGIN_SECONDS
    return Step(
        id="hold-schedules",
        title="Hold the schedules",
        owner=OPERATOR,
        affects_service=False,
        reason="a job that runs while the source is fenced would fail in the middle",
        action=HoldSchedules(seconds=parts.limits.jobs_end),
        way_back=Undo(timeout_seconds=jobs),
        timeout_seconds=jobs,
    )


def replicate_back() -> Step:
    """The step after the switch."""
    return Step(
        id="replicate-back",
        title="Let the source follow the target",
        owner=OPERATOR,
        affects_service=False,
        reason="from the first write on the target on, it is the way back that keeps them all",
        action=ReplicateBack(),
        way_back=CHANGES_NOTHING,
        timeout_seconds=MARGIN_SECONDS * 3,
    )


def services_back(parts: Parts) -> Step:
    """The step that acts on the way back alone, after `database-by-rds` was undone."""
    return Step(
        id="services-back",
        title="On the way back: let the services run on the source's database again",
        owner=OPERATOR,
        affects_service=False,
        reason="a rollback undoes the last step first: the settings that it needs are back by then",
        action=RestartOnTheWayBack(workloads=parts.serving),
        way_back=Undo(
            checks=parts.ready("target", parts.serving),
            timeout_seconds=parts.limits.pods_ready * 2,
        ),
        timeout_seconds=MARGIN_SECONDS,
    )


def database_by_rds(parts: Parts, *, gate: bool) -> Step:
    """The step that brings the ConfigMaps, and the gate's side where there is one, in line."""
    config_maps = dict.fromkeys(
        f"{entry.namespace}/{entry.config_map}" for entry in parts.environment.config_entries
    )
    gates = tuple(
        Expected(type="ConfigMap", name=f"{name}/{GATE}", operations=UPDATES, back=UPDATES)
        for name in parts.served_namespaces
    )
    return Step(
        id="database-by-rds",
        title="Bring the stacks in line: pods that start use the target's database",
        owner=OPERATOR,
        affects_service=False,
        fulfils=("2.2.update",),
        action=FlipStack(
            stack="target",
            flips=(
                Flip(key="database", forward="target", back="eip"),
                *((Flip(key="gate_side", forward="target", back="source"),) if gate else ()),
            ),
            expected=(
                *(
                    Expected(type="ConfigMapPatch", name=name, operations=UPDATES, back=UPDATES)
                    for name in config_maps
                ),
                *(gates if gate else ()),
            ),
        ),
        way_back=Undo(timeout_seconds=parts.flip_seconds),
        timeout_seconds=parts.flip_seconds,
    )


def restart_services(parts: Parts, *, affects_service: bool) -> Step:
    """The document's restart, and its look at what the pods are connected to."""
    ready = parts.limits.pods_ready
    return Step(
        id="restart-services",
        title="Restart the services, so that their settings are applied",
        owner=OPERATOR,
        affects_service=affects_service,
        fulfils=("2.2.restart", "2.2.connectivity"),
        action=RestartWorkloads(workloads=parts.serving),
        checks=(
            *parts.ready("target", parts.serving),
            TargetServesPods(workloads=parts.serving, seconds=ready),
        ),
        way_back=Keep("they are restarted again once their settings name the source's: services-back"),
        timeout_seconds=ready * 3,
    )


def resume_schedules(parts: Parts) -> Step:
    """The step after the stacks are in line."""
    jobs = parts.limits.jobs_end + MARGIN_SECONDS
    return Step(
        id="resume-schedules",
        title="Let the schedules run, on the target's database",
        owner=OPERATOR,
        affects_service=False,
        reason="what was missed meanwhile runs once",
        action=HoldSchedules(seconds=parts.limits.jobs_end, resume=True),
        way_back=Undo(timeout_seconds=jobs),
        timeout_seconds=jobs,
    )


def soak_database(parts: Parts) -> Step:
    """The stage's last step."""
    cutover = parts.environment.cutover
    return Step(
        id="soak-database",
        title="Watch the services on the target's database, and undo the stage if they do not hold",
        owner=OPERATOR,
        affects_service=False,
        fulfils=("2.3.performance",),
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
    )


def settle(parts: Parts) -> Stage:
    """The stage; at its end the workloads themselves serve, and nothing of the switch is left."""
    ready = parts.limits.pods_ready
    return Stage(
        id="settle",
        title="The workloads themselves run on the target's database, and the gate is gone",
        phase=PHASE_2,
        steps=(
            restart_services(parts, affects_service=False),
            Step(
                id="gate-out",
                title="Let the Services send to the workloads themselves",
                owner=OPERATOR,
                affects_service=True,
                reason="the gate is in the way of requests for the time of the switch alone",
                action=gate_flip(parts, forward="standby", back="serve"),
                gates=parts.ready("target", parts.serving),
                checks=(*services_behind(parts, gate=False), *parts.serves("target")),
                way_back=Undo(
                    gates=(*gates_ready(parts), *parts.armed_ready()),
                    checks=(*services_behind(parts, gate=True), *parts.serves("target")),
                    timeout_seconds=parts.flip_seconds + ready,
                ),
                timeout_seconds=parts.flip_seconds + ready,
            ),
            Step(
                id="remove-gate",
                title="Remove the gate",
                owner=OPERATOR,
                affects_service=False,
                reason="nobody sends to it any more",
                action=FlipStack(
                    stack="target",
                    flips=(Flip(key="gate", forward="absent", back="standby"),),
                    expected=gate_expected(parts),
                ),
                way_back=Undo(checks=gates_ready(parts), timeout_seconds=parts.flip_seconds + ready),
                timeout_seconds=parts.flip_seconds,
            ),
            Step(
                id="disarm-pods",
                title="Remove the pods that took over",
                owner=OPERATOR,
                affects_service=False,
                reason="the workloads themselves serve",
                action=DisarmPods(workloads=parts.serving),
                checks=(parts.drained("target"),),
                way_back=Undo(checks=parts.armed_ready(), timeout_seconds=ready + MARGIN_SECONDS),
                timeout_seconds=ready + parts.limits.buffers_empty + MARGIN_SECONDS,
            ),
        ),
    )
