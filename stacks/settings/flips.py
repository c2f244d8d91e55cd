"""What a cutover flips: the keys of the small stacks' own files.

An absent key is not declared yet; a domain's record, which is declared with the domain, points at the source.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from components.settings.base import DnsName, Model, NamespacedName
from stacks.settings.environment import Environment
from stacks.settings.problems import CrossProblem
from stacks.settings.rhoam import RhoamEnvironment

Replicas = dict[NamespacedName, Annotated[int, Field(ge=0, le=1000)]]
"""Replica counts by `namespace/name`."""

Callers = dict[NamespacedName, Literal["source", "target"]]
"""Which side's address callers use, by `namespace/name`."""


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
    callers: Callers = Field(default_factory=dict)
    """Of the source's own cluster."""


class TargetFlips(Model):
    """`<environment>-target`: which database the target's workloads use, and how many of them run."""

    database: Literal["internal", "eip", "target"] | None = None
    replicas: Replicas = Field(default_factory=dict)
    gate: Literal["absent", "standby", "serve"] | None = None
    """`standby`: a gate runs unused; `serve`: the Services of the domains send to it."""
    gate_side: Literal["source", "target"] | None = None
    """Whose database is behind the gate, for pods of it that start; None counts as `source`."""


class CallerFlips(Model):
    """`<environment>-<cluster>`: which side the callers on another cluster are told of."""

    callers: Callers = Field(default_factory=dict)


Flips = EdgeFlips | SourceFlips | TargetFlips | CallerFlips
FLIP_MODELS: dict[str, type[Flips]] = {
    "edge": EdgeFlips,
    "source": SourceFlips,
    "target": TargetFlips,
}
"""The model of a small stack's flips, by the part of its name behind the environment's. A cluster's name has
`CallerFlips`."""


def check_flips(environment: Environment | RhoamEnvironment, flips: Flips, part: str) -> list[CrossProblem]:
    """What `flips`, those of the small stack `part`, names that `environment` does not declare."""
    declared = environment if isinstance(environment, Environment) else None
    workloads = [workload.key for workload in declared.all_workloads] if declared else []
    callers = [caller.key for caller in declared.callers_on(part)] if declared else []
    named: list[tuple[str, dict[str, Any], list[str]]] = []
    if isinstance(flips, EdgeFlips):
        named.append(("records", dict(flips.records), [domain.name for domain in environment.domains]))
    if isinstance(flips, SourceFlips | TargetFlips):
        named.append(("replicas", dict(flips.replicas), workloads))
    if isinstance(flips, SourceFlips | CallerFlips):
        named.append(("callers", dict(flips.callers), callers))
    return [
        CrossProblem(
            (key, name), value, f"one of {', '.join(known)}" if known else "none, as the settings name none"
        )
        for key, values, known in named
        for name, value in values.items()
        if name not in known
    ]
