"""Finds callers: reads what every cluster's workloads are told, and says who is told of what moves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cutover.callers import objects
from cutover.callers.names import Name, Way, mentions
from cutover.callers.objects import Item, Place, Source
from cutover.ports import Cluster, ObjectKind
from stacks.settings import Environment


@dataclass(frozen=True, order=True)
class Caller:
    """A workload that is told of something that moves."""

    cluster: str
    namespace: str
    kind: str
    name: str
    way: Way
    leads_to: str
    """The Service that it calls, as `namespace/name`, or the domain."""
    says: str
    """The name that it was told."""
    where: str
    """Where that stands."""

    @property
    def key(self) -> str:
        """`cluster/namespace/name`, by which it is known and accepted."""
        return f"{self.cluster}/{self.namespace}/{self.name}"

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name} on {self.cluster} ({self.where}: {self.says})"


@dataclass(frozen=True)
class Found:
    """What all clusters say."""

    callers: tuple[Caller, ...]
    routes: tuple[str, ...]
    """Services and Ingresses that lead to what moves, and texts that no workload reads."""
    looked_at: Mapping[str, int]
    """How many objects of each cluster were read."""

    def evidence(self) -> dict[str, Any]:
        """For the journal."""
        return {
            "callers": [asdict(caller) for caller in self.callers],
            "routes": list(self.routes),
            "looked_at": dict(self.looked_at),
        }


class Moving:
    """What moves, by the settings: whose callers are looked for, and who moves along."""

    def __init__(self, environment: Environment) -> None:
        self._whole: set[str] = set()
        self._workloads = {(item.namespace, item.name) for item in environment.all_workloads}
        if environment.move is None:
            self._whole = {item.namespace for item in environment.workloads}
        else:
            for namespace in environment.move.velero.namespaces:
                if not namespace.only:
                    self._whole.add(namespace.name)
                self._workloads |= {(namespace.name, name) for name in namespace.only}
        self.domains = tuple(domain.name for domain in environment.domains)
        self._services = {domain.service for domain in environment.domains}

    @property
    def namespaces(self) -> tuple[str, ...]:
        """All in which something moves."""
        return tuple(sorted(self._whole | {namespace for namespace, _ in self._workloads}))

    def along(self, namespace: str, name: str) -> bool:
        """Whether a workload moves: what it calls moves with it."""
        return namespace in self._whole or (namespace, name) in self._workloads

    def services(self, services: Iterable[Item], workloads: Iterable[Item]) -> list[Item]:
        """Those of the source's Services that move."""
        labels = [
            (item["metadata"]["namespace"], objects.pod_template(item)["metadata"].get("labels") or {})
            for item in workloads
            if self.along(item["metadata"]["namespace"], item["metadata"]["name"])
        ]
        return [item for item in services if not objects.is_own(item) and self._moves(item, labels)]

    def _moves(self, service: Item, labels: Sequence[tuple[str, Mapping[str, str]]]) -> bool:
        metadata = service["metadata"]
        namespace, selector = metadata["namespace"], (service.get("spec") or {}).get("selector")
        if namespace in self._whole or f"{namespace}/{metadata['name']}" in self._services:
            return True
        if not selector:
            return False
        return any(home == namespace and selector.items() <= found.items() for home, found in labels)


def find_callers(environment: Environment, clusters: Mapping[str, Cluster]) -> Found:
    """Reads every cluster. Raises StepError where one does not answer."""
    moving = Moving(environment)
    source = clusters["source"]
    workloads = [item for kind in objects.WORKLOADS for item in source.list(kind, None)]
    services = moving.services(source.list(objects.SERVICES, None), workloads)
    nodes = source.list(objects.NODES, None)
    addresses = objects.source_addresses(services, nodes)
    names = tuple(
        Name("in-cluster", key, key)
        for key in (f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in services)
    ) + tuple(Name("domain", domain) for domain in moving.domains)
    callers: list[Caller] = []
    routes: list[str] = []
    looked_at = {}
    for name, cluster in clusters.items():
        found = _Cluster(name, cluster, moving, moves_along=name in ("source", "target"))
        found.read()
        # on the target, a name in the cluster leads to the target's own Service
        here = tuple(item for item in names if item.way == "domain") if name == "target" else names
        found.look(here, addresses)
        callers += found.callers
        routes += found.routes
        looked_at[name] = found.count
    return Found(tuple(sorted(set(callers))), tuple(dict.fromkeys(routes)), looked_at)


