"""Runners that are really killed: a process of its own ends by SIGKILL in the middle of what a step does.

The world in memory stands in a file, which the process writes after each effect, and the next runner, again
a process of its own, takes the lease and goes on from there.
"""

from __future__ import annotations

import dataclasses
import os
import pickle
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from cutover.approvals import Approvals
from cutover.history import Heading, fold
from cutover.journal import Journal, read_journal
from cutover.lease import LocalLease
from cutover.plan import Plan
from cutover.runner import Runner
from tests.cutover.driver import BACKWARDS, FORWARDS
from tests.cutover.forked import forked
from tests.cutover.world import World

EFFECTS = {
    "create",
    "delete",
    "execute",
    "merge_patch",
    "repair",
    "run_pod",
    "server_side_apply",
    "up",
    "write_flips",
}
"""What changes something outside."""
MOMENTS = ("before", "within", "after")
_WIRED = ("stacks", "dns", "web", "database")


class Wire:
    """A part of the world behind which the process may be killed."""

    def __init__(self, part: Any, around: Callable[[str, Callable[[], Any]], Any]) -> None:
        self._part, self._around = part, around

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        if name not in EFFECTS or not callable(found):
            return found
        return lambda *args, **named: self._around(name, lambda: found(*args, **named))


class Life:
    """One runner in a process of its own."""

    def __init__(self, folder: Path, plan: Plan, heading: Heading, kill: tuple[int, str] | None) -> None:
        self.folder, self.plan, self.heading, self.kill = folder, plan, heading, kill
        self.effects = 0
        with (folder / "world").open("rb") as file:
            self.world: World = pickle.load(file)  # noqa: S301 - our own file

    def run(self) -> str:
        """Runs the plan; returns its outcome."""
        clock = self.world.clock
        epoch = max((item.epoch for item in read_journal(self.folder / "journal").records), default=0)
        with LocalLease(self.folder / "lease", clock, epoch) as lease:
            journal = Journal(self.folder / "journal", lease.epoch, clock)
            if not journal.records:
                opened = {
                    "plan": self.plan.id,
                    "plan_hash": self.plan.hash,
                    "environment": self.plan.environment,
                }
                journal.append("opened", opened)
            context = self.world.context()
            clusters = {name: Wire(part, self.around) for name, part in context.clusters.items()}
            parts = {name: Wire(getattr(context, name), self.around) for name in _WIRED}
            context = dataclasses.replace(context, clusters=clusters, **parts)  # type: ignore[arg-type]
            runner = Runner(self.plan, journal, context, cast(Approvals, self.world))
            result = runner.run(self.heading)
            self.save()
            (self.folder / "effects").write_text(str(self.effects))
            return f"{result.outcome} {result.reason}".strip()

    def around(self, name: str, effect: Callable[[], Any]) -> Any:
        """Carries out an effect, unless the process ends before it, in its middle or after it."""
        number, self.effects = self.effects, self.effects + 1
        moment = self.kill[1] if self.kill and self.kill[0] == number else ""
        if moment == "before":
            self.end()
        found = effect()
        if moment == "within" and name == "up":
            self.world.stacks.open_operations = ["an operation that was cut off"]
        if moment in ("within", "after"):
            self.end()
        self.save()
        return found

    def save(self) -> None:
        """Keeps the world, whole or not at all."""
        fresh = self.folder / "world.new"
        fresh.write_bytes(pickle.dumps(self.world))
        fresh.replace(self.folder / "world")

    def end(self) -> None:
        """As `kill -9` does it; what people did meanwhile stays done."""
        self.save()
        os.kill(os.getpid(), signal.SIGKILL)


def live(folder: Path, plan: Plan, heading: Heading, kill: tuple[int, str] | None = None) -> str:
    """How a runner's life ended: its outcome, or `killed`."""
    return forked(folder, lambda: Life(folder, plan, heading, kill).run())


