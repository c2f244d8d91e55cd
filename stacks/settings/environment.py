"""The declared facts of one environment: `Pulumi.<environment>.yaml`, key `landfall:environment`."""

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from components.settings.access import NotificationSettings, RunnerSettings, VeleroSettings, WorkspaceSettings
from components.settings.base import AccountId, Image, Model, Owned, Placeholder
from components.settings.cache import CacheSettings
from components.settings.cluster import ClusterSettings
from components.settings.exceptions import ControlException
from components.settings.network import NetworkSettings
from components.settings.replication import ReplicationSettings
from stacks.settings.checks import CrossCheckError, cross_check
from stacks.settings.cutover import CutoverSettings
from stacks.settings.parts import (
    CloudflareSettings,
    ConfigEntry,
    DatabaseSettings,
    DomainSettings,
    KubernetesSettings,
    RedisListBuffer,
    WorkloadName,
    WorkloadSettings,
)


class EnvironmentBase(Model):
    """What every environment declares, whatever it moves."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,19}$", description="lower-case, without a hyphen")]
    tags: dict[str, str]
    """Put on every AWS resource."""
    protected: bool = True
    """Whether databases, keys, the cluster and the network refuse to be deleted, in Pulumi and in AWS. To
    delete them on purpose: set this to false, run `up`, then `destroy`."""
    notifications: NotificationSettings | None = None
    """Who is told of alarms; whatever has alarms needs it."""
    runner: RunnerSettings = RunnerSettings()
    exceptions: tuple[ControlException, ...] = ()
    """From the security controls: named, and dated."""
    cloudflare: CloudflareSettings
    cutover: CutoverSettings

    def placeholders(self) -> tuple[tuple[str, str], ...]:
        """Path and need of each fact that its owner still has to fill in."""
        return tuple(_placeholders("", self))

    @model_validator(mode="after")
    def _cross_checks(self) -> Self:
        if problems := cross_check(dict(self)):
            raise CrossCheckError(problems)
        return self


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


def _placeholders(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Placeholder):
        yield path, value.placeholder
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _placeholders(f"{path}.{name}" if path else name, getattr(value, name))
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _placeholders(f"{path}[{name}]", item)
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _placeholders(f"{path}[{index}]", item)
