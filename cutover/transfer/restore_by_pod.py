"""A dump pushed by a throwaway pod."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Action, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.transfer.places import DumpPlace, StackDatabase


@dataclass(frozen=True, kw_only=True)
class RestoreByPod(Action):
    """Restores a PostgreSQL dump from within a cluster, by a pod that is removed afterwards."""

    dump: DumpPlace
    target: StackDatabase
    cluster: str
    """The settings' name of the cluster from which the database can be reached."""
    namespace: str
    image: str
    """With sh, curl, pg_restore and psql."""
    deadline_seconds: float = 3600

    def describe(self) -> str:
        """See Action."""
        return (
            f"restore {self.dump} into {self.target.name} by a throwaway pod in {self.namespace} on "
            f"{self.cluster}"
        )

    def preview(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002 - an interface's method
        """See Action."""
        return (self.describe(),)

    def observe(self, context: Context) -> Observation:  # noqa: ARG002 - an interface's method
        """See Action."""
        return Observation("not done", "looked at anew")

    def apply(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("RestoreByPod is being built")

    def undo(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("RestoreByPod is being built")
