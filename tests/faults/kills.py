"""`kill -9` at each step: processes that really end by SIGKILL, and another one that goes on or goes back.

A plan's world in memory stands in a file, which the process writes after each effect. The runner, the
journal and the lease are real, and so are their files.
"""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

from cutover.approvals import Approvals
from cutover.history import BACK, FORWARD, OPERATOR, Heading
from cutover.journal import Journal, Record, read_journal
from cutover.lease import LocalLease
from cutover.plan import NoReturn, Step
from cutover.runner import Runner
from tests.cutover.forked import forked
from tests.faults.kill_worlds import WORLDS, KillWorld
from tests.faults.table import Part, run_cases

POINTS = ("before the intent", "after the intent", "after the effect", "before the outcome")
FORWARDS, BACKWARDS = Heading(FORWARD, None, OPERATOR), Heading(BACK, None, OPERATOR)
_LIVES = 4


class _Journal(Journal):
    """A journal at whose writes the process may end."""

    step, point = "", ""
    begun = False
    """Whether the intent of the step is written."""
    save: Callable[[], None]
    """Keeps the world as it is: what is outside stays when a process ends."""

    def end_here(self) -> None:
        """As `kill -9` does it."""
        self.save()
        os.kill(os.getpid(), signal.SIGKILL)

    def append(self, kind: str, data: dict[str, Any]) -> Record:
        ours = data.get("step") == self.step and data.get("direction") == FORWARD
        intent, outcome = ours and kind == "intent", ours and kind == "outcome"
        if intent and self.point == "before the intent":
            self.end_here()
        # a step that changes nothing has no effect to be killed behind
        if outcome and self.point in ("after the effect", "before the outcome"):
            self.end_here()
        record = super().append(kind, data)
        self.begun = self.begun or intent
        if intent and self.point == "after the intent":
            self.end_here()
        return record


def _life(kind: KillWorld, folder: Path, heading: Heading, step: str, point: str) -> str:
    """A runner's whole life, in this process; its outcome."""
    world = pickle.loads((folder / "world").read_bytes())  # noqa: S301 - our own file
    plan, clock = kind.plan, world.clock
    path = folder / "journal.jsonl"

    def save() -> None:
        fresh = folder / "world.new"
        fresh.write_bytes(pickle.dumps(world))
        fresh.replace(folder / "world")

    epoch = max((item.epoch for item in read_journal(path).records), default=0)
    with LocalLease(folder / "lease", clock, epoch) as lease:
        journal = _Journal(path, lease.epoch, clock)
        journal.step, journal.point, journal.save = step, point, save
        if not journal.records:
            opened = {"plan": plan.id, "plan_hash": plan.hash, "environment": plan.environment}
            journal.append("opened", opened)

        def around(effect: Callable[[], Any]) -> Any:
            found = effect()
            save()
            if journal.begun and journal.point == "after the effect":
                journal.end_here()
            return found

        with kind.inside(world, around):
            context = kind.context(world, around)
            result = Runner(plan, journal, context, cast(Approvals, world)).run(heading)
        save()
        return f"{result.outcome} {result.reason}".strip()


def live(kind: KillWorld, folder: Path, heading: Heading, step: str = "", point: str = "") -> str:
    """How a runner's life in a process of its own ended: its outcome, or `killed`."""
    return forked(folder, lambda: _life(kind, folder, heading, step, point))


def go(kind: KillWorld, folder: Path, heading: Heading) -> str:
    """Runs until an end is reached; what a plan asks to wait for passes meanwhile."""
    end = ""
    for _ in range(_LIVES):
        end = live(kind, folder, heading)
        if end in ("succeeded", "rolled back") or "no return" in end:
            return end
        _wait(kind, folder)
    return end


def _wait(kind: KillWorld, folder: Path) -> None:
    world = pickle.loads((folder / "world").read_bytes())  # noqa: S301 - our own file
    world.clock.sleep(kind.pause_seconds)
    (folder / "world").write_bytes(pickle.dumps(world))


class _Folder:
    """A new world in a folder that goes with the block."""

    def __init__(self, kind: KillWorld) -> None:
        self._kind = kind

    def __enter__(self) -> Path:
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.path = Path(tempfile.mkdtemp(prefix="landfall-kills-", dir=place))
        (self.path / "world").write_bytes(pickle.dumps(self._kind.make()))
        return self.path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


@cache
def uninterrupted(name: str, *, back: bool) -> Any:
    """The end of a run that nobody kills: there, or from the last step with a return and back."""
    kind = WORLDS[name]()
    with _Folder(kind) as folder:
        if not back:
            return kind.end(_first(go(kind, folder, FORWARDS), folder))
        return kind.source(pickle.loads((folder / "world").read_bytes()))  # noqa: S301 - our own file


def _first(outcome: str, folder: Path) -> Any:
    if outcome != "succeeded":
        raise AssertionError(f"an uninterrupted run ends with: {outcome}")
    return pickle.loads((folder / "world").read_bytes())  # noqa: S301 - our own file


def check_kill(name: str, step: str, point: str, direction: str) -> str:
    """Killed at a point of a step, then resumed or rolled back: what is wrong; empty where nothing is."""
    kind = WORLDS[name]()
    what = f"{name}: killed {point} of {step}, then {direction}"
    with _Folder(kind) as folder:
        for _ in range(_LIVES):
            end = live(kind, folder, FORWARDS, step, point)
            if end == "killed" or not end.startswith("halted"):
                break
            _wait(kind, folder)
        if end != "killed":
            return f"{what}: the runner was not killed, but {end}"
        if direction == "resume":
            end = go(kind, folder, FORWARDS)
        else:
            end = go(kind, folder, BACKWARDS)
            # refused with the number of writes that would be lost: then the way ahead is the way on
            if "would be lost" in end or ("no return" in end and _behind(kind, step)):
                end, direction = go(kind, folder, FORWARDS), "resume"
        if end != ("succeeded" if direction == "resume" else "rolled back"):
            return f"{what}: it ends with {end}"
        world = pickle.loads((folder / "world").read_bytes())  # noqa: S301 - our own file
    found = kind.end(world) if direction == "resume" else kind.source(world)
    wanted = uninterrupted(name, back=direction != "resume")
    return "" if found == wanted else f"{what}: the end differs from an uninterrupted run's"


def _behind(kind: KillWorld, step: str) -> bool:
    """Whether a step is, or is behind, one from which there is no return."""
    names = [item.id for item in kind.plan.steps]
    return any(isinstance(item.way_back, NoReturn) for item in kind.plan.steps[: names.index(step) + 1])


def kill_cases(
    names: tuple[str, ...], steps: Callable[[Step], bool] = lambda _: True
) -> Iterator[tuple[str, ...]]:
    """Every step by every point, resumed and rolled back."""
    for name in names:
        for step in WORLDS[name]().plan.steps:
            for point in POINTS if steps(step) else ():
                for direction in ("resume", "roll back"):
                    yield name, step.id, point, direction


def matrix(say: Callable[[str], None], names: tuple[str, ...] = tuple(WORLDS)) -> Part:
    """The row of the table."""
    return run_cases("real processes, worlds in memory", check_kill, kill_cases(names), say=say)
