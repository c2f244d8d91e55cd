"""`<environment>-target`: what the cutover changes on the target's cluster."""

import pulumi

from components.config_entries import ConfigEntries
from components.replicas import Replicas
from stacks.clusters import cluster_options, declared_replicas
from stacks.references import landing_zone_outputs, text_output
from stacks.settings import Environment, TargetFlips, known


def target(environment: Environment, flips: TargetFlips) -> None:
    """Declares which database the workloads are told of, and replica counts.

    Stack outputs:
        flipped: `database` (`internal`, `eip`, `target` or None) and `replicas` (`namespace/name` to count).
    """
    opts = cluster_options(environment, "target")
    if flips.database is not None:
        host = _database_host(environment, flips.database)
        ConfigEntries(environment.name, _entries(environment, host), opts=opts)
    if flips.replicas:
        Replicas(environment.name, declared_replicas(environment, flips.replicas), opts=opts)
    pulumi.export("flipped", {"database": flips.database, "replicas": dict(flips.replicas)})


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
