"""External databases and Redis, plugged into 3scale by its Secrets and its APIManager."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote, urlsplit

from cutover.actions.base import NO_CHANGE, Action, Condition, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.threescale.site import APPS, Site, find_secret, write_secret
from cutover.transfer.places import StackDatabase, StackRedis
from cutover.transfer.reach import postgres_server, redis_server
from cutover.transfer.redis_server import RedisServer

STORAGE, QUEUES, SYSTEM = 0, 1, 1
"""Databases of the Redis: the backend's storage and queues, and system's."""
EXTERNAL = {"system": {"database": True, "redis": True}, "backend": {"redis": True}}
_DATABASE, _BACKEND, _SYSTEM = (
    "threescale-postgres-rhoam",
    "threescale-backend-redis-rhoam",
    "threescale-redis-rhoam",
)
"""The Secrets of RHOAM's own from which its operator writes 3scale's."""


@dataclass(frozen=True, kw_only=True)
class Stores:
    """What a 3scale is to work on."""

    site: Site
    database: StackDatabase
    backend_redis: StackRedis
    system_redis: StackRedis
    also_in: str = ""
    """RHOAM's namespace, whose operator writes the same Secrets from its own; empty: none."""

    def wanted(self, context: Context) -> dict[tuple[str, str], dict[str, bytes]]:
        """The values that 3scale needs, by namespace and name of their Secrets. Raises StepError."""
        server, database = postgres_server(context, self.database)
        backend, system = redis_server(context, self.backend_redis), redis_server(context, self.system_redis)
        login = f"{quote(server.user, safe='')}:{quote(server.password, safe='')}"
        here = self.site.namespace
        found = {
            (here, "system-database"): {
                "URL": f"postgresql://{login}@{server.host}:{server.port}/{database}",
                "DB_USER": server.user,
                "DB_PASSWORD": server.password,
            },
            (here, "backend-redis"): {
                "REDIS_STORAGE_URL": _url(backend, STORAGE),
                "REDIS_QUEUES_URL": _url(backend, QUEUES),
            },
            (here, "system-redis"): {"URL": _url(system, SYSTEM)},
        }
        if self.also_in:
            found |= {
                (self.also_in, _DATABASE): {
                    "host": server.host,
                    "port": str(server.port),
                    "username": server.user,
                    "password": server.password,
                    "database": database,
                },
                (self.also_in, _BACKEND): _parts(backend),
                (self.also_in, _SYSTEM): _parts(system),
            }
        return {
            where: {key: value.encode() for key, value in values.items()} for where, values in found.items()
        }

    def differences(
        self, context: Context, wanted: Mapping[tuple[str, str], Mapping[str, bytes]] | None = None
    ) -> list[str]:
        """Keys that do not lead to the stores, as `namespace/name: key`; no value is told.

        `wanted`: what was looked up already.
        """
        found = []
        for (namespace, name), values in (wanted or self.wanted(context)).items():
            there = find_secret(self.site.on(context), namespace, name) or {}
            if wrong := [key for key, value in values.items() if not _same(there.get(key, b""), value)]:
                found.append(f"{namespace}/{name}: {', '.join(sorted(wrong))}")
        external = self.site.manager(context).get("spec", {}).get("externalComponents") or {}
        for part, kinds in EXTERNAL.items():
            found += [
                f"APIManager: spec.externalComponents.{part}.{kind}"
                for kind in kinds
                if not (external.get(part) or {}).get(kind)
            ]
        return found


@dataclass(frozen=True, kw_only=True)
class PlugIn(Action):
    """Leads a 3scale to the stores that the stacks declared."""

    stores: Stores

    def describe(self) -> str:
        """See Action."""
        return (
            f"write where {self.stores.database.name}, {self.stores.backend_redis.name} and "
            f"{self.stores.system_redis.name} are into the Secrets system-database, backend-redis and "
            f"system-redis of {self.stores.site.title}, and say in its APIManager that they are external"
        )

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        return tuple(f"differs: {text}" for text in self.stores.differences(context)) or NO_CHANGE

    def observe(self, context: Context) -> Observation:
        """See Action."""
        left = self.stores.differences(context)
        return Observation("not done" if left else "done", "; ".join(left) or "all lead to the stores")

    def apply(self, context: Context) -> Evidence:
        """Raises StepError."""
        site = self.stores.site
        cluster = site.on(context)
        wanted = self.stores.wanted(context)
        for (namespace, name), values in wanted.items():
            exists = find_secret(cluster, namespace, name) is not None
            write_secret(cluster, namespace, name, values, exists=exists)
        patch = {"spec": {"externalComponents": EXTERNAL}}
        cluster.merge_patch(APPS, "apimanagers", site.namespace, site.api_manager, patch)
        if left := self.stores.differences(context, wanted):
            raise StepError(
                f"{'; '.join(left)} of {site.title} is not as it was written: an operator that runs reverts "
                "it. Pause it, and go on"
            )
        return {
            "database": self.stores.database.name,
            "redis": [self.stores.backend_redis.name, self.stores.system_redis.name],
        }


@dataclass(frozen=True, kw_only=True)
class PluggedIn(Condition):
    """A 3scale is still led to the stores."""

    stores: Stores

    def describe(self) -> str:
        """See Condition."""
        stores = self.stores
        return f"the Secrets of {stores.site.title} still lead to {stores.database.name} and both Redis"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        if left := self.stores.differences(context):
            raise StepError(
                f"{'; '.join(left)} of {self.stores.site.title} was changed by somebody else, such as an "
                "operator that runs: pause it, take back the steps from the one that plugs in (`cutover "
                "rollback --to` the stage before), and go on with `cutover run`"
            )
        return {"leads_to": self.stores.database.name}


def _parts(server: RedisServer) -> dict[str, str]:
    """A Redis as RHOAM's Secrets have it, with what it takes to sign in."""
    found = {"uri": server.host, "port": str(server.port)}
    if server.password:
        found |= {"username": server.user, "password": server.password}
    return found | ({"tls": "true"} if server.tls else {})


def _same(there: bytes, wanted: bytes) -> bool:
    """Whether a value leads to the same: operators quote addresses otherwise, and add options to them."""
    if there == wanted:
        return True
    if b"://" not in wanted:
        return False
    try:
        one, two = (urlsplit(value.decode()) for value in (there, wanted))
        return _meaning(one) == _meaning(two)
    except ValueError:
        return False


def _meaning(url: SplitResult) -> tuple[str | int | None, ...]:
    user, password = unquote(url.username or ""), unquote(url.password or "")
    return (url.scheme, url.hostname, url.port, url.path, user, password)


def _url(server: RedisServer, database: int) -> str:
    scheme = "rediss" if server.tls else "redis"
    login = f"{quote(server.user, safe='')}:{quote(server.password, safe='')}@" if server.password else ""
    return f"{scheme}://{login}{server.host}:{server.port}/{database}"
