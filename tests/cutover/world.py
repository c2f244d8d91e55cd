"""A world in memory: two clusters, DNS, stacks, a database and people, for tests of the whole cutover."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cutover.actions.report_now import FAILS_ONCE
from cutover.approvals import digest
from cutover.context import Context
from cutover.errors import StepError
from cutover.ports import (
    Approval,
    Connection,
    DnsAnswer,
    ObjectKind,
    PodCommand,
    PodResult,
    Side,
    WebAnswer,
    WorkloadState,
)
from stacks.settings import EdgeFlips, Environment, Flips, SourceFlips, TargetFlips, WorkloadName
from tests.cutover.databases_in_memory import FakeMove
from tests.cutover.objects import KINDS, FakeVelero, Store, cron_job, manifest, workload
from tests.cutover.redis_in_memory import MemoryKeys
from tests.cutover.stacks_in_memory import NAT_ADDRESS, FakeStacks, initial
from tests.cutover.stacks_in_memory import TARGET_ADDRESS as TARGET_ADDRESS  # noqa: PLC0414

BOSS, REDIS = "billing-guance-intl/boss", "middleware/redis-basis"
CORESTONE = "guance-basis/corestone"
FORWARDER, BASIS_FORWARDER = (
    f"{name}/landfall-forwarder" for name in ("billing-guance-intl", "guance-basis")
)
DOMAIN = "bill.truewatch.com"
CRON_JOBS = ObjectKind("batch/v1", "CronJob", "cronjobs")
DEPLOYMENTS = ObjectKind("apps/v1", "Deployment", "deployments")
RAN_LAST = "2025-12-31T23:00:00Z"
SOURCE_ADDRESS = "203.0.113.10"


class FakeClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class FakeCluster:
    """A cluster whose pods are ready at once."""

    world: World
    side: str
    """`source`, `target`, or another by its name."""
    replicas: dict[str, int] = field(default_factory=dict)
    buffered: list[int] = field(default_factory=list)
    """What each look at the buffers finds; nothing once it is used up."""
    store: Store = field(default_factory=Store)
    printed: dict[str, list[str]] = field(default_factory=dict)
    """What each pod has printed, by its name."""

    @property
    def context(self) -> str:
        return {"source": "huawei", "target": "aws"}.get(self.side, self.side)

    def version(self) -> str:
        return "v1.36.1"

    def allowed(self, verb: str, group: str, resource: str, namespace: str) -> bool:
        return True

    def kinds(self) -> Sequence[ObjectKind]:
        return KINDS

    def list(self, kind: ObjectKind, namespace: str | None) -> Sequence[dict[str, Any]]:
        if kind.plural == "backupstoragelocations":
            return [self.world.velero.location(self.side)]
        if kind.plural != "endpointslices":
            return self.store.of_kind(kind, namespace)
        between = {"source": ("landfall-forwarder", self.world.forwarding)}
        between["target"] = ("landfall-gate", self.world.gate == "serve")
        if self.side not in between or (self.side == "target" and self.world.gate is None):
            return []
        name, there = between[self.side]
        return [
            _endpoints(domain.service, name if there else item.name)
            for domain in self.world.environment.domains
            for item in self.world.environment.workloads
            if item.domain == domain.name and namespace in (None, item.namespace)
        ]

    def get(self, api_version: str, plural: str, namespace: str | None, name: str) -> dict[str, Any] | None:
        if api_version.startswith("velero.io/"):
            return self.world.velero.get(self.side, plural, namespace or "", name)
        return self.store.get(plural, namespace or "", name)

    def create(self, plural: str, manifest: Mapping[str, Any]) -> None:
        if manifest["apiVersion"].startswith("velero.io/"):
            self.world.velero.create(self.side, plural, dict(manifest))
            if plural == "restores":
                self.world.arrive()
        elif plural == "jobs":
            self.world.note(f"{self.side} job {manifest['metadata']['name']}")
            ended = {"type": self.world.jobs_end, "status": "True"}
            self.store.put({**manifest, "status": {"succeeded": 1, "conditions": [ended]}})
            if self.world.jobs_print:
                self.printed[FAILS_ONCE] = list(self.world.jobs_print)
        elif plural == "pods":
            ready = [{"type": "Ready", "status": "True"}]
            self.store.put({**manifest, "status": {"podIP": "192.0.2.7", "conditions": ready}})
        else:
            self.store.put(manifest)
            if plural == "deployments":
                metadata = manifest["metadata"]
                self.replicas[f"{metadata['namespace']}/{metadata['name']}"] = manifest["spec"]["replicas"]

    def merge_patch(
        self,
        api_version: str,
        plural: str,
        namespace: str,
        name: str,
        patch: Mapping[str, Any],
        *,
        subresource: str = "",
    ) -> None:
        if self.store.get(plural, namespace, name) is None:
            raise StepError(f"cluster {self.context} has no {plural} {namespace}/{name}")
        before = self.store.get(plural, namespace, name)
        self.store.patch(plural, namespace, name, patch)
        if self.store.get(plural, namespace, name) != before:
            self.world.note(f"{self.side} {name} {json.dumps(patch, sort_keys=True)}")

    def logs(self, namespace: str, pod: str, container: str, tail_lines: int) -> Sequence[str]:
        return self.printed.get(pod, [])[-tail_lines:]

    def delete(self, api_version: str, plural: str, namespace: str, name: str) -> None:
        self.store.objects.pop((plural, namespace, name), None)
        if plural == "deployments":
            self.replicas.pop(f"{namespace}/{name}", None)

    def server_side_apply(self, plural: str, manifest: Mapping[str, Any], manager: str) -> None:
        raise NotImplementedError

    def execute(self, namespace: str, pod: str, container: str, command: Sequence[str]) -> PodCommand:
        raise NotImplementedError

    def workload(self, name: WorkloadName) -> WorkloadState:
        if name.key not in self.replicas:
            raise StepError(f"cluster {self.context} has no {name.kind} {name.key}")
        count = self.replicas[name.key]
        return WorkloadState(count, count, count, count, observed=True)

    def run_pod(
        self, namespace: str, name: str, image: str, command: Sequence[str], timeout_seconds: float
    ) -> PodResult:
        self.world.clock.sleep(1)
        if name == "landfall-buffers":
            left = self.buffered.pop(0) if self.buffered else 0
            self.world.note(f"{self.side} buffers {left}")
            return PodResult(0, f"total {left}\n")
        if name == "landfall-ask":
            status = self.world.answers.get(command[-1], 200)
            return PodResult(0, f"  HTTP/1.1 {status} OK\n")
        if command[-2] == self.world.environment.database.source.internal_host:
            return PodResult(0, "connected: 5.5.5-10.11-MariaDB")
        admitted = self.world.database_open and self.side in self.world.admitted
        return PodResult(0, "connected: 5.5.5-10.11-MariaDB" if admitted else "no connection: timed out")


def _endpoints(service: str, workload_name: str) -> dict[str, Any]:
    """The EndpointSlice of a Service that sends to one pod."""
    namespace, _, name = service.partition("/")
    labels = {"kubernetes.io/service-name": name}
    endpoint = {"targetRef": {"name": f"{workload_name}-1"}, "conditions": {"ready": True}}
    metadata = {"labels": labels, "namespace": namespace, "name": f"{name}-1"}
    return {"metadata": metadata, "endpoints": [endpoint]}


def request(host: str, client: str, agent: str, moment: float = 0) -> str:
    """A line of an access log."""
    return json.dumps({"host": host, "client": client, "agent": agent, "moment": moment})


@dataclass
class World:
    """Everything outside of the cutover. `events` says what was done to it, in order."""

    environment: Environment
    clock: FakeClock = field(default_factory=FakeClock)
    events: list[str] = field(default_factory=list)
    records: dict[str, str] = field(default_factory=dict)
    """What each domain's record holds."""
    ttl: int = 300
    forwarding: bool = False
    gate: str | None = None
    broken_after: float | None = None
    """When every health check begins to fail."""
    database_open: bool = False
    admitted: set[Side] = field(default_factory=lambda: {"target"})
    broken_target: bool = False
    """The target's ingress answers with errors once DNS points at it."""
    approvals: bool = True
    """Whether people do what they are asked at once."""
    refuses: set[str] = field(default_factory=set)
    """Steps that nobody approves."""
    certificate_problem: str = ""
    """What is wrong with the target's certificates."""
    encrypted: bool | None = True
    """Whether the pods' connections to the database are; None: it does not say."""
    answers: dict[str, int] = field(default_factory=dict)
    """The status that an address answers with inside a cluster; 200 otherwise."""
    jobs_end: str = "Complete"
    """The condition that a Job made by hand ends with."""
    jobs_print: list[str] = field(default_factory=lambda: ["landfall-seen 503", "landfall-seen 201"])
    """What the pod that fails once prints while such a Job runs."""

    def __post_init__(self) -> None:
        workloads = {item.key: 2 for item in self.environment.workloads}
        shared = {item.key: 1 for item in self.environment.shared_workloads}
        self.source = FakeCluster(self, "source", {**workloads, **shared})
        self.target = FakeCluster(self, "target")
        self.records = {domain.name: SOURCE_ADDRESS for domain in self.environment.domains}
        self.keys = {"source": MemoryKeys(), "target": MemoryKeys()}
        self.velero = FakeVelero(self.source.store, self.target.store)
        self.source.store.put(
            workload("billing-guance-intl", "boss"),
            workload("guance-basis", "corestone"),
            workload("middleware", "redis-basis"),
            manifest("ConfigMap", "billing-guance-intl", "boss-config", data={"DATABASE_PORT": "3306"}),
            manifest("ConfigMap", "middleware", "kafka-settings", data={"brokers": "kafka.internal"}),
        )
        for cluster in (self.source, self.target):
            ingress = manifest(
                "Pod", "ingress-nginx", "ingress", labels={"app.kubernetes.io/name": "ingress-nginx"}
            )
            containers = {"spec": {"containers": [{"name": "nginx"}]}, "status": {"phase": "Running"}}
            cluster.store.put({**ingress, **containers})
            cluster.printed["ingress"] = [request(DOMAIN, "198.18.0.1", "browser/7")]
        self.source.store.put(
            manifest("Service", "billing-guance-intl", "webportal", spec={"selector": {"app": "boss"}}),
            cron_job("billing-guance-intl", "boss-settlement"),
            cron_job("billing-guance-intl", "boss-archive") | {"status": {"lastScheduleTime": RAN_LAST}},
        )
        self.others = {name: FakeCluster(self, name) for name in self.environment.clusters}
        if "truewatch-1" in self.others:
            address = {"name": "BOSS_URL", "value": f"https://{DOMAIN}"}
            retries = {"name": "REPORT_RETRIES", "value": "5"}
            self.others["truewatch-1"].store.put(
                cron_job("kodo", "kodo-billing-report", schedule="0 1 * * *", env=[address, retries])
            )
        for caller in self.environment.callers:
            self.others[caller.cluster].store.put(workload(caller.namespace, caller.name))
            self.others[caller.cluster].replicas[caller.key] = 1
        self.move = FakeMove(self)
        self.stacks = FakeStacks(self, initial(self.environment), initial(self.environment))

    @property
    def record(self) -> str:
        """What the record of BOSS's domain holds."""
        return self.records[DOMAIN]

    @record.setter
    def record(self, content: str) -> None:
        self.records[DOMAIN] = content

    def note(self, event: str) -> None:
        self.events.append(event)

    def change(self, stack: str, flips: Flips) -> None:
        """What `up` brings about."""
        match flips:
            case EdgeFlips():
                for name, side in flips.records.items():
                    self.records[name] = TARGET_ADDRESS if side == "target" else SOURCE_ADDRESS
                self.ttl = 60 if flips.ttl == "lowered" else 300
            case SourceFlips():
                self.source.replicas.update(flips.replicas)
                self.forwarding = flips.stragglers == "forward"
                for namespace in {domain.service.partition("/")[0] for domain in self.environment.domains}:
                    if flips.stragglers in ("standby", "forward"):
                        self.source.replicas[f"{namespace}/landfall-forwarder"] = 2
                    else:
                        self.source.replicas.pop(f"{namespace}/landfall-forwarder", None)
            case TargetFlips():
                self.target.replicas.update(flips.replicas)
                for key, count in flips.replicas.items():
                    namespace, _, name = key.partition("/")
                    if self.target.store.get("deployments", namespace, name) is not None:
                        self.target.store.patch("deployments", namespace, name, {"spec": {"replicas": count}})
                self.gate = flips.gate
                for domain in self.environment.domains:
                    gate = f"{domain.service.partition('/')[0]}/landfall-gate"
                    if flips.gate in ("standby", "serve"):
                        self.target.replicas[gate] = 2
                    else:
                        self.target.replicas.pop(gate, None)

    def authoritative(self, name: str, record_type: str, zone: str) -> Sequence[DnsAnswer]:
        return [DnsAnswer("ada.ns.cloudflare.com", (self.records[name],), self.ttl)]

    def ask(self, domain: str, path: str, address: str | None, timeout_seconds: float) -> WebAnswer:
        at = address or self.records[domain]
        key = next(item.key for item in self.environment.workloads if item.domain == domain)
        forwarder = f"{key.partition('/')[0]}/landfall-forwarder"
        if at == TARGET_ADDRESS:
            if self.certificate_problem:
                return WebAnswer(None, 0.01, "bad", certificate_problem=self.certificate_problem)
            broken = self.broken_target and self.records[domain] == TARGET_ADDRESS
            serving = self.target.replicas.get(key, 0) > 0 and not broken
        elif self.forwarding:
            serving = self.source.replicas.get(forwarder, 0) > 0 and self.target.replicas.get(key, 0) > 0
        else:
            serving = self.source.replicas[key] > 0
        if self.broken_after is not None and self.clock.monotonic() > self.broken_after:
            serving = self.move.serves == "source"
        return WebAnswer(200 if serving else 503, 0.01)

    def connections(self, host: str) -> Sequence[Connection]:
        if not self.database_open:
            return []
        return [
            Connection(name, NAT_ADDRESS, name, self.encrypted)
            for item, name in zip(self.environment.workloads, self.environment.database.names, strict=False)
            for _ in range(self.target.replicas.get(item.key, 0))
        ]

    def tls(self, host: str) -> str:
        return "TLSv1.3 TLS_AES_256_GCM_SHA384"

    def arrive(self) -> None:
        """What a restore brings runs with as many pods as it says."""
        for item in self.target.store.of_kind(DEPLOYMENTS, None):
            metadata = item["metadata"]
            self.target.replicas[f"{metadata['namespace']}/{metadata['name']}"] = item["spec"]["replicas"]
        self.note("restored")

    def fetch(self, url: str, timeout_seconds: float) -> bytes:
        return self.velero.fetch(url)

    def take(self, step: str, asked: str, plan_hash: str, round_: int) -> Approval | None:
        """People: they open the database and approve."""
        if not self.approvals or step in self.refuses:
            return None
        self.database_open = True
        name = "Grace" if step == "agree-again" else "Ada"
        return Approval(step, name, "done", "2026-01-01T00:00:00+00:00", digest(asked))

    @property
    def state(self) -> dict[str, Any]:
        """What counts when two ends of a cutover are compared."""
        return {
            "records": dict(self.records),
            "ttl": self.ttl,
            "forwarding": self.forwarding,
            "database": self.move.serves,
            "source": dict(self.source.replicas),
            "target": dict(self.target.replicas),
            "files": {name: flips.model_dump() for name, flips in self.stacks.files.items()},
            "states": {name: flips.model_dump() for name, flips in self.stacks.states.items()},
        }

    def context(self, stopping: Callable[[], bool] = lambda: False) -> Context:
        return Context(
            settings=self.environment,
            project=Path(),
            clusters={"source": self.source, "target": self.target, **self.others},
            stacks=self.stacks,
            dns=self,
            web=self,
            database=self,
            database_move=self.move,
            keys=lambda side: self.keys[side],
            clock=self.clock,
            say=lambda _: None,
            stopping=stopping,
        )