def new_world(folder: Path, world: World) -> Path:
    folder.mkdir()
    (folder / "world").write_bytes(pickle.dumps(World(world.environment)))
    return folder


def end_of(folder: Path) -> tuple[dict[str, Any], dict[tuple[str, str], bool], list[str]]:
    """The state, the schedules and the flips of a world."""
    found: World = pickle.loads((folder / "world").read_bytes())  # noqa: S301 - our own file
    schedules = {
        (side, name): cluster.store.objects[key]["spec"].get("suspend", False)
        for side, cluster in (("source", found.source), ("target", found.target))
        for key in cluster.store.objects
        if (name := key[2]) and key[0] == "cronjobs"
    }
    return found.state, schedules, [event for event in found.events if event.startswith("up")]


@pytest.mark.parametrize("moment", ["within", "after"])  # before an effect is after the one before it
def test_killed_at_any_effect_it_goes_on_to_the_same_end(
    world: World, plan: Plan, tmp_path: Path, moment: str
) -> None:
    whole = new_world(tmp_path / "whole", world)
    assert live(whole, plan, FORWARDS) == "succeeded"
    count = int((whole / "effects").read_text())
    assert count > 20

    for number in range(count):
        folder = new_world(tmp_path / str(number), world)
        assert live(folder, plan, FORWARDS, (number, moment)) == "killed", number
        assert live(folder, plan, FORWARDS) == "succeeded", number
        assert end_of(folder) == end_of(whole), number
        history = fold(read_journal(folder / "journal").records)
        assert (history.outcome, history.epoch) == ("succeeded", 2), number


def test_killed_at_any_effect_it_is_rolled_back(world: World, plan: Plan, tmp_path: Path) -> None:
    whole = new_world(tmp_path / "whole", world)
    live(whole, plan, FORWARDS)
    count = int((whole / "effects").read_text())
    assert live(whole, plan, BACKWARDS) == "rolled back"
    source = end_of(whole)[0]["source"]

    for number in range(count):
        folder = new_world(tmp_path / str(number), world)
        assert live(folder, plan, FORWARDS, (number, "after")) == "killed", number
        assert live(folder, plan, BACKWARDS) == "rolled back", number
        state, schedules, _ = end_of(folder)
        assert (state["source"], state["records"], state["ttl"]) == (source, world.records, world.ttl), number
        running = {side for (side, _), suspended in schedules.items() if not suspended}
        assert running == {"source"}, number


def test_killed_on_the_way_back_it_is_rolled_back_all_the_same(
    world: World, plan: Plan, tmp_path: Path
) -> None:
    whole = new_world(tmp_path / "whole", world)
    live(whole, plan, FORWARDS)
    live(whole, plan, BACKWARDS)
    count = int((whole / "effects").read_text())
    assert count > 10

    for number in range(count):
        folder = new_world(tmp_path / str(number), world)
        live(folder, plan, FORWARDS)
        moment = MOMENTS[number % len(MOMENTS)]
        assert live(folder, plan, BACKWARDS, (number, moment)) == "killed", number
        assert live(folder, plan, BACKWARDS) == "rolled back", number
        assert end_of(folder)[:2] == end_of(whole)[:2], number


def test_killed_again_and_again_it_still_ends_well(world: World, plan: Plan, tmp_path: Path) -> None:
    folder = new_world(tmp_path / "world", world)
    lives, chance = 0, random.Random(7)  # noqa: S311 - a schedule of faults
    while live(folder, plan, FORWARDS, (chance.randint(2, 14), chance.choice(MOMENTS))) == "killed":
        lives += 1
        assert lives < 100
    whole = new_world(tmp_path / "whole", world)
    live(whole, plan, FORWARDS)

    assert lives > 5
    assert end_of(folder)[:2] == end_of(whole)[:2]
    assert fold(read_journal(folder / "journal").records).epoch == lives + 1
