"""A dump that somebody else made."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Action, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.transfer.places import BucketPlace, DumpPlace, Engine


@dataclass(frozen=True, kw_only=True)
class TakeDump(Action):
    """Takes a dump from the customer's bucket, sees that it is whole, and gives it a manifest."""

    source: BucketPlace
    key: str
    """The file in the customer's bucket: `.sql` or `.sql.gz` of mysqldump, `.rdb` of Redis."""
    dump: DumpPlace
    kind: Engine | str
    """`mysql`, or `redis`."""

    def describe(self) -> str:
        """See Action."""
        return f"take {self.key} from {self.source} to {self.dump}, and see that it is whole"

    def preview(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002 - an interface's method
        """See Action."""
        return (self.describe(),)

    def observe(self, context: Context) -> Observation:  # noqa: ARG002 - an interface's method
        """See Action."""
        return Observation("not done", "looked at anew")

    def apply(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("TakeDump is being built")

    def undo(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("TakeDump is being built")
