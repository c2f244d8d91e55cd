"""Whether CronJobs rest."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Condition, Evidence
from cutover.actions.schedules import suspended
from cutover.context import Context
from cutover.ports import Side


@dataclass(frozen=True, kw_only=True)
class SchedulesSuspended(Condition):
    """No CronJob of what moves is due on a side."""

    side: Side
    seconds: float = 0

    def describe(self) -> str:
        """See Condition."""
        return f"every CronJob of what moves is suspended on the {self.side}"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        seen = context.wait_for(
            f"CronJobs on the {self.side} to be suspended",
            self.seconds,
            lambda: suspended(context, self.side),
        )
        return {"seen": seen}
