"""`<environment>-source`: what the cutover changes on the source's cluster."""

import pulumi

from components.config_entries import ConfigEntries
from components.forwarder import Forwarder, Route, forwarding_selector
from components.replicas import Replicas
from components.service_selectors import ServiceSelectors
from stacks.clusters import caller_entries, cluster_options, declared_replicas
from stacks.references import ingress_addresses, landing_zone_outputs
from stacks.settings import Environment, SourceFlips


def source(environment: Environment, flips: SourceFlips) -> None:
    """Declares replica counts, and who serves stragglers: the workloads themselves, or a forwarder.

    Stack outputs:
        flipped: `replicas` (`namespace/name` to count), `stragglers` (or None) and `callers`
            (`namespace/name` to `source` or `target`).
    """
    opts = cluster_options(environment, "source")
    if flips.replicas:
        Replicas(environment.name, declared_replicas(environment, flips.replicas), opts=opts)
    if flips.stragglers is not None:
        _stragglers(
            environment,
            forwarders=flips.stragglers != "absent",
            serving=flips.stragglers == "forward",
            opts=opts,
        )
    if flips.callers:
        ConfigEntries(environment.name, caller_entries(environment, "source", flips.callers), opts=opts)
    pulumi.export(
        "flipped",
        {
            "replicas": dict(flips.replicas),
            "stragglers": flips.stragglers,
            "callers": dict(flips.callers),
        },
    )


def _stragglers(
    environment: Environment, *, forwarders: bool, serving: bool, opts: pulumi.ResourceOptions
) -> None:
    routes = _routes(environment)
    made: list[pulumi.Resource] = []
    if forwarders:
        targets = ingress_addresses(landing_zone_outputs(environment.name))
        made = [
            Forwarder(
                f"{environment.name}-{namespace}",
                namespace=namespace,
                image=environment.forwarder_image,
                routes=here,
                targets=targets,
                ca_bundle=environment.forwarder_ca_bundle,
                serving=serving,
                opts=opts,
            )
            for namespace, here in routes.items()
        ]
    ServiceSelectors(
        environment.name,
        {
            (namespace, route.service): forwarding_selector(route.selector) if serving else route.selector
            for namespace, here in routes.items()
            for route in here
        },
        after=made,
        opts=opts,
    )


def _routes(environment: Environment) -> dict[str, list[Route]]:
    """The domains' routes by namespace."""
    routes: dict[str, list[Route]] = {}
    for domain in environment.domains:
        namespace, _, service = domain.service.partition("/")
        selector = environment.selector(domain)
        routes.setdefault(namespace, []).append(Route(domain.name, service, domain.target_port, selector))
    return routes
