"""What must be right before anything is begun."""

from __future__ import annotations

import os
from dataclasses import dataclass

from cutover.actions.base import Condition, Evidence
from cutover.context import Context
from cutover.errors import StepError


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

    cluster: str
    """`source`, `target`, or one that the settings name."""
    namespaces: tuple[str, ...]
    allowed: tuple[tuple[str, str, str], ...]
    """Verb, API group and resource."""
    everywhere: tuple[tuple[str, str, str], ...] = ()
    """The same, in all namespaces."""

    def describe(self) -> str:
        """See Condition."""
        return f"the cluster {self.cluster} answers and lets us work"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        cluster = context.cluster(self.cluster)
        version = cluster.version()
        asked = [(*words, namespace) for namespace in self.namespaces for words in self.allowed]
        asked += [(*words, "") for words in self.everywhere]
        refused = [
            f"{verb} {resource} in {namespace or 'all namespaces'}"
            for verb, group, resource, namespace in asked
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


@dataclass(frozen=True)
class StackAnswers(Condition):
    """A small stack can be previewed: its state, its credentials and what it names are in reach."""

    stack: str

    def describe(self) -> str:
        """See Condition."""
        return f"the stack {self.stack} can be previewed"

    def hold(self, context: Context) -> Evidence:
        """See Condition."""
        stack = context.stack(self.stack)
        changes = context.stacks.preview(stack, context.stacks.flips(stack))
        return {"stack": stack, "would": [str(change) for change in changes] or ["change nothing"]}
