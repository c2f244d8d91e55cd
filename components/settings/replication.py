"""Settings of DMS."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from components.settings.base import Model, Owned
from components.settings.engines import REPLICATION_ENGINES


def _offered(version: str) -> str:
    """a DMS engine version that new instances can have"""
    if version not in REPLICATION_ENGINES:
        raise ValueError(f"expected a DMS engine version that new instances can have: {REPLICATION_ENGINES}")
    return version


class ReplicationInstanceSettings(Model):
    """The instance that DMS runs its tasks on."""

    instance_class: Annotated[str, Field(pattern=r"^dms\.[a-z0-9]+\.[a-z0-9]+$")] = "dms.r6i.large"
    version: Annotated[str, AfterValidator(_offered)] = "3.6.1"
    storage_gib: Annotated[int, Field(ge=20, le=6144)] = 100
    multi_az: bool = True


PemFile = Annotated[str, Field(pattern=r"^[\w.-]+(/[\w.-]+)*\.pem$")]


class CertificateSettings(Model):
    """Certificate authorities, as PEM files by their path in the project's folder."""

    source: Owned[PemFile]
    """Those that sign the source database's certificate."""
    target: Owned[PemFile]
    """Those that sign the target's: for RDS the bundle of its region."""


class ReplicationSettings(Model):
    """How data gets from the source's database to the target's, and back."""

    forward: Literal["native", "dms"] = "dms"
    """`native`: the databases' own, set up by the cutover; `dms`: a full load and then changes."""
    instance: ReplicationInstanceSettings = ReplicationInstanceSettings()
    certificates: CertificateSettings
    source_tls: Literal["verify-full", "verify-ca"] = "verify-full"
    """`verify-ca` for a public address that no certificate names."""
    tables: Annotated[tuple[str, ...], Field(min_length=1)] = ("%",)
    """Patterns of the tables to replicate, with `%` for anything."""
    lob_chunk_kib: Annotated[int, Field(ge=1, le=102400)] = 64
    """Large objects are moved whole, in chunks of this size."""
    service_roles: bool = True
    """Whether this stack makes the account's two DMS roles, of which there can be only one set."""
