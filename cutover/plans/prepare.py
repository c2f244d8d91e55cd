"""The stage `prepare` of moving services: look, remember, lower the TTL, have the forwarder stand ready."""

from __future__ import annotations

from cutover.actions.base import Condition
from cutover.actions.confirm import Confirm
from cutover.actions.find_callers import READS_CALLERS, FindCallers
from cutover.actions.flip_stack import CREATES, DELETES, UPDATES, Expected, Flip, FlipStack
from cutover.actions.remember import AwaitOldTtl, RememberReplicas, RememberTtls
from cutover.actions.schedules import FreezeAutoscalers, RememberSchedules
from cutover.conditions.dns import DnsSettled
from cutover.conditions.preflight import (
    ClusterAnswers,
    CredentialsPresent,
    LandingZoneUp,
    NoPlaceholders,
    StackAnswers,
)
from cutover.plan import Keep, Stage, Step, Undo
from cutover.plans.parts import CHANGES_NOTHING, MARGIN_SECONDS, OPERATOR, PHASE_1, Parts


def prepare(parts: Parts) -> Stage:
    """The stage; users notice nothing of it."""
    environment = parts.environment
    flips = tuple(Flip(key="records", item=name, forward="source", back="source") for name in parts.domains)
    return Stage(
        id="prepare",
        title="Nothing that users could notice: look, remember, lower the TTL",
        phase=PHASE_1,
        steps=(
            Step(
                id="preflight",
                title="Check settings, clusters, zone, database, credentials, certificates and ingress",
                owner=OPERATOR,
                affects_service=False,
                reason="finds what is missing before anything is begun",
                action=Confirm(_preflight(parts)),
                way_back=CHANGES_NOTHING,
                timeout_seconds=MARGIN_SECONDS + parts.limits.pods_ready,
            ),
            Step(
                id="find-callers",
                title="Find who calls the services, on every cluster",
                owner=OPERATOR,
                affects_service=False,
                fulfils=("1.4.others", "1.4.corestone.dependencies", "1.4.automata.features"),
                action=FindCallers(parts.clusters),
                way_back=CHANGES_NOTHING,
                timeout_seconds=MARGIN_SECONDS,
            ),
            Step(
                id="remember-ttl",
                title="Remember the TTL that resolvers hold today",
                owner=OPERATOR,
                affects_service=False,
                reason="says how long to wait once it is lowered",
                action=RememberTtls(parts.domains),
                way_back=CHANGES_NOTHING,
                timeout_seconds=MARGIN_SECONDS,
            ),
            Step(
                id="adopt-records",
                title="Declare the DNS records as they are",
                owner=OPERATOR,
                affects_service=False,
                reason="a flip changes records that are declared; declaring them changes nothing",
                action=FlipStack(
                    stack="edge",
                    flips=(*flips, Flip(key="ttl", forward="original", back="original")),
                    expected=parts.records,
                ),
                way_back=Keep("the records are declared as they were before"),
                timeout_seconds=parts.flip_seconds,
            ),
            Step(
                id="lower-ttl",
                title="Lower the TTL of the DNS records",
                owner=OPERATOR,
                affects_service=False,
                reason="so that the switch, and the way back, take a minute and not an old TTL",
                action=FlipStack(
                    stack="edge",
                    flips=(Flip(key="ttl", forward="lowered", back="original"),),
                    expected=tuple(
                        Expected(type="DnsRecord", name=name, operations=UPDATES, back=UPDATES)
                        for name in parts.domains
                    ),
                ),
                way_back=Undo(timeout_seconds=parts.flip_seconds),
                timeout_seconds=parts.flip_seconds,
            ),
            Step(
                id="await-old-ttl",
                title="Wait until no resolver holds an answer with the old TTL",
                owner=OPERATOR,
                affects_service=False,
                reason="a TTL counts from when it was lowered, for whoever asked before",
                action=AwaitOldTtl(parts.domains),
                way_back=CHANGES_NOTHING,
                timeout_seconds=MARGIN_SECONDS + max(domain.ttl.original for domain in environment.domains),
            ),
            Step(
                id="remember-replicas",
                title="Remember the source's replica counts",
                owner=OPERATOR,
                affects_service=False,
                fulfils=("rollback.2",),
                action=RememberReplicas(
                    workloads=(*parts.shared, *parts.workloads),
                    declared=parts.workloads,
                    expected=tuple(parts.patch(key) for key in parts.workloads),
                ),
                way_back=Keep("the counts are declared as they were before"),
                timeout_seconds=parts.flip_seconds,
            ),
            Step(
                id="remember-schedules",
                title="Remember the CronJobs and autoscalers of what moves",
                owner=OPERATOR,
                affects_service=False,
                reason="a schedule runs on one side alone: the source's go on until they are handed over",
                action=RememberSchedules(),
                way_back=CHANGES_NOTHING,
                timeout_seconds=MARGIN_SECONDS,
            ),
            Step(
                id="freeze-autoscalers",
                title="Keep autoscalers from changing replica counts",
                owner=OPERATOR,
                affects_service=False,
                reason="replica counts have one owner at a time, and from here on it is the cutover",
                action=FreezeAutoscalers(),
                way_back=Undo(timeout_seconds=MARGIN_SECONDS),
                timeout_seconds=MARGIN_SECONDS,
            ),
            Step(
                id="forwarder-standby",
                title="Start the forwarder for stragglers on the source, unused",
                owner=OPERATOR,
                affects_service=False,
                reason="clients that never ask DNS again stay with the old ingress; this stands ready ahead",
                action=FlipStack(
                    stack="source",
                    flips=(Flip(key="stragglers", forward="standby", back="absent"),),
                    expected=(
                        *(
                            Expected(
                                type=kind,
                                name=forwarder.key,
                                operations=CREATES,
                                back=DELETES,
                            )
                            for forwarder in parts.forwarders
                            for kind in ("ConfigMap", "Deployment")
                        ),
                        *parts.selectors,
                    ),
                ),
                checks=(*parts.forwarders_ready(), *parts.serves("source")),
                way_back=Undo(checks=parts.serves("source"), timeout_seconds=parts.flip_seconds),
                timeout_seconds=parts.flip_seconds,
            ),
        ),
    )


