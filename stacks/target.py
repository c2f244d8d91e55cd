"""`<environment>-target`: what the cutover changes on the target's cluster."""

from collections.abc import Mapping
from typing import Literal

import pulumi
from pulumi_kubernetes.core.v1 import Service

from components.config_entries import ConfigEntries
from components.replicas import Replicas
from components.service_selectors import ServiceSelectors
from components.traffic_gate import GateRoute, TrafficGate, gate_selector
from stacks.clusters import cluster_options, declared_replicas
from stacks.references import landing_zone_outputs, text_output
from stacks.settings import DomainSettings, Environment, TargetFlips, known
from stacks.settings.environment import ARMED_LABEL


def target(environment: Environment, flips: TargetFlips) -> None:
    """Declares which database the workloads are told of, replica counts, and the gate before the Services.

    Stack outputs:
        flipped: `database` (`internal`, `eip`, `target` or None), `replicas` (`namespace/name` to count),
            `gate` (`absent`, `standby`, `serve` or None) and `gate_side` (`source`, `target` or None).
    """
    opts = cluster_options(environment, "target")
    if flips.database is not None:
        host = _database_host(environment, flips.database)
        ConfigEntries(environment.name, _entries(environment, host), opts=opts)
    if flips.replicas:
        Replicas(environment.name, declared_replicas(environment, flips.replicas), opts=opts)
    if flips.gate is not None:
        _gate(
            environment,
            there=flips.gate != "absent",
            serving=flips.gate == "serve",
            side=flips.gate_side or "source",
            opts=opts,
        )
    pulumi.export(
        "flipped",
        {
            "database": flips.database,
            "replicas": dict(flips.replicas),
            "gate": flips.gate,
            "gate_side": flips.gate_side,
        },
    )


def _gate(
    environment: Environment,
    *,
    there: bool,
    serving: bool,
    side: Literal["source", "target"],
    opts: pulumi.ResourceOptions,
) -> None:
    services = {domain.service: domain for domain in environment.domains}
    made: list[pulumi.Resource] = []
    if there:
        routes: dict[str, list[GateRoute]] = {}
        for domain in services.values():
            namespace, _, name = domain.service.partition("/")
            behind = {
                "source": environment.selector(domain),
                "target": {ARMED_LABEL: name},
            }
            made += [
                _behind(namespace, f"{name}-landfall-{end}", domain, selector, opts)
                for end, selector in behind.items()
            ]
            places = {
                end: f"{name}-landfall-{end}.{namespace}.svc.cluster.local:{domain.target_port}"
                for end in behind
            }
            routes.setdefault(namespace, []).append(
                GateRoute(
                    name, domain.target_port, places["source"], places["target"], environment.selector(domain)
                )
            )
        made += [
            TrafficGate(
                f"{environment.name}-{namespace}",
                namespace=namespace,
                image=environment.gate_image,
                routes=here,
                side=side,
                opts=opts,
            )
            for namespace, here in routes.items()
        ]
    ServiceSelectors(
        environment.name,
        {
            _named(domain): gate_selector(environment.selector(domain))
            if serving
            else environment.selector(domain)
            for domain in services.values()
        },
        after=made,
        opts=opts,
    )


def _behind(
    namespace: str,
    name: str,
    domain: DomainSettings,
    selector: Mapping[str, str],
    opts: pulumi.ResourceOptions,
) -> Service:
    """What the gate sends to: those who answer with one of the databases."""
    return Service(
        f"{namespace}/{name}",
        metadata={"namespace": namespace, "name": name, "labels": {"app.kubernetes.io/name": name}},
        spec={
            "selector": dict(selector),
            "ports": [{"name": "http", "port": domain.target_port, "target_port": domain.target_port}],
        },
        opts=opts,
    )


def _named(domain: DomainSettings) -> tuple[str, str]:
    namespace, _, name = domain.service.partition("/")
    return namespace, name


def _database_host(environment: Environment, which: str) -> pulumi.Output[str]:
    if which == "target":
        return text_output(landing_zone_outputs(environment.name), "database_address")
    source = environment.database.source
    host = source.internal_host if which == "internal" else known(source.eip, "database.source.eip")
    return pulumi.Output.from_input(host)


def _entries(
    environment: Environment, database_host: pulumi.Output[str]
) -> dict[tuple[str, str], dict[str, pulumi.Input[str]]]:
    """The values of all entries, by namespace and ConfigMap."""
    entries: dict[tuple[str, str], dict[str, pulumi.Input[str]]] = {}
    for entry in environment.config_entries:
        value = pulumi.Output.format(
            entry.value,
            database_host=database_host,
            database_port=environment.database.port,
            database_name=environment.database.name,
        )
        entries.setdefault((entry.namespace, entry.config_map), {})[entry.key] = value
    return entries