class _Cluster:
    """One cluster: its objects, and what they say."""

    def __init__(self, name: str, cluster: Cluster, moving: Moving, *, moves_along: bool) -> None:
        self.name = name
        self.callers: list[Caller] = []
        self.routes: list[str] = []
        self.count = 0
        self._cluster = cluster
        self._moving = moving
        self._moves_along = moves_along

    def read(self) -> None:
        """Reads the objects once."""
        self._workloads = self._list(*objects.WORKLOADS)
        self._pods = [
            item for item in self._list(objects.PODS) if not item["metadata"].get("ownerReferences")
        ]
        self._texts = self._list(objects.CONFIG_MAPS)
        if self._cluster.allowed("list", "", "secrets", ""):
            self._texts += self._list(objects.SECRETS)
        self._services = self._list(objects.SERVICES)
        self._slices = self._list(objects.SLICES)
        self._ingresses = self._list(objects.INGRESSES)

    def look(self, names: tuple[Name, ...], addresses: Mapping[str, Name]) -> None:
        """Says who is told of what."""
        others = [item for item in self._services if not self._along(item)]
        for name, text in objects.led_on(others, self._slices, names, addresses):
            names = (*names, name)
            self.routes.append(f"{self.name}: {text}")
        self._look_at_ingresses(names)
        texts = {
            (item["metadata"]["namespace"], Source(item["kind"], item["metadata"]["name"])): item
            for item in self._texts
        }
        read: set[tuple[str, Source]] = set()
        for item in (*self._workloads, *self._pods):
            namespace = item["metadata"]["namespace"]
            template = item if item["kind"] == "Pod" else objects.pod_template(item)
            sources = sorted(objects.read_by(template), key=str)
            read |= {(namespace, source) for source in sources}
            if self._along(item):
                continue
            self._look_at(item, Source(item["kind"], item["metadata"]["name"]),
                          objects.template_texts(template), names)  # fmt: skip
            for source in sources:
                if found := texts.get((namespace, source)):
                    self._look_at(item, source, objects.texts(found), names)
        for (namespace, source), item in texts.items():
            if (namespace, source) not in read and not self._along(item):
                self.routes += [
                    f"{self.name}: {Place(source, key)} in {namespace} says {mention.text}, "
                    "and no workload reads it"
                    for key, text in objects.texts(item)
                    for mention in mentions(text, names, namespace)
                ]

    def _look_at(
        self, item: Item, source: Source, texts: Iterable[tuple[str, str]], names: tuple[Name, ...]
    ) -> None:
        """Notes whom a text that a workload reads tells it of."""
        metadata = item["metadata"]
        for key, text in texts:
            for mention in mentions(text, names, metadata["namespace"]):
                self.callers.append(
                    Caller(
                        cluster=self.name,
                        namespace=metadata["namespace"],
                        kind=item["kind"],
                        name=metadata["name"],
                        way=mention.name.way,
                        leads_to=mention.name.leads_to,
                        says=mention.text,
                        where=str(Place(source, key)),
                    )
                )

    def _look_at_ingresses(self, names: tuple[Name, ...]) -> None:
        """Notes Ingresses that lead to a name, or that answer for a domain somewhere else."""
        services = {name.service for name in names if name.service}
        domains = {name.leads_to for name in names if name.way == "domain" and not name.service}
        for item in self._ingresses:
            metadata = item["metadata"]
            if self._along(item):
                continue
            for rule in (item.get("spec") or {}).get("rules") or ():
                paths = (rule.get("http") or {}).get("paths") or ()
                backends = {
                    f"{metadata['namespace']}/{path['backend']['service']['name']}"
                    for path in paths
                    if path["backend"].get("service")
                }
                place = f"{self.name}: Ingress {metadata['namespace']}/{metadata['name']}"
                self.routes += [f"{place} sends to {backend}" for backend in sorted(backends & services)]
                if rule.get("host") in domains:
                    self.routes.append(f"{place} answers for {rule['host']}")

    def _along(self, item: Item) -> bool:
        """Whether an object moves along, or is landfall's own."""
        metadata = item["metadata"]
        moves = self._moves_along and self._moving.along(metadata["namespace"], metadata["name"])
        return moves or objects.is_own(item)

    def _list(self, *kinds: ObjectKind) -> list[Item]:
        found: list[Item] = [item for kind in kinds for item in self._cluster.list(kind, None)]
        self.count += len(found)
        return found
