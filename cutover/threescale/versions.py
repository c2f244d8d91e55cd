"""3scale's versions: which one there is, and updates from one to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cutover.actions.base import NO_CHANGE, Action, Condition, Evidence, Observation
from cutover.context import Context
from cutover.errors import StepError
from cutover.threescale.site import OLDER_NAMES, Site

OLM = "operators.coreos.com/v1alpha1"


def channel_of(context: Context, site: Site) -> str:
    """The channel that a site's operator comes from. Raises StepError."""
    found = site.on(context).get(OLM, "subscriptions", site.operator_namespace, site.subscription)
    if found is None:
        raise StepError(
            f"{site.title} has no Subscription {site.operator_namespace}/{site.subscription}: its operator "
            "was not installed by OLM, or under another name"
        )
    return str(found.get("spec", {}).get("channel", ""))


def unready(manager: dict[str, Any], components: tuple[str, ...]) -> str:
    """What an APIManager still waits for; empty where it is available."""
    status = manager.get("status") or {}
    conditions = {item.get("type"): item for item in status.get("conditions") or ()}
    ready = (status.get("deployments") or {}).get("ready") or ()
    if missing := [name for name in components if not {name, *OLDER_NAMES.get(name, ())} & set(ready)]:
        return f"not ready: {', '.join(missing)}"
    available = conditions.get("Available", {})
    if available.get("status") != "True":
        return f"not Available: {available.get('reason', '')} {available.get('message', '')}".strip()
    return ""


@dataclass(frozen=True, kw_only=True)
class ThreescaleReady(Condition):
    """3scale's operator says that all of it is up."""

    site: Site
    seconds: float

    def describe(self) -> str:
        """See Condition."""
        return f"the APIManager of {self.site.title} is Available, all its Deployments ready"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""

        def look() -> tuple[bool, str]:
            left = unready(self.site.manager(context), self.site.components)
            return not left, left or "Available"

        return {"seen": context.wait_for(f"3scale of {self.site.title}", self.seconds, look)}


@dataclass(frozen=True, kw_only=True)
class ThreescaleIs(Condition):
    """3scale is of a version, and its operator from a channel."""

    site: Site
    version: str
    channel: str = ""
    """Empty: any."""

    def describe(self) -> str:
        """See Condition."""
        channel = f", from channel {self.channel}" if self.channel else ""
        return f"3scale of {self.site.title} is {self.version}{channel}"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        version = self.site.version(context)
        if version != self.version:
            raise StepError(
                f"3scale of {self.site.title} is {version or 'of no version yet'}, and {self.version} is "
                "needed: data of one version must not be put under another. Remove the APIManager, install "
                f"the operator whose 3scale is {self.version}, create the APIManager again, and go on with "
                "`cutover run`"
            )
        channel = channel_of(context, self.site) if self.channel else ""
        if channel != self.channel:
            raise StepError(
                f"the operator of {self.site.title} is from channel {channel}, and {self.channel} is needed: "
                "change the Subscription's spec.channel, or `threescale.channel` in the settings, and go on"
            )
        return {"version": version, "channel": channel}


@dataclass(frozen=True, kw_only=True)
class UpdateThreescale(Action):
    """Updates 3scale by one version: OLM brings the next operator, which updates the APIManager."""

    site: Site
    before: str
    version: str
    channel: str
    later: tuple[str, ...] = ()
    """The versions that the plan updates to after this one: an earlier attempt may have come that far."""
    seconds: float

    def describe(self) -> str:
        """See Action."""
        return (
            f"bring 3scale of {self.site.title} from {self.before} to {self.version}: set the "
            f"Subscription's channel to {self.channel}, and wait until its operator has finished"
        )

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        channel = channel_of(context, self.site)
        if channel == self.channel:
            return NO_CHANGE
        return (f"Subscription {self.site.subscription}: channel {channel} -> {self.channel}",)

    def observe(self, context: Context) -> Observation:
        """See Action."""
        version = self.site.version(context)
        left = unready(self.site.manager(context), self.site.components)
        done = version in (self.version, *self.later) and not left
        return Observation("done" if done else "not done", f"{version}; {left or 'Available'}")

    def apply(self, context: Context) -> Evidence:
        """Raises StepError."""
        version = self.site.version(context)
        if version in self.later:
            return {"version": version, "seen": f"an earlier attempt has brought it to {version}"}
        if version not in (self.before, self.version):
            raise StepError(
                f"3scale of {self.site.title} is {version or 'of no version yet'}; {self.version} is reached "
                f"from {self.before} only, as no version may be left out"
            )
        cluster = self.site.on(context)
        if channel_of(context, self.site) != self.channel:
            cluster.merge_patch(
                OLM,
                "subscriptions",
                self.site.operator_namespace,
                self.site.subscription,
                {"spec": {"channel": self.channel}},
            )

        def look() -> tuple[bool, str]:
            now = self.site.version(context)
            left = unready(self.site.manager(context), self.site.components)
            return now == self.version and not left, f"{now or 'no version'}; {left or 'Available'}"

        seen = context.wait_for(f"3scale {self.version} of {self.site.title}", self.seconds, look)
        return {"version": self.version, "channel": self.channel, "seen": seen}
