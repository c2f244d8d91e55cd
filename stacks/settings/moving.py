"""The sections about moving objects between clusters, and about those on other clusters who call them."""

import fnmatch
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from components.settings.base import (
    EnvironmentVariable,
    FieldsError,
    HostName,
    KubernetesName,
    Labels,
    Model,
    Port,
)
from stacks.settings.parts import EntryKey

SIDES = ("source", "target")
"""What the two clusters that workloads move between are called, wherever a setting names a cluster."""
PARTS = ("edge", "source", "target", "replication", "migration")
"""The small stacks' names behind the environment's; no other cluster can be named so."""
ClusterName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")]
"""`source`, `target`, or one of the section `clusters`."""
_URL = re.compile(r"https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[^\s?#]*)?")
_REGISTRY = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9._-]+)*")
_ANNOTATION = re.compile(r"[A-Za-z0-9._/*-]+")


def _url(value: str) -> str:
    """an http or https address without query"""
    if not _URL.fullmatch(value):
        raise ValueError(
            "expected an http or https address without query, such as http://automata.automata/state"
        )
    return value


def _registry(value: str) -> str:
    """what image names begin with, such as registry.example/team"""
    if not _REGISTRY.fullmatch(value):
        raise ValueError("expected what image names begin with, such as registry.example/team, without '/'")
    return value


def _annotation(value: str) -> str:
    """the name of an annotation, with `*` for anything"""
    if not _ANNOTATION.fullmatch(value):
        raise ValueError(
            "expected the name of an annotation, with '*' for anything, such as kubernetes.io/elb.*"
        )
    return value


Url = Annotated[str, AfterValidator(_url)]
Registry = Annotated[str, AfterValidator(_registry)]
AnnotationPattern = Annotated[str, AfterValidator(_annotation)]


class MovedNamespace(Model):
    """A namespace whose objects Velero takes along."""

    name: KubernetesName
    only: tuple[KubernetesName, ...] = ()
    """Names of the workloads that move, with what they refer to; empty: everything in it."""


class VeleroMove(Model):
    """What a backup of the source holds, and what is changed when it is restored on the target."""

    namespaces: Annotated[tuple[MovedNamespace, ...], Field(min_length=1)]
    storage_classes: dict[KubernetesName, KubernetesName] = Field(default_factory=dict)
    """The target's storage class for each of the source's."""
    images: dict[Registry, Registry] = Field(default_factory=dict)
    """What images' names begin with on the target, for what they begin with on the source."""
    drop_annotations: tuple[AnnotationPattern, ...] = ()
    """Annotations that mean something to the source's cloud alone."""
    pull_secrets: dict[KubernetesName, KubernetesName | None] = Field(default_factory=dict)
    """The target's pull secret for each of the source's; null takes it away."""

    def drops(self, annotation: str) -> bool:
        """Whether an annotation of that name is left behind."""
        return any(fnmatch.fnmatchcase(annotation, pattern) for pattern in self.drop_annotations)

    def image(self, name: str) -> str:
        """An image's name on the target; the longest registry that it begins with decides."""
        for source in sorted(self.images, key=len, reverse=True):
            if name == source or name.startswith((f"{source}/", f"{source}:", f"{source}@")):
                return self.images[source] + name[len(source) :]
        return name


class MoveSettings(Model):
    """How Kubernetes objects get from the source to the target."""

    velero: VeleroMove


class SourceIngress(Model):
    """The pods of a side's ingress controller, whose access log tells who comes."""

    namespace: KubernetesName
    selector: Labels


class HttpCheck(Model):
    """An address and the answer that is expected of it."""

    url: Url
    status: Annotated[int, Field(ge=100, le=599)] = 200
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 60


class HttpInCluster(HttpCheck):
    """An address that is asked from inside a cluster, by a pod that ends with the answer."""

    kind: Literal["http_in_cluster"] = "http_in_cluster"
    name: KubernetesName
    cluster: ClusterName
    namespace: KubernetesName
    """Where that pod runs."""


class CronJobReport(Model):
    """A CronJob that reports by a schedule of its own: a run of it now must end well."""

    kind: Literal["cron_job_report"] = "cron_job_report"
    name: KubernetesName
    cluster: ClusterName
    namespace: KubernetesName
    cron_job: KubernetesName
    retries_env: EnvironmentVariable | None = None
    """The variable of its container that says how often it repeats a report that failed."""
    retry_seconds_env: EnvironmentVariable | None = None
    """The variable that says how long it waits between two of those."""
    timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 300


Verification = Annotated[HttpInCluster | CronJobReport, Field(discriminator="kind")]
"""Something upstream that must work once the target serves."""


class CallerWorkload(Model):
    """A workload, on any cluster, that calls a service which moves."""

    cluster: ClusterName
    namespace: KubernetesName
    kind: Literal["Deployment", "StatefulSet", "DaemonSet", "CronJob"] = "Deployment"
    name: KubernetesName

    @property
    def key(self) -> str:
        """`namespace/name`, as flip files write it."""
        return f"{self.namespace}/{self.name}"


class CallerEntry(Model):
    """A ConfigMap's entry that names the service, beside the caller."""

    config_map: KubernetesName
    key: EntryKey
    source: Annotated[str, Field(min_length=1)]
    """Its value while the source serves."""
    target: Annotated[str, Field(min_length=1)]
    """Its value while the target serves."""


class CallerSettings(CallerWorkload):
    """A caller that is known, with what must change for it when the service moves."""

    entries: tuple[CallerEntry, ...] = ()
    """Flipped together; none where it calls by a domain that is declared."""
    check: HttpCheck | None = None
    """Asked from inside the caller's namespace: whether it gets through."""

    @property
    def verification(self) -> HttpInCluster | None:
        """`check`, as a verification of its own."""
        if self.check is None:
            return None
        asked = self.check.model_dump()
        return HttpInCluster(name=self.name, cluster=self.cluster, namespace=self.namespace, **asked)


class AcceptedCaller(CallerWorkload):
    """A caller that was found, and of which somebody decided that nothing has to be done for it."""

    reason: Annotated[str, Field(min_length=10)]
    by: Annotated[str, Field(min_length=1)]
    """Who decided it."""


class RedisCopy(Model):
    """What becomes of the keys of the Redis that moves along, sessions among them."""

    host: HostName
    """Its Service, by the name that pods of both clusters use."""
    port: Port = 6379
    disposition: Literal["copy", "disposable"]
    """`copy`: its keys are copied; `disposable`: they may be lost, as their owner says."""
    by: Annotated[str, Field(min_length=1)] | None = None
    """The owner who says that they may be lost."""

    @model_validator(mode="after")
    def _owned(self) -> Self:
        if self.disposition == "disposable" and self.by is None:
            raise FieldsError([("by", "required for disposable: the name of the owner who says so")])
        return self
