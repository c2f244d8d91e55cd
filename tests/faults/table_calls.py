"""A stage of the plan with journal and lease in DynamoDB, whose calls go wrong in each way.

Runner, journal, lease and boto3 are real, DynamoDB is moto, the world is in memory; each runner is a process
of its own, as it leaves a lease behind that the next one has to find. Between boto3 and moto stands a proxy.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

from cutover.approvals import Approvals
from cutover.clock import BootClock
from cutover.dynamodb import DynamoLease, Table
from cutover.dynamodb_journal import DynamoJournal
from cutover.errors import CutoverError
from cutover.history import BACK, FORWARD, OPERATOR, Heading
from cutover.journal import Journal
from cutover.runner import Runner
from cutover.table_lease import TableLease
from tests.cutover.forked import forked
from tests.cutover.team_table import REGION, cloud, new_table
from tests.faults.kill_worlds import KillWorld, boss_corestone
from tests.faults.proxy import DYNAMODB, KINDS, PARTITIONS, SILENT, Calls, FaultyProxy

CALL_SECONDS, SHORT_SECONDS = 20.0, 1.0
"""How long a call may take: ordinarily, and in a run that gets no answer somewhere."""
LEASE_SECONDS = 30.0
ENVIRONMENT, KEY = "prod", "prod.boss-corestone"
_WRITES = ("TransactWriteItems", "PutItem")


class Scene:
    """The table behind the proxy, and a world in memory in a file."""

    def __init__(self, folder: Path, calls: Calls, proxy: str) -> None:
        self.folder, self.calls, self.proxy = folder, calls, proxy
        self.kind: KillWorld = boss_corestone()
        stage = self.kind.plan.stages[0].id
        self.headings = Heading(FORWARD, stage, OPERATOR), Heading(BACK, None, OPERATOR)
        self.ends = f"reached {stage}", "rolled back"

    def new(self) -> str:
        """An empty table and a new world."""
        (self.folder / "world").write_bytes(pickle.dumps(self.kind.make()))
        return new_table()

    def life(self, table: str, heading: Heading, seconds: float = CALL_SECONDS) -> str:
        """A runner's life in a process of its own; its outcome, or the error that it ends with."""
        return forked(self.folder, lambda: self._life(table, heading, seconds))

    def _life(self, name: str, heading: Heading, seconds: float) -> str:
        os.environ["AWS_ENDPOINT_URL"] = self.proxy
        path = self.folder / "world"
        world = pickle.loads(path.read_bytes())  # noqa: S301 - our own file

        def around(effect: Any) -> Any:
            found = effect()
            path.write_bytes(pickle.dumps(world))
            return found

        try:
            table = Table(name, REGION, seconds)
            lease_table = DynamoLease(Table(name, REGION, seconds, attempts=2), ENVIRONMENT)
            before = DynamoJournal(table, KEY, lease_table).read()
            epoch = max((record.epoch for record in before.records), default=0)
            with TableLease(lease_table, BootClock(), epoch, seconds=LEASE_SECONDS) as lease:
                home = DynamoJournal(table, KEY, lease_table, lambda: lease.holder)
                journal = Journal(home, lease.epoch, world.clock, lease.ensure)
                plan = self.kind.plan
                if not journal.records:
                    opened = {"plan": plan.id, "plan_hash": plan.hash, "environment": plan.environment}
                    journal.append("opened", opened)
                context = self.kind.context(world, around)
                result = Runner(plan, journal, context, cast(Approvals, world)).run(heading)
        except CutoverError as error:
            return f"{type(error).__name__}: {error}"
        finally:
            path.write_bytes(pickle.dumps(world))
        return f"{result.outcome} {result.reason}".strip()

    def world(self) -> Any:
        """As it is now."""
        return pickle.loads((self.folder / "world").read_bytes())  # noqa: S301 - our own file

    def uninterrupted(self) -> tuple[list[list[str]], list[Any]]:
        """The calls of the way there and of the way back, and the states behind each."""
        table, calls, states = self.new(), [], []
        for heading, end in zip(self.headings, self.ends, strict=True):
            self.calls.begin()
            found = self.life(table, heading)
            if found != end:
                raise AssertionError(f"an uninterrupted run ends with: {found}")
            calls.append(list(self.calls.made))
            states.append(self.kind.source(self.world()))
        return calls, states

    def check(self, case: tuple[int, int, str, bool], states: Sequence[Any]) -> str | None:
        """What is wrong with what became of it; empty where nothing is; None: it did not happen."""
        way, number, fault, lasting = case
        table = self.new()
        self.calls.begin()
        if way and (found := self.life(table, self.headings[0])) != self.ends[0]:
            return f"the way there ends with {found}"
        self.calls.begin(fault, number, lasting=lasting)
        short = SHORT_SECONDS if fault in SILENT else CALL_SECONDS
        first = self.life(table, self.headings[way], short)
        happened = self.calls.happened
        self.calls.calm()
        if not happened:
            return None  # a call less was made this time: a renewal, or one that was repeated
        known = ("halted ", "JournalError: ", "LeaseError: ", "TableError: ")
        if first != self.ends[way] and not (first.startswith(known) and len(first) > 30):
            return f"it ends with {first}"
        then = first if first == self.ends[way] else self.life(table, self.headings[way])
        if then != self.ends[way]:
            return f"it ends with {first}; the next run with {then}"
        if self.kind.source(self.world()) != states[way]:
            return "the end differs from an uninterrupted run's"
        return ""


def cases(calls: Sequence[Sequence[str]]) -> Iterator[tuple[int, int, str, bool]]:
    """Every call there and back by every fault: once, and (refusals and silence) from there on."""
    for way, made in enumerate(calls):
        for number, name in enumerate(made, 1):
            writes = name.endswith(_WRITES)
            for kind in KINDS:
                if kind == "stale read" or (kind == "timed out, executed" and not writes):
                    continue  # DynamoDB is asked for what holds now
                if kind not in PARTITIONS:
                    yield way, number, kind, False
                if kind in ("5xx", "throttled", "forbidden", *PARTITIONS):
                    yield way, number, kind, True


def main(folder: Path, every: int) -> None:
    """`every`: one case of so many. Prints, as JSON, what each case was and what was wrong with it."""
    found = []
    with ExitStack() as stack:
        url = stack.enter_context(cloud())
        calls = Calls()
        proxy = stack.enter_context(FaultyProxy(url, calls, refusals=DYNAMODB, operation="X-Amz-Target"))
        scene = Scene(folder, calls, proxy.url)
        scene.life(scene.new(), scene.headings[0])  # what is loaded at a first call takes its time
        made, states = scene.uninterrupted()
        for case in list(cases(made))[::every]:
            way, number, kind, lasting = case
            operation = made[way][number - 1].rpartition(".")[2]
            what = f"{('there', 'back')[way]}, call {number}, {operation}: {kind}"
            if (wrong := scene.check(case, states)) is not None:
                found.append((what + (", from there on" if lasting else ""), wrong))
    print(json.dumps(found))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="landfall-table-") as name:
        main(Path(name), int(sys.argv[1]))
