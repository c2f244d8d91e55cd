"""The 3scale that moves into RHOAM: where it runs, what moves along, and how long each owner may take."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from components.settings.base import (
    DnsName,
    EnvironmentVariable,
    FieldsError,
    HttpPath,
    Image,
    KubernetesName,
    Matching,
    Model,
    Owned,
    Placeholder,
    repeated,
)

Component = Literal[
    "apicast-production",
    "apicast-staging",
    "backend-cron",
    "backend-listener",
    "backend-worker",
    "system-app",
    "system-memcache",
    "system-searchd",
    "system-sidekiq",
    "zync",
    "zync-database",
    "zync-que",
]
"""A Deployment of 3scale."""
COMPONENTS: tuple[Component, ...] = (
    "zync-database",
    "system-memcache",
    "system-searchd",
    "zync",
    "zync-que",
    "backend-cron",
    "backend-worker",
    "system-sidekiq",
    "system-app",
    "backend-listener",
    "apicast-staging",
    "apicast-production",
)
"""All of them, in the order in which they are started; they are ended in the reverse."""
Version = Annotated[str, AfterValidator(Matching(r"[0-9]+\.[0-9]+", "a version of 3scale such as 2.13"))]
Channel = Annotated[
    str, AfterValidator(Matching(r"[a-z0-9][a-z0-9.-]*", "a channel of the operator, such as threescale-mas"))
]
BucketName = Annotated[
    str, AfterValidator(Matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "the name of an S3 bucket"))
]
OrganizationName = Annotated[
    str, AfterValidator(Matching(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,60}", "a tenant's organization name"))
]
HostAndPort = Annotated[
    str,
    AfterValidator(Matching(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?", "a host, or host:port")),
]
Seconds = Annotated[float, Field(ge=0, le=90 * 86_400)]


class ThreescaleSide(Model):
    """A 3scale and its operator on a cluster."""

    namespace: KubernetesName = "3scale"
    operator_namespace: KubernetesName = "3scale"
    api_manager: KubernetesName = "3scale"
    """The APIManager's name."""
    subscription: KubernetesName = "3scale-operator"
    """The Subscription's name, in the operator's namespace."""


class RhoamSide(ThreescaleSide):
    """The 3scale that RHOAM installs, and RHOAM itself."""

    namespace: KubernetesName = "redhat-rhoam-3scale"
    operator_namespace: KubernetesName = "redhat-rhoam-3scale-operator"
    rhoam_namespace: KubernetesName = "redhat-rhoam-operator"
    """Where RHOAM's operator and its RHMI are."""
    installation: KubernetesName = "rhoam"
    """The RHMI's name."""
    sso_namespace: KubernetesName = "redhat-rhoam-rhsso"
    sso_realm: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,60}$")] = "openshift"
    custom_domain: Owned[DnsName] | None = None
    """The domain of the CustomDomain; None: the cluster's own is used."""


class TenantSettings(Model):
    """A tenant of the customer's that moves."""

    name: OrganizationName
    """Its organization's name, as the master portal lists it."""
    token_env: EnvironmentVariable
    """The environment variable with its access token; the customer makes it, and it moves along."""
    sso: bool = True
    """Whether RHOAM's single sign-on is set up for it."""


class UpdateSettings(Model):
    """One update of 3scale, from the version before it."""

    version: Version
    channel: Channel
    """The operator's channel that brings it."""


class DefaultTenantSettings(Model):
    """The tenant that RHOAM expects to find."""

    name: OrganizationName = "3scale"
    username: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{3,40}$")] = "admin"
    email: Owned[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]]


class OwnersSettings(Model):
    """What is held against the clock."""

    lead_seconds: Seconds = 86_400
    """How long before the migration everything that is done ahead must be done: a day or more."""
    keep_seconds: Seconds = 14 * 86_400
    """How old it may be; what is older is looked at again."""
    due_seconds: Annotated[float, Field(gt=0, le=30 * 86_400)] = 3600
    """How long a step may wait for its owner before they are reminded, again and again, during the window."""
    due_ahead_seconds: Annotated[float, Field(gt=0, le=30 * 86_400)] = 86_400
    """The same for what is done ahead."""
    window_seconds: Annotated[float, Field(gt=0, le=7 * 86_400)] = 8 * 3600
    """How long the service may be stopped, as agreed with the customer."""

    @model_validator(mode="after")
    def _lead_within_keep(self) -> Self:
        if self.lead_seconds > self.keep_seconds:
            raise FieldsError([("keep_seconds", f"expected at least lead_seconds ({self.lead_seconds:g})")])
        return self


