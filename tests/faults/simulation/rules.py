"""The invariants, looked at after every event. The first that is broken ends the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults.simulation.machine import Disk

if TYPE_CHECKING:
    from tests.faults.simulation.databases import Database
    from tests.faults.simulation.kernel import Life
    from tests.faults.simulation.outside import Call
    from tests.faults.simulation.world import SimulatedWorld

INVARIANTS = {
    "no write lost": "every write that was acknowledged is found where requests are sent",
    "one side writes": "never two databases that take writes, nor two sides that run one schedule",
    "one stale effect": "what a runner that has ended sent before lands at most once, and is repaired",
    "intent before effect": "no effect without an intent that would survive the machine",
    "service": "no request is refused, and none held for longer than the plan's deadlines allow",
    "known end": "every run ends at the source, at the target, or in a halt that is named and has a way on",
}


class Rules:
    """What has been broken, if anything."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder, self._disk = folder, disk
        self.broken: tuple[str, str] | None = None
        """The invariant and what was seen."""
        self._seen = 0
        """Bytes of the journal."""
        self._open: set[str] = set()
        """Steps whose intent stands without an outcome, as what is durable of the journal says."""

    def breaks(self, invariant: str, seen: str) -> None:
        """Notes the first that is broken."""
        assert invariant in INVARIANTS
        self.broken = self.broken or (invariant, seen)

    def intended(self, call: Call) -> None:
        """Some step is begun and not ended, in what would survive the machine."""
        path = self._folder / "journal.jsonl"
        durable = self._disk.durable(path)
        if durable < self._seen:
            self._seen, self._open = 0, set()
        if durable > self._seen:
            with path.open("rb") as file:
                file.seek(self._seen)
                content = file.read(durable - self._seen)
            self._seen = durable
            for line in content.split(b"\n")[:-1]:
                record: dict[str, Any] = json.loads(line)
                if record["kind"] in ("intent", "repair"):
                    self._open.add(record["data"]["step"])
                elif record["kind"] == "outcome":
                    self._open.discard(record["data"]["step"])
        if not self._open:
            self.breaks("intent before effect", f"{call.dependency}: {call.name} without a durable intent")


class ServingRules(Rules):
    """Those of a migration during which everybody is served, whose database is switched."""

    def __init__(self, world: SimulatedWorld) -> None:
        super().__init__(world.folder, world.disk)
        self._world = world

    def look(self, call: Call, life: Life | None) -> None:
        """Looks at the world as it is; `call` is about to be made."""
        world = self._world
        if world.clients.lost:
            self.breaks("no write lost", world.clients.lost[0])
        if world.clients.refused:
            self.breaks("service", world.clients.refused[0])
        if world.pair.source.admits() and world.pair.target.admits():
            self.breaks(
                "one side writes", f"both databases take writes, before {call.dependency}: {call.name}"
            )
        if call.writes and call.dependency not in ("time", "disk"):
            self._schedules()
            if life is not None and not call.dependency.endswith("redis"):
                self.intended(call)

    def committed(self, database: Database) -> None:
        """A write is committed: the other database must not take any."""
        other = self._world.pair.target if database.side == "source" else self._world.pair.source
        if other.admits():
            self.breaks(
                "one side writes", f"the {database.side} committed a write while the {other.side} serves"
            )

    def _schedules(self) -> None:
        runs: dict[tuple[str, str], list[str]] = {}
        for cluster in (self._world.source, self._world.target):
            for (plural, namespace, name), item in cluster.store.objects.items():
                if plural == "cronjobs" and not item["spec"].get("suspend"):
                    runs.setdefault((namespace, name), []).append(cluster.side)
        for (namespace, name), sides in runs.items():
            if len(sides) > 1:
                self.breaks("one side writes", f"CronJob {namespace}/{name} runs on both sides")
