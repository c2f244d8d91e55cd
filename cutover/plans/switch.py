"""The stage `switch`: users are sent to the target domain by domain, each is watched, and callers follow."""

from __future__ import annotations

from collections.abc import Iterator

from cutover.actions.flip_stack import UPDATES, Expected, Flip, FlipStack
from cutover.actions.redirect_callers import RedirectCallers
from cutover.actions.soak import Soak
from cutover.conditions.in_cluster import AnswersInCluster
from cutover.conditions.workloads import WorkloadReady
from cutover.plan import Stage, Step, Undo
from cutover.plans.parts import CALLERS, CHANGES_NOTHING, MARGIN_SECONDS, OPERATOR, PHASE_1, Parts
from stacks.settings import CallerSettings, DomainSettings, WorkloadName


def switch(parts: Parts) -> Stage:
    """The stage; a breach of its limits undoes it by itself.

    Domains are switched in the order of the settings: the one that matters least stands first there.
    """
    clusters = [name for name in parts.clusters if parts.environment.callers_on(name)]
    return Stage(
        id="switch",
        title="Users are sent to the target, domain by domain, and the callers that are known with them",
        phase=PHASE_1,
        steps=(
            *(step for domain in parts.environment.domains for step in _domain(parts, domain)),
            *(_callers(parts, name) for name in clusters),
        ),
    )


def _domain(parts: Parts, domain: DomainSettings) -> Iterator[Step]:
    cutover = parts.environment.cutover
    workloads = tuple(item.key for item in parts.environment.workloads if item.domain == domain.name)
    name = (domain.name,)
    seconds = parts.flip_seconds + parts.limits.dns + domain.ttl.original
    yield Step(
        id=f"switch-{domain.name}",
        title=f"Point {domain.name} at the target's ingress",
        owner=OPERATOR,
        affects_service=True,
        fulfils=("1.3.dns", "rollback.1"),
        action=FlipStack(
            stack="edge",
            flips=(Flip(key="records", item=domain.name, forward="target", back="source"),),
            expected=(Expected(type="DnsRecord", name=domain.name, operations=UPDATES, back=UPDATES),),
        ),
        gates=(*parts.ready("target", workloads), *parts.serves("target", domains=name)),
        checks=parts.settled("target", domains=name),
        beside=parts.follow_keys,
        way_back=Undo(
            gates=(*parts.ready("source", workloads), *parts.serves("source", domains=name)),
            checks=parts.settled("source", domains=name),
            timeout_seconds=seconds,
        ),
        timeout_seconds=seconds,
    )
    yield Step(
        id=f"soak-{domain.name}",
        title=f"Watch {domain.name}, and undo the stage by itself if it does not hold",
        owner=OPERATOR,
        affects_service=False,
        reason="a fault shows under real traffic, while the way back is a minute",
        action=Soak(
            domains=name,
            seconds=cutover.soak_seconds,
            interval_seconds=cutover.health_checks.interval_ms / 1000,
            answer_seconds=cutover.health_checks.timeout_ms / 1000,
            max_error_rate=cutover.max_error_rate,
            max_p99_ms=cutover.max_p99_ms,
        ),
        beside=parts.follow_keys,
        way_back=CHANGES_NOTHING,
        timeout_seconds=cutover.soak_seconds + MARGIN_SECONDS,
    )


def _callers(parts: Parts, cluster: str) -> Step:
    """Callers that name the service by a ConfigMap's entry are told of the domain."""
    callers = parts.environment.callers_on(cluster)
    maps = dict.fromkeys(f"{item.namespace}/{entry.config_map}" for item in callers for entry in item.entries)
    proofs = (*_ready(parts, callers), *_checked(parts, callers))
    return Step(
        id=f"redirect-callers-{cluster}",
        title=f"Tell the callers on {cluster} of the domain, and restart them",
        owner=CALLERS,
        affects_service=True,
        fulfils=("1.3.automata",),
        action=RedirectCallers(
            cluster=cluster,
            flip=FlipStack(
                stack=cluster,
                flips=tuple(
                    Flip(key="callers", item=caller.key, forward="target", back="source")
                    for caller in callers
                ),
                expected=tuple(Expected(type="ConfigMapPatch", name=name) for name in maps),
            ),
            callers=callers,
        ),
        gates=parts.settled("target", then_ttl=False),
        checks=proofs,
        beside=parts.follow_keys,
        way_back=Undo(checks=proofs, timeout_seconds=parts.flip_seconds + parts.limits.pods_ready),
        timeout_seconds=parts.flip_seconds + parts.limits.pods_ready,
    )


def _ready(parts: Parts, callers: tuple[CallerSettings, ...]) -> Iterator[WorkloadReady]:
    for caller in callers:
        if caller.kind in ("Deployment", "StatefulSet"):
            name = WorkloadName(namespace=caller.namespace, kind=caller.kind, name=caller.name)
            yield WorkloadReady(side=caller.cluster, workload=name, seconds=parts.limits.pods_ready)


def _checked(parts: Parts, callers: tuple[CallerSettings, ...]) -> Iterator[AnswersInCluster]:
    for caller in callers:
        if caller.verification is not None:
            yield AnswersInCluster(check=caller.verification, probe_seconds=parts.limits.probe)
