"""3scale's Secrets: copied where they must match, written anew where they say where data is, compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cutover.actions.base import NO_CHANGE, Action, Condition, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.threescale.site import Site, find_secret, write_secret
from cutover.transfer import BucketPlace
from cutover.transfer.bucket import read_secret

MUST_MATCH: Mapping[str, tuple[str, ...]] = {
    "system-seed": (),
    "system-master-apicast": (),
    "system-app": (),
    "system-events-hook": (),
    "system-recaptcha": (),
    "system-memcache": (),
    "backend-internal-api": (),
    "backend-listener": ("service_endpoint",),
    "zync": ("SECRET_KEY_BASE", "ZYNC_AUTHENTICATION_TOKEN"),
}
"""The Secrets that must be the same wherever the data is, each with its keys that must; none: all of them.

The address of the backend's route is each cluster's own, and so is zync's database, which holds nothing that
moves: zync makes its rows from system's. `system-database`, `system-redis` and `backend-redis` say where the
data is.
"""
WITH_RHOAM = ("system-seed", "system-master-apicast")
"""Those that RHOAM's operator keeps a copy of in its own namespace, from which it restores them."""


@dataclass(frozen=True, kw_only=True)
class Copies:
    """Which Secrets have to be the same as the customer's, and where."""

    site: Site
    bucket: BucketPlace
    prefix: str
    also_in: str = ""
    """Another namespace that takes `WITH_RHOAM`; empty: none."""

    def wanted(self, context: Context) -> dict[tuple[str, str], dict[str, bytes]]:
        """The values that must be there, by namespace and name. Raises StepError."""
        found = {}
        for name, keys in MUST_MATCH.items():
            values = read_secret(context, self.bucket, self.prefix, name)
            if missing := sorted(set(keys) - set(values)):
                raise StepError(
                    f"the Secret {name} in {self.bucket} lacks {', '.join(missing)}: fetch it anew from the "
                    f"source (`oc get secret {name} -o json`), put it there, and go on"
                )
            chosen = {key: values[key] for key in keys} if keys else values
            if not chosen:
                raise StepError(f"the Secret {name} in {self.bucket} holds nothing: fetch it anew, and go on")
            found[(self.site.namespace, name)] = chosen
            if self.also_in and name in WITH_RHOAM:
                found[(self.also_in, name)] = chosen
        return found

    def differences(self, context: Context, but: tuple[str, ...] = ()) -> list[str]:
        """Keys that are not as they must be, as `namespace/name: key`, but for some; no value is told."""
        cluster = self.site.on(context)
        found = []
        for (namespace, name), values in self.wanted(context).items():
            there = find_secret(cluster, namespace, name)
            if there is None:
                found.append(f"{namespace}/{name}: absent")
                continue
            wrong = [key for key, value in values.items() if there.get(key) != value and key not in but]
            if wrong:
                found.append(f"{namespace}/{name}: {', '.join(sorted(wrong))}")
        return found


@dataclass(frozen=True, kw_only=True)
class CopySecrets(Action):
    """Writes the customer's Secrets into a cluster, and nothing else of those that are there."""

    copies: Copies

    def describe(self) -> str:
        """See Action."""
        also = f", {' and '.join(WITH_RHOAM)} into {self.copies.also_in} too" if self.copies.also_in else ""
        return (
            f"copy the Secrets {', '.join(MUST_MATCH)} from {self.copies.bucket} to "
            f"{self.copies.site.title}{also}, and compare them"
        )

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        return tuple(f"differs: {text}" for text in self.copies.differences(context)) or NO_CHANGE

    def observe(self, context: Context) -> Observation:
        """See Action."""
        left = self.copies.differences(context)
        return Observation("not done" if left else "done", "; ".join(left) or "all Secrets match")

    def apply(self, context: Context) -> Evidence:
        """Raises StepError."""
        cluster = self.copies.site.on(context)
        changed = []
        for (namespace, name), values in self.copies.wanted(context).items():
            there = find_secret(cluster, namespace, name)
            if there is None or any(there.get(key) != value for key, value in values.items()):
                write_secret(cluster, namespace, name, values, exists=there is not None)
                changed.append(f"{namespace}/{name}")
        if left := self.copies.differences(context):
            raise StepError(
                f"Secrets of {self.copies.site.title} are not as they were written: {'; '.join(left)}. An "
                "operator that runs reverts them: pause it, and go on"
            )
        return {"changed": changed, "compared": list(MUST_MATCH)}


@dataclass(frozen=True, kw_only=True)
class SecretsMatch(Condition):
    """The Secrets on a cluster are still the customer's."""

    copies: Copies
    but: tuple[str, ...] = ()
    """Keys that the plan itself writes later: after a way back they may be there already."""

    def describe(self) -> str:
        """See Condition."""
        but = f", but for {', '.join(self.but)}" if self.but else ""
        return (
            f"the Secrets {', '.join(MUST_MATCH)} of {self.copies.site.title} match those in the bucket{but}"
        )

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        if left := self.copies.differences(context, self.but):
            raise StepError(
                f"{'; '.join(left)} differ: an operator has reverted them. Pause it (`oc scale deployment … "
                "--replicas=0`), copy them again, and go on"
            )
        return {"compared": list(MUST_MATCH)}
