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
from cutover.mover import Moved, Selection
from cutover.ports import (
    Approval,
    BroughtUp,
    Change,
    Connection,
    DnsAnswer,
    ObjectKind,
    PodResult,
    Side,
    WebAnswer,
    WorkloadState,
)
from stacks.settings import EdgeFlips, Environment, Flips, SourceFlips, TargetFlips, WorkloadName
from tests.cutover.objects import KINDS, FakeVelero, Store, cron_job, manifest, workload

BOSS, REDIS = "billing-guance-intl/boss", "middleware/redis-basis"
FORWARDER = "billing-guance-intl/landfall-forwarder"
DOMAIN = "bill.truewatch.com"
CRON_JOBS = ObjectKind("batch/v1", "CronJob", "cronjobs")
DEPLOYMENTS = ObjectKind("apps/v1", "Deployment", "deployments")
RAN_LAST = "2025-12-31T23:00:00Z"
SOURCE_ADDRESS, TARGET_ADDRESS, NAT_ADDRESS = "203.0.113.10", "203.0.113.64", "203.0.113.65"


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
        name = "landfall-forwarder" if self.world.forwarding else "boss"
        endpoint = {"targetRef": {"name": f"{name}-1"}, "conditions": {"ready": True}}
        labels = {"kubernetes.io/service-name": "webportal"}
        metadata = {"labels": labels, "namespace": "billing-guance-intl", "name": "webportal-1"}
        return [{"metadata": metadata, "endpoints": [endpoint]}] if self.side == "source" else []

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

    def server_side_apply(self, plural: str, manifest: Mapping[str, Any], manager: str) -> None:
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


def request(host: str, client: str, agent: str, moment: float = 0) -> str:
    """A line of an access log."""
    return json.dumps({"host": host, "client": client, "agent": agent, "moment": moment})


@dataclass
class FakeStacks:
    """Stacks whose `up` changes the world as the real ones do."""

    world: World
    files: dict[str, Flips] = field(
        default_factory=lambda: {
            "prod-edge": EdgeFlips(records={DOMAIN: "source"}, ttl="original"),
            "prod-source": SourceFlips(),
            "prod-target": TargetFlips(),
        }
    )
    states: dict[str, Flips] = field(
        default_factory=lambda: {
            "prod-edge": EdgeFlips(records={DOMAIN: "source"}, ttl="original"),
            "prod-source": SourceFlips(),
            "prod-target": TargetFlips(),
        }
    )
    open_operations: list[str] = field(default_factory=list)
    drifted: list[Change] = field(default_factory=list)
    surprise: list[Change] = field(default_factory=list)
    """What every preview finds besides."""
    repaired: list[str] = field(default_factory=list)

    def engine(self) -> str:
        return "3.260.0"

    def outputs(self, stack: str) -> Mapping[str, Any]:
        if stack == "prod":
            return {"nat_addresses": [NAT_ADDRESS], "ingress_addresses": [TARGET_ADDRESS]}
        return {"flipped": self.states[stack].model_dump(mode="json")}

    def flips(self, stack: str) -> Flips:
        return self.files[stack]

    def write_flips(self, stack: str, flips: Flips) -> None:
        self.files[stack] = flips

    def pending(self, stack: str) -> Sequence[str]:
        return self.open_operations

    def drift(self, stack: str) -> Sequence[Change]:
        return self.drifted

    def preview(self, stack: str, flips: Flips) -> Sequence[Change]:
        return [*_changes(self.states[stack], flips), *self.surprise]

    def up(self, stack: str, timeout_seconds: float) -> BroughtUp:
        wanted = self.files[stack]
        found = self.preview(stack, wanted)
        if self.states[stack] != wanted:
            self.world.note(f"up {stack} {_difference(self.states[stack], wanted)}")
        self.world.change(stack, wanted)
        self.states[stack] = wanted
        return BroughtUp(tuple(found), self.outputs(stack))

    def repair(self, stack: str) -> Sequence[str]:
        self.repaired.append(stack)
        cleared, self.open_operations = self.open_operations, []
        return cleared


def _difference(before: Flips, after: Flips) -> str:
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    return ", ".join(f"{key}={new[key]}" for key in new if new[key] != old[key])


def _changes(before: Flips, after: Flips) -> list[Change]:
    found: list[Change] = []
    if isinstance(before, EdgeFlips) and isinstance(after, EdgeFlips) and before != after:
        found.append(Change("update", "cloudflare:index/dnsRecord:DnsRecord", DOMAIN, ("content",)))
    if isinstance(before, SourceFlips) and isinstance(after, SourceFlips):
        if before.stragglers != after.stragglers:
            found.append(Change("update", "kubernetes:core/v1:ServicePatch", "billing-guance-intl/webportal"))
        was, becomes = (flips.stragglers not in (None, "absent") for flips in (before, after))
        if was != becomes:
            operation = "create" if becomes else "delete"
            found.append(Change(operation, "landfall:kubernetes:Forwarder", "prod-billing-guance-intl"))
            found.append(Change(operation, "kubernetes:apps/v1:Deployment", FORWARDER))
    if (
        isinstance(before, TargetFlips)
        and isinstance(after, TargetFlips)
        and before.database != after.database
    ):
        operation = "create" if before.database is None else "update"
        found.append(
            Change(operation, "kubernetes:core/v1:ConfigMapPatch", "billing-guance-intl/boss-config")
        )
    if not isinstance(before, EdgeFlips) and not isinstance(after, EdgeFlips):
        for key, count in after.replicas.items():
            if before.replicas.get(key) != count:
                operation = "update" if key in before.replicas else "create"
                found.append(Change(operation, "kubernetes:apps/v1:DeploymentPatch", key, ("spec.replicas",)))
    return found