def _preflight(parts: Parts) -> tuple[Condition, ...]:
    """What must be right before anything is begun."""
    environment = parts.environment
    administrator = environment.database.administrator
    probe: tuple[tuple[str, str, str], ...] = (("create", "", "pods"), ("delete", "", "pods"))
    read = (("get", "apps", "deployments"), ("list", "batch", "cronjobs"), ("list", "batch", "jobs"), *probe)
    schedules = (("patch", "batch", "cronjobs"), ("patch", "batch", "cronjobs/status"))
    source = (*read, *schedules, ("list", "", "secrets"), ("patch", "apps", "deployments"))
    target = (*source, ("patch", "", "configmaps"), ("patch", "", "secrets"))
    if environment.replication is not None:  # the gate, and pods that wait for the database
        made = (("apps", "deployments"), ("", "configmaps"), ("", "services"))
        target += tuple((verb, *kind) for kind in made for verb in ("create", "delete"))
        target += (("create", "", "pods/exec"),)
    return (
        NoPlaceholders(),
        LandingZoneUp(),
        CredentialsPresent((administrator.user_env, administrator.password_env)),
        StackAnswers("edge"),
        ClusterAnswers(
            cluster="source", namespaces=environment.namespaces, allowed=source, everywhere=READS_CALLERS
        ),
        ClusterAnswers(
            cluster="target", namespaces=environment.namespaces, allowed=target, everywhere=READS_CALLERS
        ),
        *(
            ClusterAnswers(cluster=name, namespaces=(), allowed=(), everywhere=READS_CALLERS)
            for name in environment.clusters
        ),
        parts.reach("source", reachable=True, internal=True),
        *parts.serves("source", certificates=True),
        *(DnsSettled(domain=name, side="source", seconds=5, then_ttl=False) for name in parts.domains),
    )
