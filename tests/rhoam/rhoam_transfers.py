"""The actions that move data, moving it in memory; servers are looked up by their places and never asked."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from cutover.actions.base import Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.postgres import PostgresServer
from cutover.threescale import access, domains, plug_in, queues, secrets
from cutover.throwaway import Ended, ThrowawayPod
from cutover.transfer import (
    CheckBucket,
    CompareAcross,
    CompareRedis,
    ConvertToPostgres,
    DumpDatabase,
    DumpRedis,
    LoadDatabase,
    RecoverRedis,
    RestoreByPod,
    SecretDatabase,
    StackDatabase,
    StackRedis,
    UpgradeDatabase,
)
from cutover.transfer.redis_server import RedisServer
from tests.rhoam.rhoam_names import CANARY, TOKENS

if TYPE_CHECKING:
    from tests.rhoam.rhoam_world import RhoamWorld


def _place(place: Any) -> str:
    if isinstance(place, SecretDatabase):
        return "source"
    assert isinstance(place, StackDatabase)
    if place.stack == "rhoam":
        return "destination-database"
    return "converted-database" if place.output == "conversion_database" else "loaded-database"


@contextmanager
def transfers(world: RhoamWorld) -> Iterator[None]:
    """The actions that move data, moving it in memory; the servers that are looked up by their places."""

    def redis_of(place: object) -> str:
        assert isinstance(place, StackRedis)
        return "destination" if place.stack == "rhoam" else "migration"

    def dump_database(action: DumpDatabase) -> None:
        world.dumps[action.dump.prefix] = copy.deepcopy(world.databases[_place(action.source)])

    def load(action: LoadDatabase) -> None:
        world.databases[_place(action.target)] = copy.deepcopy(world.dumps[action.dump.prefix])

    def convert(action: ConvertToPostgres) -> None:
        world.databases[_place(action.target)] = copy.deepcopy(world.databases[_place(action.source)])

    def restore(action: RestoreByPod) -> None:
        world.databases[_place(action.target)] = copy.deepcopy(world.dumps[action.dump.prefix])

    def dump_redis(action: DumpRedis) -> None:
        world.dumps[action.dump.prefix] = dict(world.redis["source"])

    def recover(action: RecoverRedis) -> None:
        world.redis[redis_of(action.target)] = dict(world.dumps[action.dump.prefix])

    def empty_database(action: Any) -> None:
        world.databases.pop(_place(action.target), None)

    def empty_redis(action: RecoverRedis) -> None:
        world.redis.pop(redis_of(action.target), None)

    def nothing(action: Any) -> None:
        """It only looks."""

    does: dict[type, tuple[Callable[[Any], None], Callable[[Any], None]]] = {
        CheckBucket: (nothing, nothing),
        DumpDatabase: (dump_database, nothing),
        LoadDatabase: (load, empty_database),
        UpgradeDatabase: (nothing, nothing),
        ConvertToPostgres: (convert, empty_database),
        CompareAcross: (nothing, nothing),
        RestoreByPod: (restore, empty_database),
        DumpRedis: (dump_redis, nothing),
        RecoverRedis: (recover, empty_redis),
        CompareRedis: (nothing, nothing),
    }
    with pytest.MonkeyPatch.context() as patch:
        for kind, (forward, back) in does.items():
            patch.setattr(kind, "apply", _method(world, kind.__name__, forward))
            patch.setattr(kind, "undo", _method(world, f"undo {kind.__name__}", back))
            patch.setattr(kind, "observe", lambda _self, _context: Observation("not done", "repeated"))
        patch.setattr(
            domains, "postgres_server", lambda _context, place: (FakeServer(world, place), "system")
        )
        patch.setattr(plug_in, "postgres_server", lambda _context, place: (_postgres(place), "system"))
        patch.setattr(plug_in, "redis_server", lambda _context, place: _redis(place))
        patch.setattr(secrets, "read_secret", lambda _context, _place, _prefix, name: _read(world, name))
        patch.setattr(queues, "run_throwaway", lambda _context, _cluster, pod: _look(world, pod))
        patch.setattr(access, "caller_identity", lambda _region, _role: {"Account": world.account})
        for name, token in TOKENS.items():
            patch.setenv(f"{name.upper()}_TOKEN", token)
        yield


def _method(world: RhoamWorld, name: str, does: Callable[[Any], None]) -> Callable[[Any, Context], Evidence]:
    def method(self: Any, context: Context) -> Evidence:
        world.note(name)
        if (error := world.refuses.pop(name, None)) is not None:
            raise error
        does(self)
        return {"did": name}

    return method


def _read(world: RhoamWorld, name: str) -> dict[str, bytes]:
    if name not in world.bucket:
        raise StepError(f"the bucket customer-secrets has no Secret {name}")
    return world.bucket[name]


def _look(world: RhoamWorld, pod: ThrowawayPod) -> Ended:
    world.clock.sleep(1)
    found = world.queues.pop(0) if len(world.queues) > 1 else (world.queues or [{}])[0]
    lines = "".join(f"{name} {number}\n" for name, number in found.items())
    return Ended(0, f"queues\nsystem/default 0\n{lines}", ())


def _postgres(place: StackDatabase) -> PostgresServer:
    return PostgresServer(place.name, _place(place), 5432, "landfall", f"{CANARY}/with:signs")


def _redis(place: StackRedis) -> RedisServer:
    return RedisServer(place.name, f"{place.stack}-{place.output}", 6379, "user", f"{CANARY}@redis", tls=True)


@dataclass
class FakeServer:
    """A PostgreSQL as far as EditDomains asks it."""

    world: RhoamWorld
    place: StackDatabase

    def connect(self, database: str) -> FakeSession:
        return FakeSession(self.world.databases[_place(self.place)])


@dataclass
class FakeSession:
    """Its session."""

    database: dict[str, Any]

    def __enter__(self) -> FakeSession:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is open."""

    def value(self, statement: str) -> Any:
        return self.database["master"]

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        if "information_schema" in statement:
            return [("accounts", "domain"), ("accounts", "self_domain")]
        tenants = self.database["tenants"]
        return [
            ("Master Account", self.database["master"], self.database["master"]),
            *((name, tenant["self_domain"], tenant["domain"]) for name, tenant in tenants.items()),
        ]

    def execute(self, statement: str, arguments: Sequence[Any]) -> int:
        pattern, new, _ = arguments
        column = "self_domain" if '"self_domain"' in statement else "domain"
        for tenant in self.database["tenants"].values():
            tenant[column] = re.sub(pattern, new, tenant[column])
        if column == "self_domain":
            self.database["master"] = re.sub(pattern, new, self.database["master"])
        return len(self.database["tenants"]) + 1
