"""What the live pods are connected to, as the database sees it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from cutover.actions.base import Condition, Evidence
from cutover.context import Context, fact


@dataclass(frozen=True, kw_only=True)
class LiveConnections(Condition):
    """The source's database serves connections from the target's NAT addresses, one a pod at the least."""

    workloads: tuple[str, ...]
    """Those that use the database, as `namespace/name`."""
    seconds: float

    def describe(self) -> str:
        """See Condition."""
        return (
            f"the database serves the target's pods of {', '.join(self.workloads)} through the NAT addresses"
        )

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        address = fact(context.environment.database.source.eip, "database.source.eip")
        nat = set(context.addresses("nat_addresses"))
        target = context.clusters["target"]
        counts: Counter[str] = Counter()

        def look() -> tuple[bool, str]:
            pods = sum(target.workload(context.environment.workload(key)).ready for key in self.workloads)
            connections = context.database.connections(address)
            counts.clear()
            counts.update(item.address for item in connections)
            through = sum(counts[name] for name in nat)
            seen = ", ".join(f"{count} from {name}" for name, count in sorted(counts.items())) or "none"
            return (
                pods > 0 and through >= pods,
                f"connections: {seen}; {pods} pods behind {', '.join(sorted(nat))}",
            )

        seen = context.wait_for("the pods' connections to the database", self.seconds, look)
        return {"connections": dict(counts), "seen": seen}
