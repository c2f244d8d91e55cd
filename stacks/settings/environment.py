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
from stacks.settings.parts import (
    ConfigEntry,
    DatabaseSettings,
    DomainSettings,
    KubernetesSettings,
    RedisListBuffer,
    WorkloadName,
    WorkloadSettings,
)


class Environment(EnvironmentBase):
    """Services that move from one Kubernetes cluster to another, with their database."""

    account: Owned[AccountId] | None = None
    """The AWS account; where it is known, no other is touched."""
    network: NetworkSettings
    cluster: ClusterSettings
    kubernetes: KubernetesSettings
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
    buffers: tuple[RedisListBuffer, ...] = ()
    probe_image: Image
    redis_image: Image
    forwarder_image: Image
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

    def domain(self, name: str) -> DomainSettings:
        """The domain of that name.

        Raises:
            KeyError: there is none.
        """
        for domain in self.domains:
            if domain.name == name:
                return domain
        raise KeyError(name)

    def workload(self, key: str) -> WorkloadName:
        """The workload that flip files call `key` (`namespace/name`).

        Raises:
            KeyError: there is none.
        """
        for workload in self.all_workloads:
            if workload.key == key:
                return workload
        raise KeyError(key)
