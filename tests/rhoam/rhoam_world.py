"""A world in memory for the plan `rhoam`: three clusters with a 3scale each, its API, databases, people.

Everything here is a fake that says what it imitates: clusters whose pods are ready at once, operators that do
what they manage while they run, a 3scale whose answers come from whichever database its Secret leads to.
"""

from __future__ import annotations

import base64
import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cutover.approvals import digest
from cutover.context import Context
from cutover.database import NoDatabase
from cutover.errors import StepError
from cutover.ports import ApiAnswer, ApiRequest, Approval, ObjectKind, PodCommand, PodResult, WorkloadState
from cutover.threescale.rhoam import DOMAIN, EMAIL, PARAMETERS, QUOTA, SMTP
from cutover.threescale.site import OPERATOR
from stacks.settings import RhoamEnvironment, WorkloadName
from stacks.settings.threescale import COMPONENTS
from tests.rhoam.rhoam_answers import Answers, content
from tests.rhoam.rhoam_names import (
    CANARY,
    MASTER_TOKEN,
    NAMESPACES,
    OPERATORS,
    RHOAM,
    SSO,
    WILDCARDS,
    encode,
)

_PLURALS = {
    "Deployment": "deployments",
    "Secret": "secrets",
    "Route": "routes",
    "Pod": "pods",
    "APIManager": "apimanagers",
    "Subscription": "subscriptions",
    "CustomDomain": "customdomains",
    "RHMI": "rhmis",
    "OAuth": "oauths",
    "KeycloakClient": "keycloakclients",
}


class FakeClock:
    """Time that passes only when somebody sleeps."""

    seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class FakeCluster:
    """A cluster whose pods are ready at once. Implements ports.Cluster as far as the plan uses it."""

    world: RhoamWorld
    name: str
    objects: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    scales_back: set[str] = field(default_factory=set)
    """Deployments that somebody unknown scales back at once."""
    reverts: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    """Secrets that somebody unknown writes over at once, by namespace and name."""
    admin: bool = True

    @property
    def context(self) -> str:
        return f"rhoam-{self.name}"

    def version(self) -> str:
        return "v1.36.1"

    def allowed(self, verb: str, group: str, resource: str, namespace: str) -> bool:
        return self.admin

    def kinds(self) -> Sequence[ObjectKind]:
        raise NotImplementedError

    def put(self, kind: str, namespace: str | None, name: str, **fields: Any) -> None:
        metadata: dict[str, Any] = {"name": name}
        for part in ("labels", "annotations"):
            if part in fields:
                metadata[part] = fields.pop(part)
        if namespace is not None:
            metadata["namespace"] = namespace
        self.objects[_PLURALS[kind], namespace or "", name] = {"kind": kind, "metadata": metadata, **fields}

    def list(self, kind: ObjectKind, namespace: str | None) -> Sequence[dict[str, Any]]:
        self.world.reconcile(self)
        return [
            copy.deepcopy(item)
            for (plural, place, _), item in self.objects.items()
            if plural == kind.plural and namespace in (None, place)
        ]

    def get(self, api_version: str, plural: str, namespace: str | None, name: str) -> dict[str, Any] | None:
        self.world.reconcile(self)
        return copy.deepcopy(self.objects.get((plural, namespace or "", name)))

    def create(self, plural: str, manifest: Mapping[str, Any]) -> None:
        metadata = manifest["metadata"]
        self.objects.setdefault((plural, metadata["namespace"], metadata["name"]), dict(manifest))
        self.world.note(f"{self.name}: create {plural} {metadata['name']}")

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
        key = (plural, namespace, name)
        if key not in self.objects:
            raise StepError(f"cluster {self.context} has no {plural} {namespace}/{name}")
        before = self.objects[key]
        self.objects[key] = merged(before, patch)
        if self.objects[key] != before:
            shown = patch["spec"]["replicas"] if plural == "deployments" else "changed"
            self.world.note(f"{self.name}: {name} {shown}")
        if plural == "deploymentconfigs":
            count = self.objects[key]["spec"]["replicas"]
            names = ("replicas", "updatedReplicas", "readyReplicas")
            self.objects[key]["status"] = dict.fromkeys(names, count)
        if plural == "deployments" and name in self.scales_back and patch["spec"]["replicas"] == 0:
            self.objects[key] = before
        if plural == "secrets" and (namespace, name) in self.reverts:
            self.objects[key] = merged(self.objects[key], {"data": encode(self.reverts[namespace, name])})

    def delete(self, api_version: str, plural: str, namespace: str, name: str) -> None:
        self.objects.pop((plural, namespace, name), None)

    def server_side_apply(self, plural: str, manifest: Mapping[str, Any], manager: str) -> None:
        raise NotImplementedError

    def logs(self, namespace: str, pod: str, container: str, tail_lines: int) -> Sequence[str]:
        return ()

    def execute(self, namespace: str, pod: str, container: str, command: Sequence[str]) -> PodCommand:
        assert "zync:resync:domains" in command[-1]
        self.world.note(f"{self.name}: resync")
        self.world.resync(self)
        return FakeCommand(self.world.exec_says)

    def replicas(self, namespace: str, name: str) -> int:
        for kind in ("deployments", "deploymentconfigs"):
            if (found := self.objects.get((kind, namespace, name))) is not None:
                return int(found["spec"]["replicas"])
        return 0

    def workload(self, name: WorkloadName) -> WorkloadState:
        found = self.objects.get(("deployments", name.namespace, name.name))
        if found is None:
            raise StepError(f"cluster {self.context} has no {name.kind} {name.key}")
        count = int(found["spec"]["replicas"])
        return WorkloadState(count, count, count, count, observed=True)

    def run_pod(
        self, namespace: str, name: str, image: str, command: Sequence[str], timeout_seconds: float
    ) -> PodResult:
        raise NotImplementedError


