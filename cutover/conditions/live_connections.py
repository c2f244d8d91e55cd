"""What the live pods are connected to, as the database sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from cutover.actions.base import Condition, Evidence
from cutover.context import Context, fact
from cutover.errors import StepError
from cutover.ports import Connection


@dataclass(frozen=True, kw_only=True)
class LiveConnections(Condition):
    """The source's databases serve encrypted connections from the target's NAT addresses.

    There is one for each pod at the least, and some to each of the databases.
    """

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
        environment = context.environment
        address = fact(environment.database.source.eip, "database.source.eip")
        nat = set(context.addresses("nat_addresses"))
        target = context.clusters["target"]
        through: list[Connection] = []

        def look() -> tuple[bool, str]:
            pods = sum(target.workload(environment.workload(key)).ready for key in self.workloads)
            connections = context.database.connections(address)
            through[:] = [item for item in connections if item.address in nat]
            missing = [name for name in environment.database.names if name not in _by(through, "database")]
            lacking = f"; none to {', '.join(missing)}" if missing else ""
            return (
                pods > 0 and len(through) >= pods and not missing,
                f"connections: {_counts(connections)}; {pods} pods behind {', '.join(sorted(nat))}{lacking}",
            )

        seen = context.wait_for("the pods' connections to the database", self.seconds, look)
        _refuse_plain(through)
        return {
            "connections": dict(_by(through, "address")),
            "databases": dict(_by(through, "database")),
            "encrypted": _encryption(through),
            "seen": seen,
        }


def _refuse_plain(connections: Sequence[Connection]) -> None:
    """Raises StepError for a connection that is known to travel the internet as plain text."""
    if plain := sorted({item.user for item in connections if item.encrypted is False}):
        raise StepError(
            f"the target's pods are connected to the database without TLS as {', '.join(plain)}: turn TLS on "
            "in the services' settings, or demand it of the users (REQUIRE SSL); then `cutover run` goes on"
        )


def _encryption(connections: Sequence[Connection]) -> str:
    unknown = sum(item.encrypted is None for item in connections)
    if not unknown:
        return "all"
    return "the server does not say" if unknown == len(connections) else f"all but {unknown} of unknown kind"


def _by(connections: Sequence[Connection], field: str) -> Counter[str]:
    return Counter(str(getattr(item, field)) for item in connections)


def _counts(connections: Sequence[Connection]) -> str:
    counts = Counter((item.database, item.address) for item in connections)
    return (
        ", ".join(f"{count} to {name} from {place}" for (name, place), count in sorted(counts.items()))
        or "none"
    )
