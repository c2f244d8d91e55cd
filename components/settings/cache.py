"""Settings of an ElastiCache replication group."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from components.settings.base import FieldsError, Model
from components.settings.engines import CACHE_DEFAULT, CacheEngine, Release, cache_release


def _newest(given: dict[str, Any]) -> str:
    return CACHE_DEFAULT[given["engine"]]


class CacheSettings(Model):
    """A primary with replicas in other zones, reached by TLS and as a named user."""

    engine: CacheEngine = "redis"
    version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+$")] = Field(default_factory=_newest)
    """Quoted: "7.1"; by default what is current of the engine."""
    node_type: Annotated[str, Field(pattern=r"^cache\.[a-z0-9]+\.[a-z0-9]+$")] = "cache.m7g.large"
    replicas: Annotated[int, Field(ge=1, le=5)] = 1
    """Besides the primary; one at least, so that a zone may fail."""
    snapshot_retention_days: Annotated[int, Field(ge=1, le=35)] = 7
    final_snapshot: bool = True
    """Whether deleting the group leaves a snapshot."""
    username: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{2,39}$")] = "application"
    parameters: dict[str, str] = Field(default_factory=dict)

    @property
    def release(self) -> Release:
        """What AWS says of the version."""
        return cache_release(self.engine, self.version)

    @model_validator(mode="after")
    def _offered(self) -> Self:
        try:
            cache_release(self.engine, self.version)
        except ValueError as error:
            text = f"expected a version that AWS offers: {error}"
            raise FieldsError([("version", text)]) from None
        return self
