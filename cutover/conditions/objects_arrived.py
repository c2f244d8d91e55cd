"""Whether all that should move stands on the target as it should, and nothing else came along."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Condition, Evidence
from cutover.context import Context
from cutover.errors import StepError
from cutover.moving.comparison import Comparison, compare
from cutover.moving.selection import NEVER, Found, Selected, select
from stacks.settings import VeleroMove


@dataclass(frozen=True)
class ObjectsArrived(Condition):
    """Every object that should have moved compares with its source; the expected differences are listed."""

    move: VeleroMove

    def describe(self) -> str:
        """See Condition."""
        names = ", ".join(namespace.name for namespace in self.move.namespaces)
        return f"the target's objects of {names} are the source's, but for the expected differences"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        compared, selected = compare_clusters(context, self.move)
        if compared.findings:
            raise StepError(
                f"{'; '.join(compared.findings)}. Put it right on the source, or delete what should not be "
                "on the target; then `cutover run` moves the objects anew"
            )
        context.say(
            f"{compared.alike} objects compared with their source, object by object: as they should be"
        )
        return {"alike": compared.alike, "expected": dict(compared.expected), "left": list(selected.left)}


def compare_clusters(context: Context, move: VeleroMove) -> tuple[Comparison, Selected]:
    """Looks at both sides and compares. Raises StepError where one does not answer."""
    source, target = context.cluster("source"), context.cluster("target")
    selected = select(source, move)
    kinds = [kind for kind in target.kinds() if kind.kind not in NEVER]
    arrived = [
        Found(kind, item)
        for namespace in move.namespaces
        for kind in kinds
        for item in target.list(kind, namespace.name)
    ]
    compared = compare(selected.moving, arrived, move, target=target.context, restores=restores_of(context))
    return compared, selected


def restores_of(context: Context) -> str:
    """How the names of this environment's backups and restores begin."""
    return f"landfall-{context.environment.name}-"
