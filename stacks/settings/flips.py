"""What a cutover flips: the keys of the small stacks' own files. An absent key is not declared yet."""

from typing import Annotated, Any, Literal

from pydantic import Field

from components.settings.base import DnsName, Model, NamespacedName
from stacks.settings.checks import CrossProblem
from stacks.settings.environment import Environment
from stacks.settings.rhoam import RhoamEnvironment

Replicas = dict[NamespacedName, Annotated[int, Field(ge=0, le=1000)]]
"""Replica counts by `namespace/name`."""


class EdgeFlips(Model):
    """`<environment>-edge`: where each domain points."""

    records: dict[DnsName, Literal["source", "target"]] = Field(default_factory=dict)
    ttl: Literal["original", "lowered"] | None = None
    """None counts as `original`."""


class SourceFlips(Model):
    """`<environment>-source`: what runs on the source's cluster and who serves its stragglers."""

    replicas: Replicas = Field(default_factory=dict)
    stragglers: Literal["absent", "standby", "forward"] | None = None
    """`standby`: a forwarder runs unused; `forward`: the Services of the domains send to it."""


class TargetFlips(Model):
    """`<environment>-target`: which database the target's workloads use, and how many of them run."""

    database: Literal["internal", "eip", "target"] | None = None
    replicas: Replicas = Field(default_factory=dict)


Flips = EdgeFlips | SourceFlips | TargetFlips
FLIP_MODELS: dict[str, type[EdgeFlips] | type[SourceFlips] | type[TargetFlips]] = {
    "edge": EdgeFlips,
    "source": SourceFlips,
    "target": TargetFlips,
}
"""The model of a small stack's flips by the part of its name behind the environment's."""


def check_flips(environment: Environment | RhoamEnvironment, flips: Flips) -> list[CrossProblem]:
    """What `flips` names that `environment` does not declare."""
    declared_workloads = environment.all_workloads if isinstance(environment, Environment) else ()
    workloads = [workload.key for workload in declared_workloads]
    domains = [domain.name for domain in environment.domains]
    named: list[tuple[str, dict[str, Any], list[str]]] = []
    if isinstance(flips, EdgeFlips):
        named.append(("records", dict(flips.records), domains))
    else:
        named.append(("replicas", dict(flips.replicas), workloads))
    return [
        CrossProblem((key, name), value, f"one of {', '.join(declared)}")
        for key, values, declared in named
        for name, value in values.items()
        if name not in declared
    ]
