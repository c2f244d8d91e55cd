"""Conditions and expectations that several stages of a plan share, made from an environment's settings."""

from __future__ import annotations

import hashlib
import json

from cutover.actions.arm_pods import armed_name
from cutover.actions.base import Condition
from cutover.actions.copy_keys import FollowKeys
from cutover.actions.flip_stack import Expected
from cutover.conditions.buffers import BuffersDrained
from cutover.conditions.dns import DnsSettled
from cutover.conditions.endpoints import ServiceSendsTo
from cutover.conditions.ingress import IngressServes
from cutover.conditions.probe import DatabaseReach
from cutover.conditions.workloads import WorkloadReady
from cutover.plan import Keep
from cutover.ports import Side
from stacks.settings import Environment, EnvironmentBase, WorkloadName
from stacks.settings.buffers import HttpBuffer, RedisStreamBuffer

OPERATOR = "Operator"
HUAWEI = "Owner of the Huawei account"
CALLERS = "Owners of the callers"
PHASE_1, PHASE_2 = "phase-1", "phase-2"
FORWARDER = "landfall-forwarder"
"""The name that the stack `source` gives to what sends stragglers on."""
GATE = "landfall-gate"
"""The name that the stack `target` gives to what holds requests while the database is switched."""
CHANGES_NOTHING = Keep("it changes nothing")
_LET_IN_SECONDS = 30.0
"""How long a rule that lets somebody in may take to have its effect."""
MARGIN_SECONDS = 300.0
"""What a step may take on top of the waits that it holds."""


