"""Runs plans in a world in memory, and ends runners at any write to the journal."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from cutover.approvals import Approvals
from cutover.history import FORWARD, OPERATOR, Heading
from cutover.journal import Journal, Record, read_journal
from cutover.plan import Plan
from cutover.runner import Result, Runner
from tests.cutover.world import World

FORWARDS = Heading(FORWARD, None, OPERATOR)
BACKWARDS = Heading("back", None, OPERATOR)


class KilledError(BaseException):
    """The runner's process ends here."""


class MortalJournal(Journal):
    """A journal whose runner is killed before or after a certain write."""

    kill_before: int | None = None
    kill_after: int | None = None
    writes = 0

    def append(self, kind: str, data: dict[str, Any]) -> Record:
        if self.writes == self.kill_before:
            raise KilledError
        record = super().append(kind, data)
        self.writes += 1
        if self.writes - 1 == self.kill_after:
            raise KilledError
        return record


def drive(
    world: World,
    plan: Plan,
    path: Path,
    heading: Heading = FORWARDS,
    *,
    kill_before: int | None = None,
    kill_after: int | None = None,
) -> Result:
    """One runner's life. Raises KilledError where it is killed."""
    epoch = max((record.epoch for record in read_journal(path).records), default=0) + 1
    journal = MortalJournal(path, epoch, world.clock)
    try:
        if not journal.records:
            journal.append(
                "opened", {"plan": plan.id, "plan_hash": plan.hash, "environment": plan.environment}
            )
        journal.writes, journal.kill_before, journal.kill_after = 0, kill_before, kill_after
        runner = Runner(plan, journal, world.context(), cast(Approvals, world))
        return runner.run(heading)
    finally:
        journal.close()
