"""Every write to the journal, and every fsync, of a real runner in a real process fails, one after the other.

What fails is libc's (off_machine.c); the world is in memory, in a file that is written after each effect. The
runner has to begin nothing once it failed, and the next runner comes to the end of an uninterrupted one.
Prints, as JSON, what each case was and what was wrong with it.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

from cutover.approvals import Approvals
from cutover.errors import CutoverError
from cutover.history import BACK, FORWARD, OPERATOR, Heading
from cutover.journal import Journal, read_journal
from cutover.lease import LocalLease
from cutover.runner import Runner
from tests.cutover.forked import forked
from tests.faults.kill_worlds import KillWorld, boss_corestone
from tests.faults.off_machine import DISKS, Disk, OffMachine

THERE_FIRST = Heading(FORWARD, "validate", OPERATOR)
THERE, BACKWARDS = Heading(FORWARD, None, OPERATOR), Heading(BACK, None, OPERATOR)
NOTHING = ("", 0)
_HOUR = 3600.0


def life(kind: KillWorld, folder: Path, heading: Heading, fault: tuple[str, int]) -> str:
    """A runner's life: how it ended, how many writes and fsyncs it made, and effects behind a failure."""
    disk, late = Disk(), 0
    world = pickle.loads((folder / "world").read_bytes())  # noqa: S301 - our own file
    path = folder / "journal.jsonl"

    def around(effect: Callable[[], Any]) -> Any:
        nonlocal late
        late += bool(fault[1] and disk.failed)
        found = effect()
        (folder / "world").write_bytes(pickle.dumps(world))
        return found

    epoch = max((item.epoch for item in read_journal(path).records), default=0)
    disk.count()
    if fault[1]:
        disk.fail(*fault)
    try:
        with LocalLease(folder / "lease", world.clock, epoch) as lease:
            journal = Journal(path, lease.epoch, world.clock)
            if not journal.records:
                opened = {"plan": kind.plan.id, "plan_hash": kind.plan.hash, "environment": "prod"}
                journal.append("opened", opened)
            context = kind.context(world, around)
            result = Runner(kind.plan, journal, context, cast(Approvals, world)).run(heading)
        end = f"{result.outcome} {result.reason}".strip()
    except CutoverError as error:
        end = f"{type(error).__name__}: {error}"
    (folder / "world").write_bytes(pickle.dumps(world))
    return json.dumps([end, *disk.operations, disk.failed, late])


def lived(kind: KillWorld, folder: Path, heading: Heading, fault: tuple[str, int] = NOTHING) -> list[Any]:
    """In a process of its own."""
    told = forked(folder, partial(life, kind, folder, heading, fault))
    try:
        found: list[Any] = json.loads(told)
    except ValueError:
        return [told, 0, 0, 0, 0]
    return found


def check(kind: KillWorld, heading: Heading, fault: tuple[str, int], wanted: Any) -> str:
    """What is wrong; empty where nothing is."""
    with tempfile.TemporaryDirectory(prefix="landfall-disk-") as name:
        folder = Path(name)
        (folder / "world").write_bytes(pickle.dumps(kind.make()))
        if heading is BACKWARDS:
            lived(kind, folder, THERE_FIRST)
        first, _, _, failed, late = lived(kind, folder, heading, fault)
        if not failed:
            return f"nothing failed: {first}"
        if late:
            return f"{late} effects behind the failure; it ends with {first}"
        if not first.startswith(("halted ", "JournalError: ")) or len(first) < 30:
            return f"it ends with {first}"
        then = lived(kind, folder, heading)[0]
        if then not in ("succeeded", "rolled back"):
            return f"the next run ends with {then}"
        world = pickle.loads((folder / "world").read_bytes())  # noqa: S301 - our own file
    found = kind.source(world) if heading is BACKWARDS else kind.end(world)
    return "" if found == wanted else "the end differs from an uninterrupted run's"


def cases(counts: tuple[int, int]) -> Iterator[tuple[str, int]]:
    """Each operation by each failure that fits it."""
    writes, fsyncs = counts
    for kind in DISKS:
        yield from ((kind, number) for number in range(1, (fsyncs if kind == "fsync fails" else writes) + 1))


def main(every: int) -> None:
    """`every`: one case of so many."""
    kind, found = boss_corestone(), []
    for heading in (THERE, BACKWARDS):
        with tempfile.TemporaryDirectory(prefix="landfall-disk-") as name:
            folder = Path(name)
            (folder / "world").write_bytes(pickle.dumps(kind.make()))
            before = kind.source(pickle.loads((folder / "world").read_bytes()))  # noqa: S301 - our own file
            if heading is BACKWARDS:
                lived(kind, folder, THERE_FIRST)
            end, writes, fsyncs, *_ = lived(kind, folder, heading)
            if end not in ("succeeded", "rolled back"):
                raise AssertionError(f"an uninterrupted run ends with: {end}")
            world = pickle.loads((folder / "world").read_bytes())  # noqa: S301 - our own file
            wanted = before if heading is BACKWARDS else kind.end(world)
        for fault in list(cases((writes, fsyncs)))[::every]:
            what = f"{heading.direction}, operation {fault[1]}: {fault[0]}"
            found.append((what, check(kind, heading, fault, wanted)))
    print(json.dumps(found))


if __name__ == "__main__":
    if "LD_PRELOAD" not in os.environ:
        with tempfile.TemporaryDirectory(prefix="landfall-off-") as place:
            machine = OffMachine.build(Path(place))
            sys.exit(
                subprocess.run(
                    [sys.executable, "-m", "tests.faults.disk_writes", *sys.argv[1:]],
                    env=dict(machine.environment()),
                    check=False,
                    timeout=_HOUR,
                ).returncode
            )
    main(int(sys.argv[1]))