@dataclass
class World:
    """Everything outside of the cutover. `events` says what was done to it, in order."""

    environment: Environment
    clock: FakeClock = field(default_factory=FakeClock)
    events: list[str] = field(default_factory=list)
    record: str = SOURCE_ADDRESS
    ttl: int = 300
    forwarding: bool = False
    database_open: bool = False
    admitted: set[Side] = field(default_factory=lambda: {"target"})
    broken_target: bool = False
    """The target's ingress answers with errors once DNS points at it."""
    approvals: bool = True
    """Whether people do what they are asked at once."""
    refuses: set[str] = field(default_factory=set)
    """Steps that nobody approves."""
    copied: bool = False
    answers: dict[str, int] = field(default_factory=dict)
    """The status that an address answers with inside a cluster; 200 otherwise."""
    jobs_end: str = "Complete"
    """The condition that a Job made by hand ends with."""
    jobs_print: list[str] = field(default_factory=lambda: ["landfall-seen 503", "landfall-seen 201"])
    """What the pod that fails once prints while such a Job runs."""

    def __post_init__(self) -> None:
        self.source = FakeCluster(self, "source", {BOSS: 2, REDIS: 1})
        self.target = FakeCluster(self, "target")
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
        self.stacks = FakeStacks(self)

    def note(self, event: str) -> None:
        self.events.append(event)

    def change(self, stack: str, flips: Flips) -> None:
        """What `up` brings about."""
        match flips:
            case EdgeFlips():
                self.record = TARGET_ADDRESS if flips.records[DOMAIN] == "target" else SOURCE_ADDRESS
                self.ttl = 60 if flips.ttl == "lowered" else 300
            case SourceFlips():
                self.source.replicas.update(flips.replicas)
                self.forwarding = flips.stragglers == "forward"
                if flips.stragglers in ("standby", "forward"):
                    self.source.replicas[FORWARDER] = 2
                else:
                    self.source.replicas.pop(FORWARDER, None)
            case TargetFlips():
                self.target.replicas.update(flips.replicas)

    def authoritative(self, name: str, record_type: str, zone: str) -> Sequence[DnsAnswer]:
        return [DnsAnswer("ada.ns.cloudflare.com", (self.record,), self.ttl)]

    def ask(self, domain: str, path: str, address: str | None, timeout_seconds: float) -> WebAnswer:
        at = address or self.record
        if at == TARGET_ADDRESS:
            serving = self.target.replicas.get(BOSS, 0) > 0 and not (
                self.broken_target and self.record == TARGET_ADDRESS
            )
        elif self.forwarding:
            serving = self.source.replicas.get(FORWARDER, 0) > 0 and self.target.replicas.get(BOSS, 0) > 0
        else:
            serving = self.source.replicas[BOSS] > 0
        return WebAnswer(200 if serving else 503, 0.01)

    def connections(self, host: str) -> Sequence[Connection]:
        count = self.target.replicas.get(BOSS, 0) if self.database_open else 0
        return [Connection("boss", NAT_ADDRESS)] * count

    def arrive(self) -> None:
        """What a restore brings runs with as many pods as it says."""
        for item in self.target.store.of_kind(DEPLOYMENTS, None):
            metadata = item["metadata"]
            self.target.replicas[f"{metadata['namespace']}/{metadata['name']}"] = item["spec"]["replicas"]
        self.note("restored")

    def fetch(self, url: str, timeout_seconds: float) -> bytes:
        return self.velero.fetch(url)

    def move(self, source: Any, target: Any, selection: Selection) -> Moved:
        key = REDIS if selection.only else BOSS
        self.target.replicas.setdefault(key, 0)
        for item in self.source.store.of_kind(CRON_JOBS, selection.namespace):
            held = {"spec": {**item["spec"], "suspend": True}}
            self.target.store.put({name: item[name] for name in ("apiVersion", "kind", "metadata")} | held)
        self.note(f"copied {selection.namespace}")
        return Moved((f"Deployment {key}",), ())

    def missing(self, source: Any, target: Any, selection: Selection) -> Sequence[str]:
        key = REDIS if selection.only else BOSS
        return () if key in self.target.replicas else (f"Deployment {key}",)

    def take(self, step: str, asked: str, plan_hash: str, round_: int) -> Approval | None:
        """People: they open the database and approve."""
        if not self.approvals or step in self.refuses:
            return None
        self.database_open = True
        return Approval(step, "Ada", "done", "2026-01-01T00:00:00+00:00", digest(asked))

    @property
    def state(self) -> dict[str, Any]:
        """What counts when two ends of a cutover are compared."""
        return {
            "record": self.record,
            "ttl": self.ttl,
            "forwarding": self.forwarding,
            "source": dict(self.source.replicas),
            "target": dict(self.target.replicas),
            "files": {name: flips.model_dump() for name, flips in self.stacks.files.items()},
            "states": {name: flips.model_dump() for name, flips in self.stacks.states.items()},
        }

    def context(self, stopping: Callable[[], bool] = lambda: False) -> Context:
        return Context(
            environment=self.environment,
            project=Path(),
            clusters={"source": self.source, "target": self.target, **self.others},
            stacks=self.stacks,
            dns=self,
            web=self,
            database=self,
            mover=self,
            clock=self.clock,
            say=lambda _: None,
            stopping=stopping,
        )
