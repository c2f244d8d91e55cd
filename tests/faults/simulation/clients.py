"""Users and their requests: each is followed from DNS to a database, and every acknowledged write is kept.

A write takes several events: it is on its way, holds a connection and a transaction, and is acknowledged
after its commit. A request at a closed gate is held. Whoever reads finds every write that was acknowledged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from components.traffic_gate import HOLD_MILLISECONDS
from tests.cutover.world import TARGET_ADDRESS
from tests.faults.simulation.databases import Connection, Database
from tests.faults.simulation.gate import GatePod

if TYPE_CHECKING:
    from tests.faults.simulation.world import SimulatedWorld

PAUSE_SECONDS = 4.0
"""Between two requests while nothing happens."""
WORK_SECONDS = 0.05
"""How long a request is worked on while nothing else happens."""


@dataclass(eq=False)
class Request:
    """A write."""

    number: int
    domain: str
    begun: float
    gate: GatePod | None = None
    held_since: float | None = None
    """Since when it waits at a gate; None: it does not."""
    runner_seconds: float = 0.0
    """How long runners had been at work by then."""
    place: tuple[str, str] = ("", "")
    """The pool that its connection belongs to."""
    database: Database | None = None
    connection: Connection | None = None
    looks: int = 0
    """Events that it still takes."""
    until: float = 0.0

    @property
    def key(self) -> str:
        return f"w{self.number}"


@dataclass
class Resolver:
    """Where a client believes that a name leads. One that ignores the TTL never asks again."""

    address: str = ""
    until: float = -1.0


@dataclass(eq=False)
class Beside:
    """A program that nobody named: it writes with a service's account to one database, beside the gate.

    It goes where its settings say, heeds nothing but errors, and connects anew after each. It may be refused:
    what it is told is written has to be kept all the same.
    """

    number: int = 0
    connection: Connection | None = None
    writing: bool = False
    refused: int = 0


@dataclass
class Clients:
    """All of them."""

    world: SimulatedWorld
    chance: Random
    acknowledged: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Schema and key by number, of every write that was acknowledged."""
    open: list[Request] = field(default_factory=list)
    resolvers: dict[tuple[str, int], Resolver] = field(default_factory=dict)
    idle: dict[tuple[str, str], Connection] = field(default_factory=dict)
    count: int = 0
    reads: int = 0
    longest_held: float = 0.0
    refused: list[str] = field(default_factory=list)
    excused: list[str] = field(default_factory=list)
    """Refused while a switch was broken off and no runner was there yet to end it."""
    lost: list[str] = field(default_factory=list)
    next_due: float = 0.0
    beside: Beside | None = None
    """Not in every world."""

    def step(self, *, busy: bool) -> None:
        """Something happens or time has passed: requests get on, and new ones come."""
        now = self.world.kernel.now
        for request in list(self.open):
            self._get_on(request)
        if self.beside is not None and busy:
            self._write_beside(self.beside)
        if (busy and len(self.open) < 3 and self.chance.random() < 0.15) or now >= self.next_due:
            self.next_due = now + PAUSE_SECONDS
            self._begin()
            self._read()

    def _write_beside(self, beside: Beside) -> None:
        """Every other event it begins a transaction, or commits the one that it has begun."""
        database = self.world.pair.source
        if beside.connection is None or beside.connection.killed:
            account, schema = self.world.account_of(self.world.environment.workloads[0].key)
            beside.connection, beside.writing = database.connect(account, schema), False
            return
        if not database.may_write(beside.connection):
            database.connections.pop(beside.connection.number, None)
            beside.connection, beside.refused = None, beside.refused + 1
            return
        beside.writing = not beside.writing
        if not beside.writing:
            beside.number += 1
            key = f"beside{beside.number}"
            self.world.rules.committed(database)
            database.write(beside.connection.schema, key, "")
            self.acknowledged[key] = (beside.connection.schema, key)

    def settle(self) -> None:
        """The last requests come to their end; nobody comes any more."""
        for _ in range(10):
            for request in list(self.open):
                request.until = self.world.kernel.now
                self._get_on(request)

    def _begin(self) -> None:
        self.count += 1
        domain = self.chance.choice(self.world.environment.domains).name
        request = Request(self.count, domain, self.world.kernel.now, looks=self.chance.randint(1, 6))
        request.until = request.begun + WORK_SECONDS
        self.open.append(request)
        self._get_on(request)

    def resolve(self, domain: str) -> str:
        """Where a name leads, for some client. One client in three asks once and never again."""
        who = self.chance.randint(0, 2)
        found = self.resolvers.setdefault((domain, who), Resolver())
        now = self.world.kernel.now
        if not found.address or (who and now >= found.until):
            found.address, found.until = self.world.records[domain], now + self.world.ttl
        return found.address

    def _get_on(self, request: Request) -> None:
        if request.connection is None:
            self._arrive(request)
        elif request.looks > 0 and self.world.kernel.now < request.until:
            request.looks -= 1
        else:
            self._commit(request)

    def _arrive(self, request: Request) -> None:
        world = self.world
        waits = request.held_since is not None
        address = TARGET_ADDRESS if waits else self.resolve(request.domain)
        key = next(item.key for item in world.environment.workloads if item.domain == request.domain)
        if address != TARGET_ADDRESS and not world.forwarding:
            if world.source.replicas.get(key, 0) < 1:
                self._refuse(request, f"no pod of {key} runs on the source")
            else:
                self._reach(request, key, world.pair.source, "source")
            return
        # at the target: by DNS, by the source's forwarder, or held at its gate
        side, pods = world.pod_database.get(key, "source"), "target"
        gates = [pod for pod in world.gate_pods if pod.namespace == key.partition("/")[0]]
        if world.gate == "serve" and gates:
            gate = request.gate if request.gate in gates else self.chance.choice(gates)
            request.gate = gate
            if gate.closed and self._hold(request):
                return
            gate.in_flight += 1
            if gate.side == "target":
                side, pods, key = "target", "armed", f"{key}-landfall-armed"
        else:
            request.gate = None
        request.held_since = None
        if world.target.replicas.get(key, 0) < 1:
            self._refuse(request, f"no pod of {key} runs on the target")
        else:
            self._reach(request, key.removesuffix("-landfall-armed"), world.pair.server(side), pods)

    def _hold(self, request: Request) -> bool:
        """Whether it goes on waiting at the closed gate, which lets go of nobody before its own limit."""
        now, world = self.world.kernel.now, self.world
        if request.held_since is None:
            request.held_since, request.runner_seconds = now, world.runner_seconds
        self.longest_held = max(self.longest_held, now - request.held_since)
        with_runner = world.runner_seconds - request.runner_seconds
        if with_runner > world.hold_seconds:
            self.refused.append(
                f"a request to {request.domain} is held for {now - request.held_since:.1f} s, "
                f"{with_runner:.1f} s of it with a runner at work, which may take {world.hold_seconds:g} s"
            )
        return now - request.held_since < HOLD_MILLISECONDS / 1000

    def _reach(self, request: Request, key: str, database: Database, pods: str) -> None:
        """A pod takes a connection out of its pool, or opens one where there is none that works."""
        world = self.world
        request.place = (f"{pods} {key}", database.side)
        connection = self.idle.pop(request.place, None)
        if connection is None or connection.killed:
            connection = database.connect(*world.account_of(key))
        if not database.may_write(connection):
            database.connections.pop(connection.number, None)
            self._refuse(request, f"the {database.side}'s database refuses writes of {key}")
            return
        request.database, request.connection = database, connection

    def _commit(self, request: Request) -> None:
        database, connection = request.database, request.connection
        assert database is not None and connection is not None
        if connection.killed or not database.may_write(connection):
            self._refuse(request, f"the {database.side}'s database ended the transaction")
            return
        self.world.rules.committed(database)
        database.write(connection.schema, request.key, str(request.number))
        self.acknowledged[request.key] = (connection.schema, request.key)
        spare = self.idle.get(request.place)
        if spare is None or spare.killed:
            self.idle[request.place] = connection
        else:
            database.connections.pop(connection.number, None)
        self._end(request)

    def _refuse(self, request: Request, why: str) -> None:
        """An error, which a client must never see: unless nobody was there to end a switch that was begun."""
        text = f"a request to {request.domain} at {self.world.kernel.now:.1f} s: {why}"
        (self.excused if self.world.left_alone() else self.refused).append(text)
        if request.connection is not None and request.database is not None:
            request.database.connections.pop(request.connection.number, None)
        self._end(request)

    def _end(self, request: Request) -> None:
        if request.gate is not None:
            request.gate.in_flight -= 1
        self.open.remove(request)

    def _read(self) -> None:
        """What was acknowledged is found where requests are sent now."""
        if not self.acknowledged:
            return
        self.reads += 1
        key = self.chance.choice(list(self.acknowledged)[-50:])
        schema, row = self.acknowledged[key]
        side = self.world.reads_from()
        if side is not None and row not in self.world.pair.server(side).tables.get(f"{schema}.writes", {}):
            self.lost.append(f"the acknowledged write {row} is not on the {side}, where requests are sent")