@dataclass
class FakeCommand:
    """What `oc exec` answers."""

    says: bytes

    def write(self, data: bytes) -> None:
        raise NotImplementedError

    def read(self, seconds: float) -> bytes:
        said, self.says = self.says, b""
        return said

    def close(self) -> None:
        """Nothing is open."""


def merged(value: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    found = dict(value) if isinstance(value, Mapping) else {}
    for key, item in patch.items():
        if item is None:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), item)
    return found


@dataclass
class FakeStacks:
    """The outputs of the stacks. Implements ports.Stacks as far as the plan uses it."""

    found: dict[str, dict[str, Any]]

    def engine(self) -> str:
        return "3.260.0"

    def outputs(self, stack: str) -> Mapping[str, Any]:
        return self.found.get(stack, {})

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


class RhoamWorld:
    """All of it, and what happened in it."""

    def __init__(self, environment: RhoamEnvironment) -> None:
        self.environment = environment
        self.clock = FakeClock()
        self.happened: list[str] = []
        self.said: list[str] = []
        self.databases: dict[str, dict[str, Any]] = {"source": content(WILDCARDS["source"])}
        """By what leads there."""
        self.redis: dict[str, dict[str, int]] = {"source": {"acme": 1200, "globex": 7}}
        self.dumps: dict[str, Any] = {}
        self.bucket: dict[str, dict[str, bytes]] = {}
        self.queues: list[dict[str, int]] = []
        """What each look at the queues finds; empty once it is used up."""
        self.exec_says = b"resynced\n"
        self.silent: set[str] = set()
        """Hosts that answer 503."""
        self.refuses: dict[str, Exception] = {}
        """What a transfer fails with, once, by the class's name."""
        self.approvals: dict[str, Approval] = {}
        self.slow: dict[str, int] = {}
        """How often a step's owner is asked until they answer; -1: they never do."""
        self.answers = Answers(self)
        self.asked: dict[str, str] = {}
        self.publishes = True
        self.account = "8" * 12
        self.clusters = {name: self._cluster(name) for name in WILDCARDS}
        self._rhoam()
        self._secrets()
        self.resync(self.clusters["source"])

    # what there is before anything is done

    def _cluster(self, name: str) -> FakeCluster:
        cluster = FakeCluster(self, name)
        space = NAMESPACES[name]
        for number, component in enumerate(COMPONENTS):
            cluster.put("Deployment", space, component, spec={"replicas": 1 + number % 2})
            labels = {"deployment": component}
            cluster.put("Pod", space, f"{component}-1", labels=labels, status={"phase": "Running"})
        cluster.put("Deployment", OPERATORS[name], OPERATOR, spec={"replicas": 1})
        version = "2.15.1" if name == "destination" else "2.13.4"
        cluster.put(
            "APIManager",
            space,
            "3scale",
            annotations={"apps.3scale.net/apimanager-threescale-version": version},
            spec={"wildcardDomain": WILDCARDS[name]},
            status={},
        )
        channel = "threescale-mas" if name == "destination" else "threescale-2.13-mas"
        cluster.put("Subscription", OPERATORS[name], "3scale-operator", spec={"channel": channel})
        return cluster

    def _rhoam(self) -> None:
        cluster = self.clusters["destination"]
        cluster.put("Deployment", RHOAM, "rhmi-operator", spec={"replicas": 1})
        cluster.put("RHMI", RHOAM, "rhoam", status={"stage": "installation"})
        cluster.put(
            "CustomDomain",
            None,
            "rhoam",
            spec={"domain": WILDCARDS["destination"]},
            status={"state": "Ready"},
        )
        cluster.put("OAuth", None, "cluster", spec={"identityProviders": [{"name": "github"}]})
        values = {
            DOMAIN: WILDCARDS["destination"],
            EMAIL: "ops@example.com",
            QUOTA: "50",
            **dict.fromkeys(SMTP, CANARY),
        }
        cluster.put("Secret", RHOAM, PARAMETERS, data=encode(values))
        cluster.put("Route", SSO, "keycloak-edge", spec={"host": f"sso.{WILDCARDS['destination']}"})

    def _secrets(self) -> None:
        source = {
            "system-seed": {
                "MASTER_ACCESS_TOKEN": MASTER_TOKEN,
                "MASTER_PASSWORD": CANARY,
                "ADMIN_PASSWORD": CANARY,
                "ADMIN_ACCESS_TOKEN": "old-admin-token",
            },
            "system-master-apicast": {"ACCESS_TOKEN": f"{CANARY}-apicast"},
            "system-app": {"SECRET_KEY_BASE": f"{CANARY}-app"},
            "system-events-hook": {"URL": "http://system-master:3000", "PASSWORD": CANARY},
            "system-recaptcha": {"PUBLIC_KEY": "", "PRIVATE_KEY": ""},
            "system-memcache": {"SERVERS": "system-memcache:11211"},
            "backend-internal-api": {"username": "3scale_api_user", "password": CANARY},
            "backend-listener": {
                "service_endpoint": "http://backend-listener:3000",
                "route_endpoint": f"https://backend-3scale.{WILDCARDS['source']}",
            },
            "zync": {
                "SECRET_KEY_BASE": f"{CANARY}-zync",
                "ZYNC_AUTHENTICATION_TOKEN": CANARY,
                "DATABASE_URL": "postgresql://zync@zync-database:5432/zync",
            },
        }
        self.bucket = {
            name: {key: value.encode() for key, value in values.items()} for name, values in source.items()
        }
        for name, cluster in self.clusters.items():
            for secret, values in source.items():
                own = (
                    values if name == "source" else {key: f"{name}-{value}" for key, value in values.items()}
                )
                own |= {key: values[key] for key in ("service_endpoint",) if key in values}
                cluster.put("Secret", NAMESPACES[name], secret, data=encode(own))
            for secret in ("system-database", "system-redis", "backend-redis"):
                cluster.put("Secret", NAMESPACES[name], secret, data=encode({"URL": f"postgresql://{name}"}))
        for secret in ("system-seed", "system-master-apicast", "threescale-postgres-rhoam"):
            self.clusters["destination"].put("Secret", RHOAM, secret, data={})

    # what happens by itself

    def note(self, text: str) -> None:
        self.happened.append(text)

    def reconcile(self, cluster: FakeCluster) -> None:
        """What running operators do: OLM's updates, APIManager's status, RHOAM's installation."""
        space, name = NAMESPACES[cluster.name], cluster.name
        if ("deployments", OPERATORS[name], OPERATOR) not in cluster.objects:
            return
        manager = cluster.objects["apimanagers", space, "3scale"]
        if cluster.replicas(OPERATORS[name], OPERATOR):
            channel = cluster.objects["subscriptions", OPERATORS[name], "3scale-operator"]["spec"]["channel"]
            if found := re.match(r"threescale-([0-9]+\.[0-9]+)", channel):
                annotations = {"apps.3scale.net/apimanager-threescale-version": f"{found[1]}.0"}
                if not str(manager["metadata"]["annotations"]).count(f"'{found[1]}."):
                    manager = merged(manager, {"metadata": {"annotations": annotations}})
            ready = [item for item in COMPONENTS if cluster.replicas(space, item)]
            available = "True" if len(ready) == len(COMPONENTS) else "False"
            status = {
                "conditions": [{"type": "Available", "status": available}],
                "deployments": {"ready": ready},
            }
            cluster.objects["apimanagers", space, "3scale"] = merged(manager, {"status": status})
        if name == "destination" and cluster.replicas(RHOAM, "rhmi-operator"):
            products = {"3scale": {"status": "completed"}}
            done = {
                "stages": {"installation": {"phase": "completed", "products": products}},
                "stage": "complete",
            }
            if cluster.replicas(space, "system-app"):
                cluster.objects["rhmis", RHOAM, "rhoam"]["status"] = {**done, "version": "1.45.0"}
        for key in [key for key in cluster.objects if key[0] == "keycloakclients"]:
            cluster.put(
                "Secret", SSO, f"keycloak-client-secret-{key[2]}", data=encode({"CLIENT_SECRET": CANARY})
            )

    def leads_to(self, cluster: FakeCluster) -> dict[str, Any] | None:
        """The database that a 3scale works on, by its Secret."""
        data = cluster.objects["secrets", NAMESPACES[cluster.name], "system-database"]["data"]
        url = base64.b64decode(data["URL"]).decode()
        return self.databases.get(urlsplit(url).hostname or "")

    def resync(self, cluster: FakeCluster) -> None:
        """What zync does: routes for every host in the database."""
        database = self.leads_to(cluster)
        space = NAMESPACES[cluster.name]
        for key in [key for key in cluster.objects if key[0] == "routes" and key[1] == space]:
            del cluster.objects[key]
        if database is None:
            return
        hosts = [(database["master"], "system-master")]
        for name, tenant in database["tenants"].items():
            wildcard = tenant["domain"].partition(".")[2]
            hosts += [
                (tenant["self_domain"], "system-provider"),
                (tenant["domain"], "system-developer"),
                (f"api-{name}-apicast-production.{wildcard}", "apicast-production"),
                (f"api-{name}-apicast-staging.{wildcard}", "apicast-staging"),
            ]
        admitted = [{"conditions": [{"type": "Admitted", "status": "True"}]}]
        for host, leads_to in hosts:
            cluster.put(
                "Route",
                space,
                host.replace(".", "-"),
                labels={"zync.3scale.net/route-to": leads_to},
                spec={"host": host},
                status={"ingress": admitted},
            )

    # people

    def take(self, step: str, instructions: str, plan_hash: str, round_: int) -> Approval | None:
        """Implements Approvals.take: whoever owns the step does what is asked, after a while."""
        self.asked[step] = instructions
        left = self.slow.get(step, 0)
        if left:
            self.slow[step] = left - 1 if left > 0 else left
            return None
        if step == "publish-sso" and self.publishes:
            self.publish()
        who = "Ada" if step != "agree-customer" else "Grace"
        return Approval(step, who, "done", self.clock.now().isoformat(), digest(instructions))

    def publish(self) -> None:
        """What the customer does with the SSO integrations."""
        for tenant in self.databases["destination-database"]["tenants"].values():
            for item in tenant["sso"]:
                item["published"] = True

    # the API

    def call(self, request: ApiRequest) -> ApiAnswer:
        """Implements ports.Api: a router that knows the routes of every cluster."""
        for cluster in self.clusters.values():
            space = NAMESPACES[cluster.name]
            hosts = [item["spec"]["host"] for (kind, place, _), item in cluster.objects.items()
                     if kind == "routes" and place == space]  # fmt: skip
            if request.host in hosts:
                if request.host in self.silent or not cluster.replicas(space, "system-app"):
                    return ApiAnswer(503, b"")
                database = self.leads_to(cluster)
                return (
                    ApiAnswer(503, b"") if database is None else self.answers.to(request, cluster, database)
                )
        raise StepError(f"{request}: no answer: no route")

    def context(self, stopping: Callable[[], bool] = lambda: False) -> Context:
        return Context(
            settings=self.environment,
            project=Path(),
            clusters=self.clusters,
            stacks=FakeStacks(self._outputs()),
            dns=self,  # type: ignore[arg-type]
            web=self,  # type: ignore[arg-type]
            database=NoDatabase(),
            keys=_no_keys,
            api=self,
            clock=self.clock,
            say=self.said.append,
            stopping=stopping,
        )

    def _outputs(self) -> dict[str, dict[str, Any]]:
        kinds = ("system_database", "conversion_database", "backend_redis", "system_redis")
        found = {f"{kind}_{what}": f"{kind}-{what}" for kind in kinds for what in ("address", "secret_arn")}
        common = {"vpc_id": "vpc-1", "peering_connection_id": "pcx-1", "dump_bucket": "dumps", **found}
        return {"rhoam-migration": {**common, "workspace_instance_id": "i-1"}, "rhoam": common}


def _no_keys(side: str) -> Any:
    raise NotImplementedError(side)
