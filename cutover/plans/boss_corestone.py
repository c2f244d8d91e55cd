"""The plan `boss-corestone`, Phase 1: BOSS moves to the AWS cluster, while its database stays where it is.

A rollback undoes these steps from the last to the first. So what has to hold on the way back stands with the
step that it takes back: the source is ready before its Services are sent back to it, the Services before
DNS, DNS (with its TTL) before the target is left, and the target's buffers are drained before its pods end.
"""

from __future__ import annotations

from cutover.actions.base import Condition
from cutover.actions.confirm import Confirm
from cutover.actions.copy_objects import CopyObjects
from cutover.actions.flip_stack import UPDATES, Expected, Flip, FlipStack, Remembered
from cutover.actions.person import Person
from cutover.actions.remember import REPLICAS
from cutover.actions.soak import Soak
from cutover.conditions.live_connections import LiveConnections
from cutover.mover import Selection
from cutover.plan import Keep, Plan, Stage, Step, Undo
from cutover.plans.migration_document import phase_1
from cutover.plans.parts import CHANGES_NOTHING, HUAWEI, MARGIN_SECONDS, OPERATOR, Parts, settings_hash
from cutover.plans.prepare import prepare
from stacks.settings import Environment, WorkloadName


def boss_corestone(environment: Environment) -> Plan:
    """The plan for an environment's settings."""
    parts = Parts(environment)
    return Plan(
        id="boss-corestone",
        title="BOSS and Corestone from Huawei Cloud to AWS Singapore, Phase 1",
        environment=environment.name,
        settings_hash=settings_hash(environment),
        owners=(OPERATOR, HUAWEI),
        document=phase_1(),
        stages=(prepare(parts), _move(parts), _connect(parts), _switch(parts), _quiesce(parts)),
    )


def _move(parts: Parts) -> Stage:
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


def _connect(parts: Parts) -> Stage:
    environment = parts.environment
    entries = dict.fromkeys(f"{entry.namespace}/{entry.config_map}" for entry in environment.config_entries)
    return Stage(
        id="connect",
        title="The target's pods run, on the source's database",
        steps=(
            Step(
                id="open-database",
                title="Give the database a public address that lets in the target's NAT addresses alone",
                owner=HUAWEI,
                affects_service=False,
                fulfils=("1.2.eip", "1.2.whitelist"),
                action=Person(
                    instructions="Bind the EIP {database_eip} to the RDS and let in {nat_addresses} on port "
                    "{database_port}, and nobody else. Whoever else can reach it is found by a probe.",
                    take_back="the EIP may be unbound from the RDS now",
                ),
                checks=(parts.reach("target", reachable=True), parts.reach("source", reachable=False)),
                way_back=Undo(timeout_seconds=MARGIN_SECONDS),
                timeout_seconds=parts.limits.person,
            ),
            Step(
                id="database-by-eip",
                title="Point the target's database URLs at the public address",
                owner=OPERATOR,
                affects_service=False,
                fulfils=("1.2.urls", "rollback.3"),
                action=FlipStack(
                    stack="target",
                    flips=(Flip(key="database", forward="eip", back="internal"),),
                    expected=tuple(Expected(type="ConfigMapPatch", name=name) for name in entries),
                ),
                gates=parts.gone("target", parts.workloads),
                way_back=Undo(
                    gates=parts.gone("target", parts.workloads), timeout_seconds=parts.flip_seconds
                ),
                timeout_seconds=parts.flip_seconds,
            ),
            _start(
                parts,
                step_id="start-shared",
                title="Start what the services share",
                keys=parts.shared,
                undo_gates=(parts.drained("target"),),
            ),
            _start(
                parts,
                step_id="start-services",
                title="Start the services, and see what their live pods are connected to",
                keys=parts.workloads,
                checks=(
                    LiveConnections(workloads=parts.workloads, seconds=parts.limits.pods_ready),
                    *parts.serves("target"),
                ),
                undo_gates=(parts.drained("target"),),
            ),
        ),
    )


def _start(
    parts: Parts,
    *,
    step_id: str,
    title: str,
    keys: tuple[str, ...],
    checks: tuple[Condition, ...] = (),
    undo_gates: tuple[Condition, ...] = (),
) -> Step:
    """Scales workloads up on the target, and down to 0 on the way back."""
    return Step(
        id=step_id,
        title=title,
        owner=OPERATOR,
        affects_service=False,
        reason="the pods are ready and proven before anybody is sent to them",
        action=FlipStack(
            stack="target",
            flips=tuple(
                Flip(key="replicas", item=key, forward=Remembered(REPLICAS, key), back=0) for key in keys
            ),
            expected=tuple(parts.patch(key) for key in keys),
        ),
        checks=(*parts.ready("target", keys), *checks),
        way_back=Undo(
            gates=undo_gates,
            checks=parts.gone("target", keys),
            timeout_seconds=parts.flip_seconds + parts.limits.buffers_empty + parts.limits.pods_gone,
        ),
        timeout_seconds=parts.flip_seconds + parts.limits.pods_ready * 3,
    )


def _switch(parts: Parts) -> Stage:
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


def _quiesce(parts: Parts) -> Stage:
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
