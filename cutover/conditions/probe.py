"""Whether the database can be reached from a cluster, tried by a pod that runs there."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Condition, Evidence
from cutover.context import Context, fact
from cutover.errors import StepError, StepTimeoutError
from cutover.ports import Side

_SCRIPT = """\
if greeting=$(nc -w 5 "$1" "$2" </dev/null 2>&1)
then printf 'connected: %s' "$greeting"
else printf 'no connection: %s' "$greeting"
fi | tr -cd '\\040-\\176' | head -c 300 >/dev/termination-log
"""
"""A MySQL server greets whoever may connect with its version, and others with an error."""


@dataclass(frozen=True, kw_only=True)
class DatabaseReach(Condition):
    """A pod in a cluster can, or cannot, connect to the source's database on its public address."""

    side: Side
    namespace: str
    reachable: bool
    internal: bool = False
    """By the name that only the source's network resolves, instead of its public address."""
    seconds: float
    """For one probe."""
    within: float
    """How long it may take until it is so."""

    def describe(self) -> str:
        """See Condition."""
        verb = "reaches" if self.reachable else "does not reach"
        name = "internal name" if self.internal else "public address"
        return f"a pod on the {self.side} {verb} the database's {name}"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        database = context.environment.database
        address = (
            database.source.internal_host
            if self.internal
            else fact(database.source.eip, "database.source.eip")
        )
        cluster = context.clusters[self.side]

        def look() -> tuple[bool, str]:
            result = cluster.run_pod(
                self.namespace,
                "landfall-probe",
                context.environment.probe_image,
                ["sh", "-c", _SCRIPT, "probe", address, str(database.port)],
                self.seconds,
            )
            outcome, separator, rest = result.message.partition(": ")
            if result.exit_code != 0 or not separator or outcome not in ("connected", "no connection"):
                raise StepError(
                    f"the probe on {cluster.context} could not look (exit code {result.exit_code}): "
                    f"{result.message!r}"
                )
            admitted = outcome == "connected" and bool(rest) and "not allowed to connect" not in rest
            open_ = outcome == "connected"
            return (admitted if self.reachable else not open_), result.message

        what = f"{address}:{database.port} from {cluster.context}"
        try:
            return {"address": address, "seen": context.wait_for(what, self.within, look)}
        except StepTimeoutError as error:
            raise StepError(f"{error}. {self._remedy(context, address)}") from error

    def _remedy(self, context: Context, address: str) -> str:
        """What to do where it stays otherwise."""
        port = context.environment.database.port
        if not self.reachable:
            return f"Let in the target's NAT addresses alone at {address}:{port}; then `cutover run` goes on"
        if self.internal:
            return "The source's own services need it: look at its network; then `cutover run` goes on"
        nat = ", ".join(context.addresses("nat_addresses"))
        return (
            f"The target's pods come from {nat}: let each of these in at {address}:{port}, in the security "
            "group and in the database's own users; then `cutover run` goes on"
        )
