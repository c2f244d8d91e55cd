"""The world of the second document's plan: the one of its tests in memory, every way out of which may fail.

Service is stopped on purpose there, so nobody is asked who was served; what is watched is the data, who works
on it, and where it ends.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from cutover.context import Context
from cutover.history import FORWARD
from cutover.ports import ApiAnswer, ApiRequest, Approval
from tests.faults.kill_worlds import end_of_rhoam, moving_data
from tests.faults.simulation.chance import chance
from tests.faults.simulation.kernel import Kernel, Life
from tests.faults.simulation.machine import Disk, SimulatedClock
from tests.faults.simulation.outside import Call, Fault, Outside, Wire
from tests.faults.simulation.rules import Rules
from tests.faults.simulation.simulated import Figures, Goal
from tests.faults.simulation.team import Entry
from tests.rhoam.rhoam_names import NAMESPACES
from tests.rhoam.rhoam_world import RhoamWorld
from tests.rhoam.test_rhoam_whole import source_as_it_is

CLUSTER_WRITES = frozenset({"create", "delete", "execute", "merge_patch", "server_side_apply"})
SERVES = "system-app"
"""The component that answers requests and writes to the database."""


class RhoamRules(Rules):
    """The data of the source is never changed, and never served by two."""

    def __init__(self, world: SimulatedRhoam) -> None:
        super().__init__(world.folder, world.disk)
        self._world = world

    def look(self, call: Call, life: Life | None) -> None:
        """`call` is about to be made."""
        world = self._world
        if not call.writes or call.dependency in ("time", "disk"):
            return
        if life is not None:
            self.intended(call)
        if world.databases["source"] != world.source_data:
            self.breaks("no write lost", f"the source's database is not as it was, before {call.name}")
        serving = world.serving()
        if len(serving) > 1:
            self.breaks(
                "one side writes", f"{' and '.join(serving)} serve the same tenants, before {call.name}"
            )


class SimulatedRhoam(RhoamWorld):
    """Implements Simulated."""

    compared = True
    """Whether its end is compared with an uninterrupted run's; not of that run itself."""

    def build(self, kernel: Kernel, faults: list[Fault], seed: int, folder: Path) -> None:
        """See Simulated."""
        self.kernel, self.folder = kernel, folder
        self.outside = Outside(kernel, chance(seed, "outside"), faults, world=self)
        self.simulated_clock = SimulatedClock(kernel, self.passed)
        self.clock = self.simulated_clock  # type: ignore[assignment]
        self.disk = Disk()
        self.disk.fault = self.outside.disk
        self.chance = chance(seed, "world")
        self.lives: list[Life] = []
        self.entry = Entry(self)
        self.latest: Context | None = None
        self.source_data = copy.deepcopy(self.databases["source"])
        self.source_before = source_as_it_is(self)
        self.rules = RhoamRules(self)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Data moves in memory, and each move is a call."""

        def move(does: Any) -> Any:
            return self.outside.call(Call("data", "move", writes=True), does)

        with moving_data(self, move):
            yield

    def port_context(self, folder: Path) -> Context:
        """See Simulated."""
        clusters: Any = {
            name: Wire(self.outside, f"{name} cluster", cluster, CLUSTER_WRITES)
            for name, cluster in self.clusters.items()
        }
        api: Any = Api(self)
        self.latest = dataclasses.replace(
            self.context(), clusters=clusters, api=api, clock=self.simulated_clock
        )
        return self.latest

    @property
    def step(self) -> str:
        """See Simulated."""
        return self.latest.step if self.latest else ""

    @property
    def state(self) -> Any:
        """See Simulated."""
        return end_of_rhoam(self)

    def serving(self) -> list[str]:
        """The clusters that work on data which came from the source."""
        tenants = set(self.source_data["tenants"])
        found = []
        for name, cluster in self.clusters.items():
            database = self.leads_to(cluster) if name != "source" else self.databases["source"]
            if cluster.replicas(NAMESPACES[name], SERVES) and database and tenants & set(database["tenants"]):
                found.append(name)
        return found

    @property
    def figures(self) -> Figures:
        """Nobody asks while service is stopped on purpose."""
        return Figures()

    def at_the_end(self, goal: Goal, end: str) -> None:
        """The end of an uninterrupted run, or the source as it was."""
        if self.compared and goal.direction == FORWARD and goal.until is None:
            wanted = uninterrupted()
            for name, here, there in zip(("objects", "databases", "redis"), self.state, wanted, strict=True):
                if here != there:
                    self.rules.breaks("known end", f"{end}: {name} are not as after an uninterrupted run")
        if goal.direction != FORWARD and goal.until is None:
            for name, found in source_as_it_is(self).items():
                if found != self.source_before[name]:
                    self.rules.breaks("known end", f"{end}: {name} of the source are not as before")

    # people

    def take(self, step: str, instructions: str, plan_hash: str, round_: int) -> Approval | None:
        """Whoever installs 3scale does so, whatever an earlier attempt has left of it."""
        if step == "install-threescale":
            self.install()
        return super().take(step, instructions, plan_hash, round_)

    def heed(self, said: str) -> None:
        """See Simulated: what a halt asks for is done by hand."""
        if "Remove the APIManager, install the operator" in said:
            self.install()

    def install(self) -> None:
        """The migration cluster's 3scale as at the beginning."""
        cluster, fresh = self.clusters["migration"], RhoamWorld(self.environment).clusters["migration"]
        for key, item in fresh.objects.items():
            if key[0] in ("deployments", "pods", "apimanagers", "subscriptions"):
                cluster.objects[key] = item

    # what the outside is made of

    def passed(self) -> None:
        """See Simulated."""

    def before(self, call: Call, life: Life | None) -> None:
        """See outside.World."""
        self.rules.look(call, life)

    def begin_fault(self, fault: Fault, call: Call) -> None:
        """See outside.World: nothing replicates here."""
        match fault.kind:
            case "partition" | "partition, refused" | "partition, one-way":
                self.outside.apart[call.dependency] = fault.kind, self.kernel.now + fault.seconds
            case "clock forward" | "clock back" | "clock frozen":
                self.simulated_clock.set_off(fault.kind, fault.seconds)

    def mend(self) -> None:
        """See outside.World."""
        self.simulated_clock.thaw()

    def lose_power(self) -> None:
        """See outside.World."""
        self.disk.lose_power(self.folder, self.chance)


class Api:
    """3scale's API, each call of which may fail. Implements ports.Api."""

    def __init__(self, world: SimulatedRhoam) -> None:
        self._world = world

    def call(self, request: ApiRequest) -> ApiAnswer:
        """See ports.Api."""
        path = request.path.partition("?")[0]
        call = Call("api", f"{request.method} {path}", request.method != "GET")
        found: ApiAnswer = self._world.outside.call(
            call, lambda: self._world.call(request), arguments=f"{request.host} {path}"
        )
        return found


@cache
def uninterrupted() -> Any:
    """The state at the end of the plan when nothing goes wrong."""
    from tests.faults.simulation.plans import case  # noqa: PLC0415 - which knows of this world
    from tests.faults.simulation.run import THERE, Schedule, run  # noqa: PLC0415

    def alone(world: SimulatedRhoam) -> None:
        world.compared = False

    return run(case("rhoam"), Schedule(0, THERE, ()), alone).state
