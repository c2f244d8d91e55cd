"""Settings of an EKS cluster."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from components.settings.access import ClusterAccess, PodRole
from components.settings.base import AwsName, FieldsError, Ipv4Network, Model, architecture, repeated
from components.settings.engines import KUBERNETES_DEFAULT, KUBERNETES_STANDARD_SUPPORT


class NodeGroupSettings(Model):
    """The managed node group that carries the workloads; counts are of nodes."""

    instance_types: Annotated[tuple[str, ...], Field(min_length=1)] = ("m7i.large",)
    minimum: Annotated[int, Field(ge=1)] = 2
    maximum: Annotated[int, Field(ge=1)] = 6
    desired: Annotated[int, Field(ge=1)] = 3
    disk_gib: Annotated[int, Field(ge=20, le=16384)] = 80

    @property
    def image(self) -> str:
        """What EKS calls the nodes' image."""
        return "AL2023_ARM_64_STANDARD" if self._architectures == {"arm64"} else "AL2023_x86_64_STANDARD"

    @property
    def _architectures(self) -> set[str]:
        return {architecture(kind) for kind in self.instance_types}

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if len(self._architectures) > 1:
            text = f"expected types of one architecture, not {', '.join(self.instance_types)}"
            raise FieldsError([("instance_types", text)])
        if not self.minimum <= self.desired <= self.maximum:
            raise ValueError(
                f"expected minimum <= desired <= maximum, not {self.minimum}, {self.desired}, {self.maximum}"
            )
        return self


class ClusterSettings(Model):
    """An EKS cluster, reachable from inside its VPC alone unless `public_access_cidrs` says otherwise."""

    name: AwsName
    version: Annotated[str, Field(pattern=r"^1\.[0-9]{2}$")] = KUBERNETES_DEFAULT
    """The Kubernetes version, quoted: "1.35"."""
    node_group: NodeGroupSettings = NodeGroupSettings()
    public_access_cidrs: tuple[Ipv4Network, ...] = ()
    """Networks that may reach the API server from the internet; empty: it has no public endpoint."""
    access: tuple[ClusterAccess, ...] = ()
    """Who may use the Kubernetes API, besides the cutover's runner."""
    pod_roles: tuple[PodRole, ...] = ()
    """AWS rights of workloads."""
    log_retention_days: Literal[30, 60, 90, 180, 365] = 90

    @field_validator("version")
    @classmethod
    def _supported(cls, version: str) -> str:
        if version not in KUBERNETES_STANDARD_SUPPORT:
            known = ", ".join(KUBERNETES_STANDARD_SUPPORT)
            raise ValueError(f"expected a version that EKS supports without extra cost: {known}")
        return version

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        keys = {
            "access": [entry.name for entry in self.access],
            "pod_roles": [f"{role.namespace}/{role.service_account}" for role in self.pod_roles],
        }
        problems = [
            (key, f"expected each once, not {', '.join(twice)} again")
            for key, names in keys.items()
            if (twice := repeated(names))
        ]
        if problems:
            raise FieldsError(problems)
        return self

    @model_validator(mode="after")
    def _not_everyone(self) -> Self:
        if any(network.prefixlen == 0 for network in self.public_access_cidrs):
            raise FieldsError([("public_access_cidrs", "expected named networks, never 0.0.0.0/0")])
        return self
