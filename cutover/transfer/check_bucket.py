"""Whether the customer's bucket can be worked with."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Action, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.transfer.places import BucketPlace


@dataclass(frozen=True, kw_only=True)
class CheckBucket(Action):
    """Sees that a bucket is readable, holds every Secret, is encrypted and not public."""

    bucket: BucketPlace
    prefix: str
    """Where the Secrets lie, one file each: `<prefix>/<name>.json` or `.yaml`."""
    secrets: tuple[str, ...]
    """Names of the Secrets that must be there."""

    def describe(self) -> str:
        """See Action."""
        return (
            f"see that {self.bucket} is readable, encrypted and not public, and holds the Secrets "
            f"{', '.join(self.secrets)}"
        )

    def preview(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002 - an interface's method
        """See Action."""
        return (self.describe(),)

    def observe(self, context: Context) -> Observation:  # noqa: ARG002 - an interface's method
        """See Action."""
        return Observation("not done", "looked at anew")

    def apply(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("CheckBucket is being built")

    def undo(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Action."""
        raise StepError("CheckBucket is being built")
