"""Whether the customer's bucket can be worked with."""

from __future__ import annotations

from dataclasses import dataclass

from cutover.actions.base import Evidence, Look
from cutover.context import Context
from cutover.errors import StepError
from cutover.transfer.bucket import Bucket, parse_secret, secret_names
from cutover.transfer.places import BucketPlace


@dataclass(frozen=True, kw_only=True)
class CheckBucket(Look):
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

    def apply(self, context: Context) -> Evidence:
        """Raises StepError that names all that is wrong at once."""
        bucket = Bucket.open(context, self.bucket)
        there = secret_names(bucket, self.prefix)
        wrong = bucket.weaknesses()
        missing = [name for name in self.secrets if name not in there]
        if missing:
            wrong.append(
                f"it lacks the Secret{'s' * (len(missing) > 1)} {', '.join(missing)} under {self.prefix}/ "
                f"(`oc get secret {missing[0]} -o json > {missing[0]}.json`)"
            )
        for name in self.secrets:
            if name in there:
                context.activity.note(f"reading {there[name]}")
                wrong += _problem(bucket, name, there[name])
        if wrong:
            raise StepError(
                f"bucket {bucket.name} is not ready: {'; '.join(wrong)}. The customer mends it; then "
                "`cutover run` goes on"
            )
        context.say(f"bucket {bucket.name} holds {len(self.secrets)} Secrets, encrypted and not public")
        return {"bucket": bucket.name, "secrets": sorted(self.secrets)}


def _problem(bucket: Bucket, name: str, key: str) -> list[str]:
    content = bucket.read(key)
    if content is None:
        return [f"{key} was taken away"]
    try:
        parse_secret(content, name)
    except ValueError as error:
        return [f"{key} {error}"]
    return []
