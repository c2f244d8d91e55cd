"""The worlds in memory of the kill matrix: for each plan how it is made, reached, and compared."""

from __future__ import annotations

import base64
import copy
import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any
from unittest import mock

from cutover.context import Context
from cutover.plan import Plan
from cutover.plans import build_plan
from cutover.transfer import (
    ConvertToPostgres,
    DumpDatabase,
    DumpRedis,
    LoadDatabase,
    RecoverRedis,
    RestoreByPod,
)
from stacks.settings import Environment, RhoamEnvironment
from tests.cutover.conftest import filled_settings
from tests.cutover.world import World
from tests.rhoam.conftest import filled_settings as rhoam_settings
from tests.rhoam.rhoam_transfers import transfers
from tests.rhoam.rhoam_world import RhoamWorld
from tests.rhoam.test_rhoam_whole import source_as_it_is

Around = Callable[[Callable[[], Any]], Any]
"""Carries out an effect, keeps the world, and may end the process."""
_OF_A_CLUSTER = {"create", "delete", "execute", "merge_patch", "run_pod", "server_side_apply"}
_OF_STACKS = {"repair", "up", "write_flips"}
_OF_DATABASES = {"prepare_users", "replicate", "retire", "prepare_reverse", "switch", "switch_back"}
_OF_DATABASES |= {"recover", "follow_again", "start_reverse", "end_reverse"}
_OF_AN_API = {"call"}
MOVES = (ConvertToPostgres, DumpDatabase, DumpRedis, LoadDatabase, RecoverRedis, RestoreByPod)
EFFECTS = frozenset(_OF_A_CLUSTER | _OF_STACKS | _OF_DATABASES | _OF_AN_API)
"""What changes something outside."""


@dataclass(frozen=True)
class KillWorld:
    """A plan's world."""

    environment: Any
    plan: Plan
    make: Callable[[], Any]
    context: Callable[[Any, Around], Context]
    """A runner's ways out, each effect carried out by the function that is given."""
    inside: Callable[[Any, Around], AbstractContextManager[Any]]
    """What has to stand around a run."""
    end: Callable[[Any], Any]
    """What an uninterrupted run and one that was killed must have in common at the end."""
    source: Callable[[Any], Any]
    """What must be as it was before, after a rollback."""
    pause_seconds: float = 60.0
    """How long an operator waits before he tries again what was halted."""


class Wire:
    """A part of the world whose effects are carried out by somebody else."""

    def __init__(self, part: Any, around: Around) -> None:
        self._part, self._around = part, around

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        if name not in EFFECTS or not callable(found):
            return found
        return lambda *args, **named: self._around(lambda: found(*args, **named))


@cache
def boss_corestone() -> KillWorld:
    """The first document's plan, both phases."""
    settings = filled_settings(replication=True)
    settings["cutover"] |= {"soak_seconds": 10, "source_quiet_seconds": 5}
    settings["cutover"]["timeouts"] |= {"callers_seen": 5}
    environment = Environment.model_validate(settings)
    administrator = environment.database.administrator
    os.environ[administrator.user_env] = os.environ[administrator.password_env] = "simulated"

    def make() -> World:
        world = World(environment)
        for name, namespace in (("boss-config", "billing-guance-intl"), ("corestone-config", "guance-basis")):
            if world.source.store.get("configmaps", namespace, name) is None:
                metadata = {"namespace": namespace, "name": name}
                found = {"apiVersion": "v1", "kind": "ConfigMap", "data": {}, "metadata": metadata}
                world.source.store.put(found)
        return world

    def context(world: World, around: Around) -> Context:
        plain = world.context()
        clusters: Any = {name: Wire(part, around) for name, part in plain.clusters.items()}
        parts: Any = {name: Wire(getattr(plain, name), around) for name in ("stacks", "database_move")}
        return dataclasses.replace(plain, clusters=clusters, **parts)

    def schedules(world: World) -> dict[tuple[str, str], bool]:
        return {
            (side, name): cluster.store.objects["cronjobs", namespace, name]["spec"].get("suspend", False)
            for side, cluster in (("source", world.source), ("target", world.target))
            for kind, namespace, name in cluster.store.objects
            if kind == "cronjobs"
        }

    def end(world: World) -> Any:
        ups = [event for event in world.events if event.startswith("up")]
        return world.state, schedules(world), ups

    def source(world: World) -> Any:
        state = world.state
        on_source = {
            name: suspended for (side, name), suspended in schedules(world).items() if side == "source"
        }
        kept = {name: state[name] for name in ("records", "ttl", "source", "database", "forwarding")}
        return kept, on_source

    return KillWorld(
        environment,
        build_plan("boss-corestone", environment),
        make,
        context,
        lambda _world, _around: nullcontext(),
        end,
        source,
    )


@cache
def rhoam() -> KillWorld:
    """The second document's plan."""
    environment = RhoamEnvironment.model_validate(rhoam_settings())

    def context(world: RhoamWorld, around: Around) -> Context:
        plain = world.context()
        clusters: Any = {name: Wire(part, around) for name, part in plain.clusters.items()}
        api: Any = Wire(plain.api, around)
        return dataclasses.replace(plain, clusters=clusters, api=api)

    return KillWorld(
        environment,
        build_plan("rhoam", environment),
        lambda: RhoamWorld(environment),
        context,
        moving_data,
        end_of_rhoam,
        source_as_it_is,
        pause_seconds=86_400.0,
    )


def end_of_rhoam(world: RhoamWorld) -> Any:
    """What counts when two ends are compared: the objects of each cluster, the databases, and Redis.

    A lost token is made anew: which one it is differs, and that it is the only one and kept does not.
    """
    objects = {name: copy.deepcopy(cluster.objects) for name, cluster in world.clusters.items()}
    databases = copy.deepcopy(world.databases)
    tenant = databases.get("destination-database", {}).get("tenants", {}).get("3scale")
    if tenant is not None:
        tokens = tuple(tenant["access_tokens"].values())
        for (kind, _, name), item in objects["destination"].items():
            if (kind, name) == ("secrets", "system-seed"):
                found = base64.b64decode(item["data"]["ADMIN_ACCESS_TOKEN"]).decode()
                item["data"]["ADMIN_ACCESS_TOKEN"] = (found,) == tokens
        tenant["access_tokens"] = len(tokens)
    return objects, databases, copy.deepcopy(world.redis)


@contextmanager
def moving_data(world: RhoamWorld, around: Around) -> Iterator[None]:
    """Data moves in memory, and each move is an effect."""
    with transfers(world), ExitStack() as stack:
        for kind in MOVES:
            for name in ("apply", "undo"):
                stack.enter_context(mock.patch.object(kind, name, _through(getattr(kind, name), around)))
        yield


def _through(do: Callable[..., Any], around: Around) -> Callable[..., Any]:
    return lambda action, context: around(lambda: do(action, context))


WORLDS: dict[str, Callable[[], KillWorld]] = {"boss-corestone": boss_corestone, "rhoam": rhoam}
