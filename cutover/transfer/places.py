"""Where databases, Redis and dumps are: named by the plan, found when a step runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Engine = Literal["mysql", "postgres"]
PORTS: dict[Engine, int] = {"mysql": 3306, "postgres": 5432}
REDIS_PORT = 6379


@dataclass(frozen=True, kw_only=True)
class StackDatabase:
    """A managed database that a stack declared; its administrator's secret is AWS's."""

    name: str
    """What people call it."""
    stack: str
    """The stack's full name, such as `rhoam-migration`."""
    output: str
    """What the stack's outputs `…_address` and `…_secret_arn` begin with, such as `system_database`."""
    engine: Engine
    database: str
    region: str
    port: int | None = None
    """None: the engine's own."""
    ca: str | None = None
    """A file of the project with the authorities of its certificate, which is always verified; None: those of
    SSL_CERT_FILE, else the system's."""
    role_output: str = ""
    """The stack's output with the role to be assumed for it, such as `runner_role_arns.conversion`; empty:
    as we are."""


@dataclass(frozen=True, kw_only=True)
class SecretDatabase:
    """A database whose address and credentials stand in a cluster's Secret, as 3scale's do."""

    name: str
    """What people call it."""
    cluster: str
    """The settings' name of the cluster."""
    namespace: str
    secret: str = "system-database"  # noqa: S105 - a name
    """The Secret's name."""
    key: str = "URL"
    """The key with `mysql2://user:password@host:port/database`, or `postgresql://…`."""
    host: str = ""
    """How we reach it, where the URL's host is known in the cluster alone; may have `:port`."""
    ca: str | None = None
    """A file of the project with the authorities of its certificate; None: it is reached as it is inside its
    cluster, without TLS."""


DatabasePlace = StackDatabase | SecretDatabase


@dataclass(frozen=True, kw_only=True)
class StackRedis:
    """A managed Redis that a stack declared, reached by TLS as a named user."""

    name: str
    stack: str
    output: str
    """What the outputs `…_address` and `…_secret_arn` begin with, such as `backend_redis`."""
    region: str
    port: int | None = None
    """None: the stack's output `…_port`, else Redis's own."""
    tls: bool = True
    ca: str | None = None
    """See StackDatabase."""
    role_output: str = ""
    """See StackDatabase."""


@dataclass(frozen=True, kw_only=True)
class SecretRedis:
    """A Redis whose URL stands in a cluster's Secret."""

    name: str
    cluster: str
    namespace: str
    secret: str = "backend-redis"  # noqa: S105 - a name
    """The Secret's name."""
    key: str = "REDIS_STORAGE_URL"
    host: str = ""
    """How we reach it, where the URL's host is known in the cluster alone; may have `:port`."""
    ca: str | None = None


RedisPlace = StackRedis | SecretRedis


@dataclass(frozen=True, kw_only=True)
class BucketPlace:
    """An S3 bucket: one that a stack declared, or one that is given by name."""

    region: str
    stack: str = ""
    output: str = "dump_bucket"
    bucket: str = ""
    """Its name, where no stack of ours declared it."""
    role_output: str = ""
    """The output of `stack` with the role to be assumed for it; empty: as we are."""

    def __str__(self) -> str:
        return f"bucket {self.bucket}" if self.bucket else f"the bucket of stack {self.stack}"


@dataclass(frozen=True, kw_only=True)
class DumpPlace:
    """One dump: files under a prefix of a bucket, with a manifest that is written last."""

    bucket: BucketPlace
    prefix: str
    """Such as `dumps/system-mysql`; no slash at its end."""

    def __str__(self) -> str:
        return f"{self.prefix} in {self.bucket}"
