"""Whether pods are there and ready."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Condition, Evidence
from cutover.context import Context
from stacks.settings import WorkloadName


@dataclass(frozen=True, kw_only=True)
class WorkloadReady(Condition):
    """A workload runs as many pods as it should, all up to date and ready, and no others."""

    side: str
    """`source`, `target`, or another cluster by its name in the settings."""
    workload: WorkloadName
    seconds: float
    at_least: int = 1
    """How many it should run at the least; 0 also takes one that is scaled down, once its pods are gone."""

    def describe(self) -> str:
        """See Condition."""
        return f"{self.workload.key} is {'ready' if self.at_least else 'settled'} on the {self.side}"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""

        def look() -> tuple[bool, str]:
            state = context.cluster(self.side).workload(self.workload)
            return state.settled and state.wanted >= self.at_least, str(state)

        return {"pods": context.wait_for(f"{self.workload.key} on the {self.side}", self.seconds, look)}
