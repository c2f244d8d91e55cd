"""The world that a simulated cutover moves: that of the tests in memory, with databases that replicate, a
gate that holds requests, clients that write and read all the time, and ways out of it that may fail."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from components.traffic_gate import NAME as GATE
from cutover.context import Context
from cutover.database_move import Rights, Say, verifying
from cutover.database_move.accounts import READS
from cutover.database_move.mysql_move import MySqlMove
from cutover.database_move.switching import Switching
from cutover.errors import StepError
from cutover.fence import GrantsFence
from cutover.ports import Connection, KeyChanges, ObjectKind, PodCommand, Side
from cutover.replication.dms import DmsReplication
from cutover.switching import SwitchRecord
from cutover.switching.switch import GIVE_UP_SECONDS
from cutover.verification import Result
from stacks.settings import Environment, Flips, TargetFlips
from tests.cutover.redis_in_memory import MemoryKeys
from tests.cutover.world import FakeCluster, World
from tests.faults.simulation.chance import chance
from tests.faults.simulation.clients import Beside, Clients
from tests.faults.simulation.databases import ALL, Database, Pair, SimulatedDms, SimulatedServer
from tests.faults.simulation.gate import GateCommand, GatePod
from tests.faults.simulation.kernel import Kernel, Life
from tests.faults.simulation.machine import Disk, SimulatedClock
from tests.faults.simulation.outside import Call, Fault, Outside, Wire
from tests.faults.simulation.rules import ServingRules
from tests.faults.simulation.simulated import Figures, Goal
from tests.faults.simulation.team import Entry

CLUSTER_WRITES = frozenset({"create", "delete", "merge_patch", "server_side_apply"})
STACK_WRITES = frozenset({"repair", "up", "write_flips"})
KEY_WRITES = frozenset({"delete", "write"})
PODS_PER_GATE = 2
LOOK_SECONDS = 5.0
LAG_SECONDS, DMS_LAG_SECONDS = 0.05, 1.0
BESIDE_SHARE = 0.5
"""How many of the worlds have somebody who writes beside the gate."""


@dataclass
class SimulatedCluster(FakeCluster):
    """The target's cluster, with the gate's pods and with pods that read their settings when they start."""

    world: SimulatedWorld

    def list(self, kind: ObjectKind, namespace: str | None) -> Sequence[dict[str, Any]]:
        found = list(super().list(kind, namespace))
        if kind.plural == "pods":
            found += [
                {
                    "metadata": {
                        "name": pod.name,
                        "namespace": pod.namespace,
                        "labels": {"app.kubernetes.io/name": GATE},
                    },
                    "status": {"conditions": [{"type": "Ready", "status": "True"}]},
                }
                for pod in self.world.gate_pods
                if namespace in (None, pod.namespace)
            ]
        return found

    def execute(self, namespace: str, pod: str, container: str, command: Sequence[str]) -> PodCommand:
        for found in self.world.gate_pods:
            if (found.namespace, found.name) == (namespace, pod):

                def call(name: str, do: Callable[[], str]) -> str:
                    said: str = self.world.outside.call(
                        Call("gate", name, name.startswith("set map")), do, arguments=pod
                    )
                    return said

                return GateCommand(found, call)
        raise StepError(f"cluster {self.context} has no pod {namespace}/{pod}")

    def merge_patch(
        self,
        api_version: str,
        plural: str,
        namespace: str,
        name: str,
        patch: Mapping[str, Any],
        *,
        subresource: str = "",
    ) -> None:
        super().merge_patch(api_version, plural, namespace, name, patch, subresource=subresource)
        if plural == "deployments" and "template" in patch.get("spec", {}):
            self.world.start_pods(f"{namespace}/{name}")


class SimulatedKeys(MemoryKeys):
    """A Redis whose changes are waited for in virtual time; looked at seldom, as each look is work."""

    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__()
        self._clock = clock

    def changes(self, seconds: float) -> KeyChanges:
        self._check()
        if not self.happened:
            self._clock.sleep(max(seconds, LOOK_SECONDS))
            return KeyChanges()
        return self.happened.pop(0)


class Workers:
    """What commits without being asked; pausing it is a call. Implements switching.Workers."""

    def __init__(self, world: SimulatedWorld) -> None:
        self._world = world

    def prepare(self) -> None:
        self._call("look", writes=False)

    def pause(self, seconds: float) -> None:
        self._call("pause", writes=True)

    def resume(self) -> None:
        self._call("resume", writes=True)

    def close(self) -> None:
        pass

    def _call(self, name: str, *, writes: bool) -> None:
        def do() -> None:
            if writes:
                self._world.workers_paused = name == "pause"

        self._world.outside.call(Call("committers", name, writes), do)


class SimulatedSwitching(Switching):
    """The real one, with committers in memory."""

    world: SimulatedWorld

    def _committers(self) -> Any:
        return Workers(self.world)


class Servers:
    """Where both servers answer, and as whom; stands for cutover.database_move.servers.Servers."""

    def __init__(self, environment: Environment, pair: Pair) -> None:
        self.settings = environment.replication
        self.source, self.target = (
            SimulatedServer(side, f"{side}.database.example", 3306, "administrator", "", pair=pair)
            for side in ("source", "target")
        )

    def server(self, side: Side) -> SimulatedServer:
        return self.source if side == "source" else self.target

    def replication_user(self, side: Side) -> SimulatedServer:
        return dataclasses.replace(self.server(side), user="landfall_replication")

    def authority(self, side: Side) -> str:
        return f"{side}.pem"


class Compared(AbstractContextManager["Compared"]):
    """A verification that has looked at everything; under the fence it compares the rows once more."""

    def __init__(self, world: SimulatedWorld) -> None:
        self._world = world

    def __exit__(self, *_: object) -> None:
        pass

    def follow(self) -> None:
        self._call("follow")

    def finish(self, seconds: float) -> Result:
        return self._call("finish")

    def result(self) -> Result:
        return self._call("result")

    def _call(self, name: str) -> Result:
        return self._world.outside.call(Call("verification", name, writes=False), self._look)  # type: ignore[no-any-return]

    def _look(self) -> Result:
        pair = self._world.pair
        rows = differ = 0
        for table, there in pair.source.tables.items():
            if table.endswith(".writes"):
                rows += len(there)
                other = pair.target.tables.get(table, {})
                differ += len(dict(there.items() ^ other.items()))
        return Result(1, rows, 0.1, 0, 0, differ, (), (), (), 0.0, final=True)


class SimulatedMove(MySqlMove):
    """The real one on servers in memory: their preflight, dump and verification alone are made up."""

    def __init__(self, world: SimulatedWorld, folder: Path) -> None:
        environment = world.environment
        self._environment = environment
        self._database = environment.database
        self._folder = folder
        self._world = world
        servers: Any = Servers(environment, world.pair)
        self._servers = servers
        self._watched = {}
        self._switching = SimulatedSwitching(
            environment, servers, self, folder, target=world.wired_target, clock=world.simulated_clock
        )
        self._switching.world = world

    def inspect(self) -> Sequence[str]:
        with self._servers.source.connect() as session:
            session.ping()
        return []

    def prepare_users(self) -> Rights:
        with self._servers.source.connect() as source, self._servers.target.connect() as target:
            found: list[dict[str, Any]] = []
            for account in self._database.accounts:
                rights = GrantsFence(self._servers.source, (), accounts=(account,)).rights(source)
                if not rights:
                    raise StepError(f"{account} may not write to any schema of {self._servers.source}")
                self._world.pair.target.grants.setdefault(account, {})
                for right in rights:
                    name, _, host = account.partition("@")
                    target.execute(f"GRANT {READS} ON {right['on']} TO `{name}`@`{host}`")
                found += rights
            return found

    def replicate(self, say: Say) -> Mapping[str, Any]:
        self.forward().retire()
        call = Call("target database", "load", writes=True)
        start = self._world.outside.call(call, self._world.copy_database)
        forward = self.forward(start)
        forward.set_up()
        forward.start()
        return {"kind": forward.kind, "start": start, "lag_ms": forward.measure_lag(30.0) * 1000}

    def verify(self, say: Say) -> Mapping[str, Any]:
        return {**verifying.evidence(Compared(self._world).result()), "waiting": 0, "differences": []}

    def connections(self, side: Side) -> Sequence[Connection]:
        found: Sequence[Connection] = self._world.outside.call(
            Call(f"{side} database", "connections", writes=False), lambda: self._world.clients_of(side)
        )
        return found

    def _dms(self, direction: str) -> DmsReplication:
        ends = (self._servers.source, self._servers.target)
        origin, replica = ends if direction == "forward" else ends[::-1]
        return DmsReplication((self._world.dms, None), direction, origin, replica, self._database.name)


@dataclass
class SimulatedWorld(World):
    """Everything outside of the runners."""

    def build(self, kernel: Kernel, faults: list[Fault], seed: int, folder: Path) -> None:
        """What a test world does not have."""
        self.kernel, self.folder = kernel, folder
        self.outside = Outside(kernel, chance(seed, "outside"), faults, world=self)
        self.simulated_clock = SimulatedClock(kernel, self.passed)
        self.clock = self.simulated_clock  # type: ignore[assignment]
        self.keys = {side: SimulatedKeys(self.simulated_clock) for side in ("source", "target")}
        self.disk = Disk()
        self.disk.fault = self.outside.disk
        self.chance = chance(seed, "world")
        old = self.target
        self.target = SimulatedCluster(
            **{item.name: getattr(old, item.name) for item in dataclasses.fields(old)}
        )
        self.gate_pods: list[GatePod] = []
        self.pod_database: dict[str, Side] = {}
        self.workers_paused = False
        self._runners_at_work = 0.0
        self._since = 0.0
        database = self.environment.database
        self.pair = Pair(
            self.outside, Database("source", 30, kernel), Database("target", 40, kernel), lag=LAG_SECONDS
        )
        for account, schema in zip(database.accounts, database.names, strict=True):
            self.pair.source.grants[account] = {f"`{schema}`.*": set(ALL)}
            for server in (self.pair.source, self.pair.target):
                server.tables[f"{schema}.writes"] = {}
        self.dms = SimulatedDms(self.pair)
        self.lives: list[Life] = []
        self.entry = Entry(self)
        self.latest: Context | None = None
        self.rules = ServingRules(self)
        self.clients = Clients(self, chance(seed, "clients"))
        if writes_beside(seed):
            self.clients.beside = Beside()
        self.wired_target: Wire = Wire(self.outside, "target cluster", self.target, CLUSTER_WRITES)
        for name, namespace in (("boss-config", "billing-guance-intl"), ("corestone-config", "guance-basis")):
            if self.source.store.get("configmaps", namespace, name) is None:
                metadata = {"namespace": namespace, "name": name}
                self.source.store.put(
                    {"apiVersion": "v1", "kind": "ConfigMap", "data": {}, "metadata": metadata}
                )

    # what plans see

    def port_context(self, folder: Path) -> Context:
        """A runner's ways out."""
        outside = self.outside

        def wire(dependency: str, part: Any, writes: frozenset[str] = frozenset()) -> Any:
            return Wire(outside, dependency, part, writes)

        clusters = {
            "source": wire("source cluster", self.source, CLUSTER_WRITES),
            "target": self.wired_target,
            **{name: wire(name, cluster, CLUSTER_WRITES) for name, cluster in self.others.items()},
        }
        self.latest = dataclasses.replace(
            self.context(),
            clusters=clusters,
            stacks=wire("stacks", self.stacks, STACK_WRITES),
            dns=wire("dns", self),
            web=wire("web", self),
            database=wire("source database", self),
            database_move=SimulatedMove(self, folder),
            keys=lambda side: wire(f"{side} redis", self.keys[side], KEY_WRITES),
            clock=self.simulated_clock,
        )
        return self.latest

    @property
    def step(self) -> str:
        """What the last runner works on."""
        return self.latest.step if self.latest else ""

    # what the world does

    def change(self, stack: str, flips: Flips) -> None:
        before = dict(self.target.replicas)
        super().change(stack, flips)
        for key, count in self.target.replicas.items():
            if count and not before.get(key):
                self.start_pods(key)
        if isinstance(flips, TargetFlips):
            wanted = flips.gate in ("standby", "serve")
            if wanted and not self.gate_pods:
                namespaces = dict.fromkeys(
                    item.service.partition("/")[0] for item in self.environment.domains
                )
                side = "target" if flips.gate_side == "target" else "source"
                self.gate_pods = [
                    GatePod(namespace, f"{GATE}-{number}", side)
                    for namespace in namespaces
                    for number in range(PODS_PER_GATE)
                ]
            elif not wanted:
                self.gate_pods = []

    def start_pods(self, key: str) -> None:
        """Pods read which database is theirs when they start."""
        state = self.stacks.states[f"{self.environment.name}-target"]
        self.pod_database[key] = "target" if getattr(state, "database", None) == "target" else "source"

    def copy_database(self) -> str:
        """A consistent dump of the source, loaded into the target; returns its place in the binlog."""
        source, target = self.pair.source, self.pair.target
        target.tables = {name: dict(rows) for name, rows in source.tables.items()}
        target.applied[source.domain] = source.written
        return source.position()

    def account_of(self, key: str) -> tuple[str, str]:
        """The account and the schema of a workload."""
        at = [item.key for item in self.environment.workloads].index(key)
        database = self.environment.database
        return database.accounts[at], database.names[at]

    def clients_of(self, side: Side) -> list[Connection]:
        """Whom a database serves: each pod keeps a connection."""
        found = []
        for item in self.environment.workloads:
            account, schema = self.account_of(item.key)
            pods = self.source.replicas.get(item.key, 0) if side == "source" else 0
            if self.pod_database.get(item.key, "source") == side:
                pods += self.target.replicas.get(item.key, 0)
            if side == "target":
                pods += self.target.replicas.get(f"{item.key}-landfall-armed", 0)
            found += [Connection(account.partition("@")[0], "192.0.2.9", schema, True) for _ in range(pods)]
        return found

    def reads_from(self) -> Side | None:
        """Whose database answers what is asked now; None in the middle of a switch."""
        admitting = [server.side for server in (self.pair.source, self.pair.target) if server.admits()]
        return admitting[0] if len(admitting) == 1 else None

    @property
    def runner_seconds(self) -> float:
        """How long runners have been at work, what they waited for answers in vain left out."""
        return self._runners_at_work - self.outside.waited

    @property
    def hold_seconds(self) -> float:
        """How long the plan may hold a request while its runner is at work."""
        return self.environment.cutover.deadlines.total_ms / 1000 + GIVE_UP_SECONDS

    def left_alone(self) -> bool:
        """Whether a switch was begun that no runner has ended: killed, halted by a fault, or cut off."""
        for name in ("switch.jsonl", "switch-back.jsonl"):
            last = SwitchRecord.last(self.folder / "database" / name)
            if last is not None and last["stage"] not in ("done", "given up", "arming"):
                return True
        return False

    # what the outside is made of

    def passed(self) -> None:
        """Somebody has waited."""
        self.before(Call("time", "passes", writes=False), self.kernel.life)

    def before(self, call: Call, life: Life | None) -> None:
        if any(item.alive and not item.stopped and item.holds for item in self.lives):
            self._runners_at_work += self.kernel.now - self._since
        self._since = self.kernel.now
        self.pair.replicate()
        self.dms.replicate()
        self.clients.step(busy=call.dependency != "time")
        self.rules.look(call, life)

    def begin_fault(self, fault: Fault, call: Call) -> None:
        now, kernel = self.kernel.now, self.kernel
        match fault.kind:
            case "lag":
                before = self.pair.lag, self.dms.lag
                self.pair.lag = self.dms.lag = fault.seconds

                def catch_up() -> None:
                    self.pair.lag, self.dms.lag = before

                kernel.at(now + fault.seconds * 2, catch_up)
            case "replication broken":
                self.pair.broken_until = now + fault.seconds
                self.dms.failed = True

                def mend() -> None:
                    self.dms.failed = False

                kernel.at(now + fault.seconds, mend)
            case "partition" | "partition, refused" | "partition, one-way":
                self.outside.apart[call.dependency] = fault.kind, now + fault.seconds
            case "clock forward" | "clock back" | "clock frozen":
                self.simulated_clock.set_off(fault.kind, fault.seconds)

    def mend(self) -> None:
        self.pair.lag, self.dms.lag = LAG_SECONDS, DMS_LAG_SECONDS
        self.pair.broken_until, self.dms.failed = 0.0, False
        self.simulated_clock.thaw()

    def lose_power(self) -> None:
        self.disk.lose_power(self.folder, self.chance)

    # how it began, and how it ended

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Its administrator's variables; verifications compare the simulated rows."""
        administrator = self.environment.database.administrator
        os.environ[administrator.user_env] = os.environ[administrator.password_env] = "simulated"
        with mock.patch.object(verifying, "open_verification", open_verification(self)):
            yield

    def heed(self, said: str) -> None:
        """See Simulated: nothing is asked for."""

    def at_the_end(self, goal: Goal, end: str) -> None:
        """Nothing is on its way any more: every write is where it belongs."""
        self.clients.settle()
        side = self.reads_from()
        if side is None:
            self.rules.breaks("known end", f"{end}: but no database, or both, take writes")
            return
        database = self.pair.server(side)
        for schema, key in self.clients.acknowledged.values():
            if key not in database.tables.get(f"{schema}.writes", {}):
                self.rules.breaks(
                    "no write lost", f"{end}: the acknowledged write {key} is not on the {side}"
                )
                return
        if self.clients.refused:
            self.rules.breaks("service", self.clients.refused[0])

    @property
    def figures(self) -> Figures:
        """What its clients saw."""
        found = self.clients
        return Figures(len(found.acknowledged), len(found.excused), found.longest_held)


def writes_beside(seed: int) -> bool:
    """Whether somebody writes beside the gate in the world of a seed."""
    return chance(seed, "beside").random() < BESIDE_SHARE


def open_verification(world: SimulatedWorld) -> Callable[..., Compared]:
    """Stands for verifying.open_verification."""
    return lambda *_args, **_named: Compared(world)