class ThreescaleSettings(Model):
    """What the plan `rhoam` has to know of 3scale, on each cluster."""

    source: ThreescaleSide = ThreescaleSide()
    migration: ThreescaleSide = ThreescaleSide()
    destination: RhoamSide = RhoamSide()
    source_version: Owned[Version]
    """The source's; the migration cluster's 3scale is installed in it."""
    channel: Channel = "threescale-mas"
    """The operator's channel on the migration cluster: a -mas one."""
    updates: tuple[UpdateSettings, ...] = ()
    """From the source's version to RHOAM's, each from the one before."""
    components: Annotated[tuple[Component, ...], Field(min_length=1)] = COMPONENTS
    """The Deployments that there are; zync-database is absent where zync's database is an external one."""
    bucket: Owned[BucketName]
    """The customer's, with the Secrets of the source's 3scale in it."""
    bucket_region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")]
    secrets_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$")] = "secrets"
    """Where in the bucket the Secrets lie, one file each, such as `secrets/system-seed.json`."""
    tenants: Annotated[tuple[TenantSettings, ...], Field(min_length=1)]
    default_tenant: DefaultTenantSettings
    system_database: Annotated[str, Field(pattern=r"^[A-Za-z0-9_$-]{1,64}$")] = "system"
    """The name of the system database on every server."""
    source_database_host: HostAndPort | None = None
    """How the runner reaches the source's system database; None: by the host of its Secret's URL."""
    source_redis_host: HostAndPort | None = None
    """The same of the source's backend Redis."""
    upgrade_to: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+(\.[0-9]+)?$")] = "8.0"
    """The version that MySQL is upgraded to before it is converted."""
    restore_image: Image = "postgres:16"
    """The throwaway pod's that restores the dump: with sh, curl or wget, sha256sum, pg_restore and psql."""
    redis_image: Image = "redis:7.2"
    """The throwaway pod's that looks at the job queues: with sh and redis-cli."""
    install_seconds: Annotated[float, Field(gt=0, le=86_400)] = 3 * 3600
    """How long RHOAM may take to create its APIManager, and later to finish its installation."""
    update_seconds: Annotated[float, Field(gt=0, le=86_400)] = 3600
    """How long one update of 3scale may take."""
    dump_seconds: Annotated[float, Field(gt=0, le=7 * 86_400)] = 6 * 3600
    """How long a dump, a load, an upgrade or a conversion may take."""
    queue_seconds: Annotated[float, Field(ge=0, le=86_400)] = 900
    """How long the job queues may take to run empty before somebody is asked."""
    health: HttpPath = "/status"
    """What every host of 3scale answers while it is up."""
    owners: OwnersSettings = OwnersSettings()
    planned: dict[Annotated[str, Field(min_length=1)], Annotated[float, Field(gt=0, le=14 * 86_400)]] = Field(
        default_factory=dict
    )
    """How long steps are planned to take, in seconds, by their ids; a rehearsal's times count otherwise."""

    @property
    def components_in_order(self) -> tuple[Component, ...]:
        """Those that there are, in the order in which they are started."""
        return tuple(name for name in COMPONENTS if name in self.components)

    @property
    def final_version(self) -> str | Placeholder:
        """The version that 3scale has at the end."""
        return self.updates[-1].version if self.updates else self.source_version

    @model_validator(mode="after")
    def _sound(self) -> Self:
        problems = [
            *(("tenants", f"expected each name once, not {name} again") for name in self._twice()),
            *self._update_problems(),
        ]
        if not self.channel.endswith("mas"):
            problems.append(("channel", f"expected a -mas channel, not {self.channel}"))
        if absent := [name for name in COMPONENTS if name not in self.components and name != "zync-database"]:
            problems.append(("components", f"expected all but zync-database; {', '.join(absent)} is missing"))
        if problems:
            raise FieldsError(problems)
        return self

    def _twice(self) -> list[str]:
        return repeated([tenant.name for tenant in self.tenants])

    def _update_problems(self) -> list[tuple[str, str]]:
        before = self.source_version
        problems = []
        for update in self.updates:
            if not isinstance(before, Placeholder) and _number(update.version) <= _number(before):
                problems.append(("updates", f"expected a version above {before}, not {update.version}"))
            before = update.version
        return problems


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
