"""The declared facts of one environment: `Pulumi.<environment>.yaml`, key `landfall:environment`."""

from typing import Annotated

from pydantic import Field

from components.settings.access import VeleroSettings, WorkspaceSettings
from components.settings.base import AccountId, Image, Owned
from components.settings.cache import CacheSettings
from components.settings.cluster import ClusterSettings
from components.settings.network import NetworkSettings
from components.settings.replication import ReplicationSettings
from stacks.settings.base import EnvironmentBase
from stacks.settings.buffers import Buffer
from stacks.settings.moving import (
    SIDES,
    AcceptedCaller,
    CallerSettings,
    ClusterName,
    MoveSettings,
    RedisCopy,
    SourceIngress,
    Verification,
)
from stacks.settings.parts import (
    ConfigEntry,
    DatabaseSettings,
    DomainSettings,
    KubernetesSettings,
    KubernetesSide,
    WorkloadName,
    WorkloadSettings,
)

ARMED_LABEL = "landfall.dev/armed"
"""On pods that run against the target's database and wait: the Service that they will answer for."""


class Environment(EnvironmentBase):
    """Services that move from one Kubernetes cluster to another, with their database."""

    account: Owned[AccountId] | None = None
    """The AWS account; where it is known, no other is touched."""
    network: NetworkSettings
    cluster: ClusterSettings
    kubernetes: KubernetesSettings
    clusters: dict[ClusterName, KubernetesSide] = Field(default_factory=dict)
    """Other clusters, whose workloads call the services; each with an entry to change has a small stack
    `<environment>-<cluster>`."""
    database: DatabaseSettings
    cache: CacheSettings | None = None
    """A Redis on ElastiCache; None while none is declared."""
    workspace: WorkspaceSettings | None = None
    """The instance that the cutover runs on, with the journal's table and the runner's roles."""
    velero: VeleroSettings | None = None
    """Where Velero keeps backups."""
    replication: ReplicationSettings | None = None
    """How the database gets to the target; None: the stack `<environment>-replication` is not built."""
    domains: Annotated[tuple[DomainSettings, ...], Field(min_length=1)]
    workloads: Annotated[tuple[WorkloadSettings, ...], Field(min_length=1)]
    shared_workloads: tuple[WorkloadName, ...] = ()
    """Moved with the workloads and started before them."""
    config_entries: tuple[ConfigEntry, ...] = ()
    buffers: tuple[Buffer, ...] = ()
    redis_copy: RedisCopy | None = None
    """None: no Redis moves along."""
    move: MoveSettings | None = None
    """How objects get to the target."""
    source_ingress: SourceIngress | None = None
    target_ingress: SourceIngress | None = None
    callers: tuple[CallerSettings, ...] = ()
    """Who calls the services from elsewhere, as far as it is known."""
    accepted_callers: tuple[AcceptedCaller, ...] = ()
    """Callers that were found and for which nothing is done."""
    verifications: tuple[Verification, ...] = ()
    """What must work upstream once the target serves."""
    probe_image: Image
    redis_image: Image
    forwarder_image: Image
    gate_image: Image = "haproxy:3.2"
    """What holds requests while the database is switched; with bash in it."""
    forwarder_ca_bundle: Annotated[str, Field(pattern=r"^/[^\s;{}]+$")] = "/etc/ssl/certs/ca-certificates.crt"
    """In the forwarder's image, the authorities that sign the target ingress's certificate."""

    @property
    def region(self) -> str:
        """The AWS region of the target."""
        return self.network.region

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces of all that is moved, each once, in the order of the settings."""
        return tuple(dict.fromkeys(workload.namespace for workload in self.all_workloads))

    @property
    def all_workloads(self) -> tuple[WorkloadName, ...]:
        """What is moved, in the order in which it is started."""
        return (*self.shared_workloads, *self.workloads)

    @property
    def contexts(self) -> dict[str, str]:
        """The kubeconfig contexts of all clusters by name; the two sides are `source` and `target`."""
        sides = dict(zip(SIDES, (self.kubernetes.source, self.kubernetes.target), strict=True))
        return {name: side.context for name, side in (sides | self.clusters).items()}

    @property
    def caller_clusters(self) -> tuple[str, ...]:
        """Clusters, besides the two sides, on which a caller's entries change: each has a small stack."""
        changed = [caller.cluster for caller in self.callers if caller.entries]
        return tuple(name for name in self.clusters if name in changed)

    def callers_on(self, cluster: str) -> tuple[CallerSettings, ...]:
        """The callers on a cluster whose entries change."""
        return tuple(caller for caller in self.callers if caller.cluster == cluster and caller.entries)

    def domain(self, name: str) -> DomainSettings:
        """The domain of that name.

        Raises:
            KeyError: there is none.
        """
        for domain in self.domains:
            if domain.name == name:
                return domain
        raise KeyError(name)

    def selector(self, domain: DomainSettings) -> dict[str, str]:
        """The labels of the pods behind a domain's Service, which several domains may share."""
        services = {found.name: found.service for found in self.domains}
        return next(
            workload.selector
            for workload in self.workloads
            if workload.domain is not None and services[workload.domain] == domain.service
        )

    def armed_labels(self, workload: WorkloadName) -> dict[str, str]:
        """The labels of pods that wait to take over from a workload's, by its domain's Service."""
        services = {found.name: found.service.partition("/")[2] for found in self.domains}
        domain = workload.domain if isinstance(workload, WorkloadSettings) else None
        return {ARMED_LABEL: services[domain] if domain else workload.name}

    def workload(self, key: str) -> WorkloadName:
        """The workload that flip files call `key` (`namespace/name`).

        Raises:
            KeyError: there is none.
        """
        for workload in self.all_workloads:
            if workload.key == key:
                return workload
        raise KeyError(key)
