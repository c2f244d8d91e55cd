"""The table: one Row for each resource type, a module for each group of services."""

from lab.providers.aws.rows import (
    caches,
    compute,
    containers,
    databases,
    iam,
    messaging,
    migration,
    network,
    operations,
    storage,
)
from lab.providers.aws.table import Row

_MODULES = (network, compute, iam, containers, operations, messaging, storage, databases, caches, migration)

ROWS: dict[str, Row] = {row.token: row for module in _MODULES for row in module.ROWS}
