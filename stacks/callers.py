"""`<environment>-<cluster>`: what changes for the services' callers on another cluster."""

import pulumi

from components.config_entries import ConfigEntries
from stacks.clusters import caller_entries, cluster_options
from stacks.settings import CallerFlips, Environment


def callers(environment: Environment, cluster: str, flips: CallerFlips) -> None:
    """Declares the entries that tell callers where the services are.

    A caller reads its entries when it starts; restarting it is a step of the cutover, and no resource.

    Stack outputs:
        flipped: `callers` (`namespace/name` to `source` or `target`).
    """
    opts = cluster_options(environment, cluster)
    if flips.callers:
        ConfigEntries(environment.name, caller_entries(environment, cluster, flips.callers), opts=opts)
    pulumi.export("flipped", {"callers": dict(flips.callers)})
