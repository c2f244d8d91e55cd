"""Whom each database serves once it was switched."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from cutover.actions.base import Condition, Evidence
from cutover.context import Context


@dataclass(frozen=True, kw_only=True)
class TargetServesPods(Condition):
    """The target's database serves a connection for each pod at the least, and the source's nobody."""

    workloads: tuple[str, ...]
    """Those that use the database, as `namespace/name`."""
    seconds: float

    def describe(self) -> str:
        """See Condition."""
        return (
            f"the target's database serves the pods of {', '.join(self.workloads)}, and the source's nobody "
            "but the replication"
        )

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        environment, target = context.environment, context.clusters["target"]
        found: Counter[str] = Counter()

        def look() -> tuple[bool, str]:
            pods = sum(target.workload(environment.workload(key)).ready for key in self.workloads)
            found.clear()
            found.update(item.database for item in context.move().connections("target") if item.database)
            left = Counter(item.user for item in context.move().connections("source"))
            missing = [name for name in environment.database.names if not found[name]]
            seen = ", ".join(f"{count} to {name}" for name, count in sorted(found.items())) or "none"
            text = f"connections to the target's: {seen}; {pods} pods"
            if left:
                text += f"; still on the source's: {', '.join(sorted(left))}"
            return pods > 0 and found.total() >= pods and not missing and not left, text

        seen = context.wait_for("the pods' connections to the target's database", self.seconds, look)
        return {"connections": dict(found), "seen": seen}
