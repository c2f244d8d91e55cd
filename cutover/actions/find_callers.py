"""Finding who calls the services that move, while everything still runs on the source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cutover.actions.base import Evidence, Look
from cutover.callers import objects
from cutover.callers.access import read_ingress, read_services
from cutover.callers.find import Found, find_callers
from cutover.callers.judge import unknown
from cutover.context import Context

CALLERS = "callers"
"""The fact: who is told of what moves, and who was seen in the access logs."""


READS_CALLERS = tuple(
    ("list", kind.api_version.rpartition("/")[0], kind.plural)
    for kind in (
        objects.CONFIG_MAPS,
        objects.SERVICES,
        objects.PODS,
        objects.SLICES,
        objects.INGRESSES,
        *objects.WORKLOADS,
    )
)
"""What must be allowed in all namespaces to find callers: verb, API group and resource."""


@dataclass(frozen=True)
class FindCallers(Look):
    """Reads ConfigMaps, Secrets, environments, Services, Ingresses and access logs of every cluster."""

    clusters: tuple[str, ...]

    @property
    def gives(self) -> tuple[str, ...]:
        """See Action."""
        return (CALLERS,)

    def describe(self) -> str:
        """See Action."""
        return (
            "find the callers of what moves in ConfigMaps, Secrets, environments, Services, Ingresses of "
            f"{', '.join(self.clusters)}, and in the access logs of the source's ingress and services"
        )

    def preview(self, context: Context) -> tuple[str, ...]:
        """See Action."""
        found = find_callers(context.environment, context.clusters)
        return (*(f"found: {caller}" for caller in found.callers), *_findings(context, found))

    def apply(self, context: Context) -> Evidence:
        """Raises StepError where a cluster does not answer."""
        found = find_callers(context.environment, context.clusters)
        evidence: dict[str, Any] = found.evidence() | {"findings": _findings(context, found)}
        source = context.clusters["source"]
        ingress = context.environment.source_ingress
        if ingress is not None:
            evidence["seen"] = read_ingress(context.environment, source, ingress).evidence()
        inside = read_services(context.environment, source)
        evidence["seen_in_cluster"] = inside.evidence()
        for client in inside.requests:
            context.say(f"seen: {client.agent or 'somebody'} from {client.address} asks for {client.host}")
        for caller in found.callers:
            context.say(f"caller: {caller}")
        for text in evidence["findings"]:
            context.say(f"FINDING: {text}")
        context.facts.remember(CALLERS, evidence)
        return {CALLERS: len(found.callers), "findings": evidence["findings"]}


def _findings(context: Context, found: Found) -> list[str]:
    """What somebody has to decide."""
    texts = []
    for caller in unknown(found.callers, context.environment):
        place = "name it in `callers` or `accepted_callers` of the settings"
        if caller.way == "in-cluster":
            texts.append(f"{caller} is in nobody's list and calls the source alone: redirect it, or {place}")
        else:
            texts.append(f"{caller} is in nobody's list; it follows DNS: {place}")
    return texts
