"""What must be right before anything is begun."""

from __future__ import annotations

import os
from dataclasses import dataclass

from cutover.actions.base import Condition, Evidence
from cutover.context import Context
from cutover.errors import StepError
from cutover.ports import Side


@dataclass(frozen=True)
class NoPlaceholders(Condition):
    """Every fact that only the owner of the environment knows is filled in."""

    def describe(self) -> str:
        """See Condition."""
        return "the settings hold no placeholder"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        if left := context.environment.placeholders():
            needs = "; ".join(f"{path} ({need})" for path, need in left)
            raise StepError(f"Pulumi.{context.environment.name}.yaml still has placeholders: {needs}")
        return {"placeholders": 0}


@dataclass(frozen=True, kw_only=True)
class ClusterAnswers(Condition):
    """A cluster answers, and our credentials may do there what the plan needs."""

    side: Side
    namespaces: tuple[str, ...]
    allowed: tuple[tuple[str, str, str], ...]
    """Verb, API group and resource."""

    def describe(self) -> str:
        """See Condition."""
        return f"the {self.side}'s cluster answers and lets us work"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        cluster = context.clusters[self.side]
        version = cluster.version()
        refused = [
            f"{verb} {resource} in {namespace}"
            for namespace in self.namespaces
            for verb, group, resource in self.allowed
            if not cluster.allowed(verb, group, resource, namespace)
        ]
        if refused:
            raise StepError(f"cluster {cluster.context} does not let us {', '.join(refused)}")
        return {"context": cluster.context, "version": version}


@dataclass(frozen=True)
class CredentialsPresent(Condition):
    """The environment variables that hold credentials are set; their values are not looked at here."""

    variables: tuple[str, ...]

    def describe(self) -> str:
        """See Condition."""
        return f"{', '.join(self.variables)} are set"

    def hold(self, context: Context) -> Evidence:  # noqa: ARG002 - an interface's method
        """See Condition."""
        if missing := [name for name in self.variables if not os.environ.get(name)]:
            raise StepError(f"these environment variables are not set: {', '.join(missing)}")
        return {"set": list(self.variables)}


@dataclass(frozen=True)
class LandingZoneUp(Condition):
    """The environment's own stack was brought up: it gives NAT and ingress addresses."""

    def describe(self) -> str:
        """See Condition."""
        return "the landing zone gives NAT and ingress addresses"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        return {name: list(context.addresses(name)) for name in ("nat_addresses", "ingress_addresses")}