def settings_hash(environment: EnvironmentBase) -> str:
    """Changes with any setting, and not with the order in which they are written."""
    text = json.dumps(environment.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Parts:
    """What plans say about an environment's workloads, domains and buffers."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.limits = environment.cutover.timeouts
        self.domains = tuple(domain.name for domain in environment.domains)
        self.workloads = tuple(workload.key for workload in environment.workloads)
        self.serving = tuple(workload.key for workload in environment.workloads if not workload.worker)
        self.workers = tuple(workload.key for workload in environment.workloads if workload.worker)
        self.shared = tuple(workload.key for workload in environment.shared_workloads)
        self.clusters = tuple(environment.contexts)
        self.namespace = environment.workloads[0].namespace
        self.flip_seconds = self.limits.flip + MARGIN_SECONDS

    def name(self, key: str) -> WorkloadName:
        """A workload's name by its key."""
        found = self.environment.workload(key)
        return WorkloadName(namespace=found.namespace, kind=found.kind, name=found.name)

    @property
    def forwarders(self) -> tuple[WorkloadName, ...]:
        """What sends stragglers on: one in each namespace that has a domain's Service."""
        return tuple(
            WorkloadName(namespace=namespace, name=FORWARDER) for namespace in self.served_namespaces
        )

    @property
    def served_namespaces(self) -> tuple[str, ...]:
        """Those that have a domain's Service."""
        return tuple(dict.fromkeys(domain.service.partition("/")[0] for domain in self.environment.domains))

    @property
    def gates(self) -> tuple[WorkloadName, ...]:
        """What holds requests: one in each namespace that has a domain's Service."""
        return tuple(WorkloadName(namespace=namespace, name=GATE) for namespace in self.served_namespaces)

    def armed_ready(self) -> tuple[Condition, ...]:
        """The pods that run against the target's database and wait are ready."""
        return tuple(
            WorkloadReady(side="target", workload=armed_name(self.name(key)), seconds=self.limits.pods_ready)
            for key in self.serving
        )

    def forwarders_ready(self) -> tuple[Condition, ...]:
        """The forwarders for stragglers stand ready on the source."""
        return tuple(
            WorkloadReady(side="source", workload=forwarder, seconds=self.limits.pods_ready)
            for forwarder in self.forwarders
        )

    def services_send_to(self, *, forwarder: bool) -> tuple[Condition, ...]:
        """The source's Services send to the forwarders, or to the workloads themselves."""
        return tuple(
            ServiceSendsTo(
                side="source",
                service=domain.service,
                workloads=(FORWARDER,)
                if forwarder
                else tuple(item.name for item in self.environment.workloads if item.domain == domain.name),
                seconds=self.limits.pods_ready,
            )
            for domain in self.environment.domains
        )

    def ready(self, side: Side, keys: tuple[str, ...]) -> tuple[Condition, ...]:
        """Workloads that serve on a side, all their pods ready."""
        return tuple(
            WorkloadReady(side=side, workload=self.name(key), seconds=self.limits.pods_ready) for key in keys
        )

    def gone(self, side: Side, keys: tuple[str, ...]) -> tuple[Condition, ...]:
        """Workloads that are settled on a side, also at 0."""
        return tuple(
            WorkloadReady(side=side, workload=self.name(key), seconds=self.limits.pods_gone, at_least=0)
            for key in keys
        )

    def serves(
        self, side: Side, *, certificates: bool = False, domains: tuple[str, ...] | None = None
    ) -> tuple[Condition, ...]:
        """Each domain answers at a side's ingress; the target's with a certificate that is good for long.

        `certificates`: the source's too, whose certificates move along.
        """
        checks = self.environment.cutover.health_checks
        return tuple(
            IngressServes(
                domain=name,
                side=side,
                seconds=self.limits.pods_ready,
                answer_seconds=checks.timeout_ms / 1000,
                certificate_days=checks.certificate_days if certificates or side == "target" else 0,
            )
            for name in (self.domains if domains is None else domains)
        )

    def settled(
        self, side: Side, *, domains: tuple[str, ...] | None = None, then_ttl: bool = True
    ) -> tuple[Condition, ...]:
        """DNS answers a side for each domain, and the TTL has passed."""
        return tuple(
            DnsSettled(domain=name, side=side, seconds=self.limits.dns, then_ttl=then_ttl)
            for name in (self.domains if domains is None else domains)
        )

    @property
    def buffered_keys(self) -> tuple[str, ...]:
        """Keys of the Redis that moves along in which something waits to be committed, on one side alone."""
        redis = self.environment.redis_copy
        return tuple(
            key
            for buffer in self.environment.buffers
            if not isinstance(buffer, HttpBuffer) and redis and buffer.host == redis.host
            for key in ((buffer.key,) if isinstance(buffer, RedisStreamBuffer) else buffer.keys)
        )

    @property
    def follow_keys(self) -> FollowKeys | None:
        """Keeps sessions known on both sides while users move; None where no keys are copied."""
        redis = self.environment.redis_copy
        return FollowKeys(self.buffered_keys) if redis and redis.disposition == "copy" else None

    def drained(self, side: Side) -> BuffersDrained:
        """Nothing un-committed is left on a side."""
        return BuffersDrained(
            side=side,
            namespace=self.namespace,
            buffers=tuple(buffer.name for buffer in self.environment.buffers),
            seconds=self.limits.buffers_empty,
            probe_seconds=self.limits.probe,
        )

    def reach(self, side: Side, *, reachable: bool, internal: bool = False) -> DatabaseReach:
        """Whether a side's pods can connect to the source's database, by its public address or its name."""
        return DatabaseReach(
            side=side,
            namespace=self.namespace,
            reachable=reachable,
            internal=internal,
            seconds=self.limits.probe,
            within=_LET_IN_SECONDS if reachable else self.limits.probe * 2,
        )

    def patch(self, key: str) -> Expected:
        """What states a workload's replica count."""
        return Expected(type=f"{self.environment.workload(key).kind}Patch", name=key)

    @property
    def records(self) -> tuple[Expected, ...]:
        """The domains' DNS records."""
        return tuple(Expected(type="DnsRecord", name=name) for name in self.domains)

    @property
    def selectors(self) -> tuple[Expected, ...]:
        """What states the selectors of the domains' Services."""
        return tuple(
            Expected(type="ServicePatch", name=domain.service) for domain in self.environment.domains
        )
