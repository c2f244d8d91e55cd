"""The declared facts of the second environment: 3scale that moves into RHOAM."""

from typing import Annotated, Literal

from pydantic import Field

from components.settings.access import WorkspaceSettings
from components.settings.base import AccountId, Ipv4Address, Ipv4Network, Model, Owned
from components.settings.cache import CacheSettings
from components.settings.network import NetworkSettings
from components.settings.relational import RelationalDatabaseSettings
from stacks.settings.base import EnvironmentBase
from stacks.settings.parts import KubernetesSide, RecordSettings
from stacks.settings.threescale import ThreescaleSettings

VpcId = Annotated[str, Field(pattern=r"^vpc-[0-9a-f]{8,17}$")]
RouteTableId = Annotated[str, Field(pattern=r"^rtb-[0-9a-f]{8,17}$")]


class PeerSettings(Model):
    """The VPC of an OpenShift cluster, which the VPC declared here is connected with."""

    vpc_id: Owned[VpcId]
    cidr: Owned[Ipv4Network]
    owner: Owned[AccountId] | None = None
    """The VPC's account, where it is another one: its owner accepts the connection and routes it."""
    route_table_ids: tuple[Owned[RouteTableId], ...] = ()
    """Its route tables, where it is this account's."""


class ThreescaleStores(Model):
    """The databases that one 3scale works on, in a VPC beside its cluster's."""

    account: Owned[AccountId]
    network: NetworkSettings
    peer: PeerSettings
    system_database: RelationalDatabaseSettings
    backend_redis: CacheSettings
    system_redis: CacheSettings


class MigrationStores(ThreescaleStores):
    """Where the source's data is loaded, upgraded and converted; removed at the migration's end.

    `system_database` is of the source's type and version.
    """

    conversion_database: RelationalDatabaseSettings | None = None
    """The PostgreSQL that the system database is converted into; none where the source has PostgreSQL."""
    workspace: WorkspaceSettings = WorkspaceSettings()
    dump_retention_days: Annotated[int, Field(ge=1, le=365)] = 30
    """How long the bucket for secrets and dumps keeps what is in it."""


class OpenShiftSide(KubernetesSide):
    """An OpenShift cluster."""

    router: Ipv4Address | None = None
    """Where its routes answer on port 443, for a runner that does not resolve their names; None: it does."""


class OpenShiftSettings(Model):
    """The OpenShift clusters, which are given by kubeconfig contexts and never declared."""

    source: OpenShiftSide
    migration: OpenShiftSide
    destination: OpenShiftSide


class RhoamEnvironment(EnvironmentBase):
    """3scale that moves from a cluster of the customer's into RHOAM on the destination cluster."""

    kind: Literal["rhoam"]
    source_database: Literal["mysql", "postgresql", "oracle"]
    openshift: OpenShiftSettings
    threescale: ThreescaleSettings
    migration: MigrationStores
    destination: ThreescaleStores
    domains: tuple[RecordSettings, ...] = ()

    @property
    def contexts(self) -> dict[str, str]:
        """The kubeconfig contexts of all clusters by name."""
        return {
            "source": self.openshift.source.context,
            "migration": self.openshift.migration.context,
            "destination": self.openshift.destination.context,
        }
