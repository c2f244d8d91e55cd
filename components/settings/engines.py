"""Which engine versions AWS offers, and the parameter family that goes with each.

From the AWS documentation's version pages: RDS for MySQL "Supported MySQL major versions", RDS for PostgreSQL
"Release calendar", ElastiCache "Supported engines and versions", DMS "Release notes", EKS "Release calendar".
Read in November 2026; a new release takes a line here.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal

RelationalEngine = Literal["mysql", "postgres"]
CacheEngine = Literal["redis", "valkey"]


@dataclass(frozen=True)
class Release:
    """A major version as RDS or ElastiCache offers it."""

    family: str
    """The parameter group family."""
    extended: bool = False
    """Past its standard support: AWS takes a further price for it."""


RELATIONAL: dict[RelationalEngine, dict[str, Release]] = {
    "mysql": {
        "5.7": Release("mysql5.7", extended=True),
        "8.0": Release("mysql8.0", extended=True),
        "8.4": Release("mysql8.4"),
    },
    "postgres": {
        "12": Release("postgres12", extended=True),
        "13": Release("postgres13", extended=True),
        "14": Release("postgres14"),
        "15": Release("postgres15"),
        "16": Release("postgres16"),
        "17": Release("postgres17"),
        "18": Release("postgres18"),
    },
}
CACHE: dict[CacheEngine, dict[str, Release]] = {
    "redis": {
        "6.2": Release("redis6.x"),
        "7.0": Release("redis7"),
        "7.1": Release("redis7"),
    },
    "valkey": {
        "7.2": Release("valkey7"),
        "8.0": Release("valkey8"),
        "8.1": Release("valkey8"),
        "8.2": Release("valkey8"),
    },
}
RELATIONAL_DEFAULT: dict[RelationalEngine, str] = {"mysql": "8.4", "postgres": "17"}
CACHE_DEFAULT: dict[CacheEngine, str] = {"redis": "7.1", "valkey": "8.2"}
"""By engine, the version that new databases and caches have where the settings name none."""
REPLICATION_ENGINES = ("3.5.4", "3.6.1")
"""DMS engine versions that new instances can have."""
KUBERNETES_STANDARD_SUPPORT = {
    "1.34": date(2026, 12, 2),
    "1.35": date(2027, 3, 27),
}
"""When the standard support of a Kubernetes version on EKS ends. A newer one takes a line once `aws eks
describe-cluster-versions` tells its date: EKS has 1.36, whose date stood in no page that was read."""
KUBERNETES_DEFAULT = "1.35"
"""What a new cluster has where the settings name none: the version with the longest support ahead."""


def major_version(engine: RelationalEngine, version: str) -> str:
    """The major version that a version such as "8.4.7" belongs to."""
    parts = version.split(".")
    return ".".join(parts[:2]) if engine == "mysql" else parts[0]


def relational_release(engine: RelationalEngine, version: str) -> Release:
    """The release that a version such as "8.4" or "8.4.7" belongs to.

    Raises:
        ValueError: AWS does not offer it; the message lists what it offers.
    """
    major = major_version(engine, version)
    if major not in RELATIONAL[engine]:
        raise ValueError(f"RDS has no {engine} {version}; it has {', '.join(RELATIONAL[engine])}")
    return RELATIONAL[engine][major]


def cache_release(engine: CacheEngine, version: str) -> Release:
    """The release that a version such as "7.1" belongs to.

    Raises:
        ValueError: AWS does not offer it; the message lists what it offers.
    """
    if version not in CACHE[engine]:
        raise ValueError(f"ElastiCache has no {engine} {version}; it has {', '.join(CACHE[engine])}")
    return CACHE[engine][version]
