"""The sections of an environment's settings."""

import ipaddress
from collections.abc import Callable
from string import Formatter
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, TypeAdapter, model_validator

from components.settings.base import (
    DnsName,
    EnvironmentVariable,
    FieldsError,
    HostName,
    HttpPath,
    Ipv4Address,
    KubernetesName,
    Labels,
    Model,
    NamespacedName,
    Owned,
    Port,
)
from components.settings.engines import RelationalEngine
from components.settings.relational import RelationalDatabaseSettings

TEMPLATE_FIELDS = ("database_host", "database_port", "database_name")
"""What the template of a ConfigMap's entry may name in braces."""


def _template(value: str) -> str:
    """text, with {database_host}, {database_port} and {database_name} in it"""
    try:
        names = {name for _, name, _, _ in Formatter().parse(value) if name is not None}
    except ValueError as error:
        raise ValueError(f"expected a template with balanced braces ({error})") from None
    if unknown := sorted(names - set(TEMPLATE_FIELDS)):
        allowed = ", ".join(f"{{{name}}}" for name in TEMPLATE_FIELDS)
        raise ValueError(f"expected only {allowed} in braces, not {', '.join(map(repr, unknown))}")
    return value


EntryKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,253}$")]
"""The key of a ConfigMap's entry."""


class KubernetesSide(Model):
    """How a cluster is found in the kubeconfig."""

    context: Annotated[str, Field(min_length=1)]


class KubernetesSettings(Model):
    """The two clusters that workloads move between."""

    source: KubernetesSide
    target: KubernetesSide


class SourceDatabaseSettings(Model):
    """Where the source's database answers."""

    internal_host: HostName
    """The name that only the source's network resolves."""
    eip: Owned[Ipv4Address]
    """The public address that lets in the target's NAT addresses alone."""


class DatabaseAdministrator(Model):
    """Names of the environment variables that hold the administrator's credentials."""

    user_env: EnvironmentVariable
    password_env: EnvironmentVariable


Account = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,32}@[A-Za-z0-9_.%-]{1,255}$")]
"""An account of MySQL, as `user@host`."""
DatabaseName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_$-]{1,64}$")]


class DatabaseSettings(Model):
    """The database that the services share."""

    engine: RelationalEngine = "mysql"
    name: DatabaseName
    further: tuple[DatabaseName, ...] = ()
    """Other databases on the same server that move along."""
    port: Port = 3306
    source: SourceDatabaseSettings
    target: RelationalDatabaseSettings | None = None
    """The database on RDS; None while none is declared."""
    administrator: DatabaseAdministrator
    accounts: tuple[Account, ...] = ()
    """The services' accounts: made on the target too, and kept from writing on whichever side is left."""

    @property
    def names(self) -> tuple[str, ...]:
        """All databases that move, `name` first."""
        return (self.name, *self.further)

    @property
    def schemas(self) -> tuple[str, ...]:
        """Whose tables are replicated: MySQL's databases, and of PostgreSQL's one database all schemas."""
        return self.names if self.engine == "mysql" else ("%",)


class CloudflareSettings(Model):
    """The DNS zones, by name, with their ids."""

    zones: Annotated[
        dict[DnsName, Owned[Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]]], Field(min_length=1)
    ]


class TtlSettings(Model):
    """A record's time to live in seconds; Cloudflare takes 60 and more, and 1 for `auto`."""

    original: Annotated[int, Field(ge=60, le=86400)] = 300
    lowered: Annotated[int, Field(ge=60, le=86400)] = 60

    @model_validator(mode="after")
    def _lowered(self) -> Self:
        if self.lowered > self.original:
            text = f"expected lowered <= original, not {self.lowered} > {self.original}"
            raise FieldsError([("lowered", text)])
        return self


_CONTENTS: dict[str, tuple[Callable[[str], object], str]] = {
    "A": (ipaddress.IPv4Address, "an IPv4 address, as the record is of type A"),
    "AAAA": (ipaddress.IPv6Address, "an IPv6 address, as the record is of type AAAA"),
    "CNAME": (TypeAdapter(DnsName).validate_python, "a domain name, as the record is of type CNAME"),
}


def _fits(record_type: str, content: str) -> bool:
    try:
        _CONTENTS[record_type][0](content)
    except ValueError:
        return False
    return True


class RecordSettings(Model):
    """A DNS record that is pointed from the source to the target."""

    name: DnsName
    zone: DnsName
    record_id: Owned[Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]] | None = None
    """The existing record's id at Cloudflare, which is imported; without one the record is created."""
    type: Literal["A", "AAAA", "CNAME"] = "A"
    ttl: TtlSettings = TtlSettings()
    proxied: bool = False
    """Answered by Cloudflare's proxy; its TTL is then Cloudflare's own and is not lowered."""
    source: Owned[str]
    """The record's content while the source serves."""
    target: Owned[str] | None = None
    """The content while the target serves; None: the target's first ingress address."""

    @model_validator(mode="after")
    def _contents_fit(self) -> Self:
        problems = [
            (key, f"expected {_CONTENTS[self.type][1]}")
            for key, content in (("source", self.source), ("target", self.target))
            if isinstance(content, str) and not _fits(self.type, content)
        ]
        if self.target is None and self.type != "A":
            problems.append(("target", f"required for a record of type {self.type}"))
        if problems:
            raise FieldsError(problems)
        return self


class DomainSettings(RecordSettings):
    """A name that users reach a service of a cluster by."""

    service: NamespacedName
    """The Service that answers for it, on both clusters."""
    target_port: Port = 8080
    """The port of the pods that the Service sends to."""
    health: HttpPath = "/healthz"


class WorkloadName(Model):
    """A workload by its name, on both clusters."""

    namespace: KubernetesName
    kind: Literal["Deployment", "StatefulSet"] = "Deployment"
    name: KubernetesName

    @property
    def key(self) -> str:
        """`namespace/name`, as flip files write it."""
        return f"{self.namespace}/{self.name}"


class WorkloadSettings(WorkloadName):
    """A workload that is moved."""

    selector: Labels
    """The labels by which its Service selects its pods."""
    domain: DnsName | None = None
    """The domain whose Service it stands behind."""
    worker: bool = False
    """Takes work by itself, such as from a queue: so it runs on one side alone, and is handed over once."""


class ConfigEntry(Model):
    """A ConfigMap's entry that says where the database is."""

    namespace: KubernetesName
    config_map: KubernetesName
    key: EntryKey
    value: Annotated[str, AfterValidator(_template)]
    """A template over `TEMPLATE_FIELDS`."""


class RedisListBuffer(Model):
    """Redis lists that hold what is not yet committed; they must be empty before their source is left."""

    name: Annotated[str, Field(min_length=1)]
    kind: Literal["redis-list"]
    host: HostName
    port: Port = 6379
    keys: Annotated[tuple[str, ...], Field(min_length=1)]
    """Key names or patterns with `*`."""
    pause_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9:_.-]{1,200}$")] | None = None
    """While this key is there, the services take nothing out of the lists; None: they cannot be told."""
