"""Pulumi stacks in memory, whose `up` changes the world as the real ones do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cutover.ports import BroughtUp, Change
from stacks.settings import CallerFlips, EdgeFlips, Environment, Flips, SourceFlips, TargetFlips

if TYPE_CHECKING:
    from tests.cutover.world import World

TARGET_ADDRESS, NAT_ADDRESS = "203.0.113.64", "203.0.113.65"
RECORD = "cloudflare:index/dnsRecord:DnsRecord"


def initial(environment: Environment) -> dict[str, Flips]:
    """The flip keys before anything was begun."""
    records = {domain.name: "source" for domain in environment.domains}
    return {
        "prod-edge": EdgeFlips.model_validate({"records": records, "ttl": "original"}),
        "prod-source": SourceFlips(),
        "prod-target": TargetFlips(),
        **{f"prod-{name}": CallerFlips() for name in environment.caller_clusters},
    }


@dataclass
class FakeStacks:
    """Implements ports.Stacks."""

    world: World
    files: dict[str, Flips]
    states: dict[str, Flips]
    open_operations: list[str] = field(default_factory=list)
    drifted: list[Change] = field(default_factory=list)
    surprise: list[Change] = field(default_factory=list)
    """What every preview finds besides."""
    repaired: list[str] = field(default_factory=list)
    fails: list[Exception] = field(default_factory=list)
    """What the next `up`s of the edge end with, one after another."""

    def engine(self) -> str:
        return "3.260.0"

    def outputs(self, stack: str) -> Mapping[str, Any]:
        if stack == "prod":
            return {
                "nat_addresses": [NAT_ADDRESS],
                "ingress_addresses": [TARGET_ADDRESS],
                "database_address": "prod-database.rds.example",
            }
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
        environment = self.world.environment
        return [*_changes(environment, self.states[stack], flips), *self.surprise]

    def up(self, stack: str, timeout_seconds: float) -> BroughtUp:
        if self.fails and stack == "prod-edge":
            raise self.fails.pop(0)
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
    """What is flipped; of a mapping the items that change."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    found = []
    for key, value in new.items():
        if isinstance(value, dict):
            found += [f"{key}[{item}]={value[item]}" for item in value if value[item] != old[key].get(item)]
        elif value != old[key]:
            found.append(f"{key}={value}")
    return ", ".join(found)


def _changes(environment: Environment, before: Flips, after: Flips) -> Iterator[Change]:
    match before, after:
        case EdgeFlips(), EdgeFlips():
            for name, side in after.records.items():
                ttl = before.ttl != after.ttl
                if ttl or before.records.get(name) != side:
                    yield Change("update", RECORD, name, ("ttl",) if ttl else ("content",))
        case SourceFlips(), SourceFlips():
            yield from _stragglers(environment, before, after)
            yield from _replicas(before.replicas, after.replicas)
        case TargetFlips(), TargetFlips():
            if before.database != after.database:
                operation = "create" if before.database is None else "update"
                for name in _config_maps(environment):
                    yield Change(operation, "kubernetes:core/v1:ConfigMapPatch", name)
            yield from _replicas(before.replicas, after.replicas)
            yield from _gate(environment, before, after)
        case CallerFlips(), CallerFlips():
            for caller in environment.callers:
                was, becomes = before.callers.get(caller.key), after.callers.get(caller.key)
                if was != becomes:
                    operation = "create" if was is None else "update"
                    for entry in caller.entries:
                        name = f"{caller.namespace}/{entry.config_map}"
                        yield Change(operation, "kubernetes:core/v1:ConfigMapPatch", name)


def _stragglers(environment: Environment, before: SourceFlips, after: SourceFlips) -> Iterator[Change]:
    if before.stragglers != after.stragglers:
        for domain in environment.domains:
            yield Change("update", "kubernetes:core/v1:ServicePatch", domain.service)
    was, becomes = (flips.stragglers not in (None, "absent") for flips in (before, after))
    if was != becomes:
        operation = "create" if becomes else "delete"
        for namespace in dict.fromkeys(domain.service.partition("/")[0] for domain in environment.domains):
            yield Change(operation, "landfall:kubernetes:Forwarder", f"prod-{namespace}")
            yield Change(operation, "kubernetes:apps/v1:Deployment", f"{namespace}/landfall-forwarder")


def _gate(environment: Environment, before: TargetFlips, after: TargetFlips) -> Iterator[Change]:
    namespaces = dict.fromkeys(domain.service.partition("/")[0] for domain in environment.domains)
    was, becomes = (flips.gate not in (None, "absent") for flips in (before, after))
    if before.gate != after.gate and "serve" in (before.gate, after.gate):
        for domain in environment.domains:
            yield Change("update", "kubernetes:core/v1:ServicePatch", domain.service)
    elif before.gate is None and after.gate is not None:
        for domain in environment.domains:
            yield Change("create", "kubernetes:core/v1:ServicePatch", domain.service)
    if was != becomes:
        operation = "create" if becomes else "delete"
        for namespace in namespaces:
            for kind in ("core/v1:ConfigMap", "apps/v1:Deployment", "core/v1:Service"):
                yield Change(operation, f"kubernetes:{kind}", f"{namespace}/landfall-gate")
        for domain in environment.domains:
            for end in ("source", "target"):
                yield Change(operation, "kubernetes:core/v1:Service", f"{domain.service}-landfall-{end}")
    elif becomes and (before.gate_side or "source") != (after.gate_side or "source"):
        for namespace in namespaces:
            yield Change("update", "kubernetes:core/v1:ConfigMap", f"{namespace}/landfall-gate")


def _replicas(before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[Change]:
    for key, count in after.items():
        if before.get(key) != count:
            operation = "update" if key in before else "create"
            yield Change(operation, "kubernetes:apps/v1:DeploymentPatch", key, ("spec.replicas",))


def _config_maps(environment: Environment) -> list[str]:
    return list(
        dict.fromkeys(f"{entry.namespace}/{entry.config_map}" for entry in environment.config_entries)
    )
