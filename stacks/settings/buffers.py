"""Where services keep what they have accepted and not yet committed; it must be empty before it is left."""

from typing import Annotated, Literal

from pydantic import Field

from components.settings.base import HostName, Model, Port
from stacks.settings.moving import Url
from stacks.settings.parts import RedisListBuffer

Keys = Annotated[tuple[str, ...], Field(min_length=1)]
"""Key names or patterns with `*`."""
Name = Annotated[str, Field(min_length=1)]


class RedisKeysBuffer(Model):
    """Redis keys each of which stands for something un-committed, whatever it holds."""

    name: Name
    kind: Literal["redis-keys"]
    host: HostName
    port: Port = 6379
    keys: Keys


class RedisStreamBuffer(Model):
    """A queue on Redis streams: what a consumer group has not read yet, or not acknowledged."""

    name: Name
    kind: Literal["redis-stream"]
    host: HostName
    port: Port = 6379
    key: Annotated[str, Field(min_length=1)]
    group: Annotated[str, Field(min_length=1)]


class HttpBuffer(Model):
    """An address inside the cluster that says how much a service still holds in memory or in a file."""

    name: Name
    kind: Literal["http"]
    url: Url
    field: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    """The field of the JSON answer that holds the number."""


Buffer = Annotated[
    RedisListBuffer | RedisKeysBuffer | RedisStreamBuffer | HttpBuffer, Field(discriminator="kind")
]
