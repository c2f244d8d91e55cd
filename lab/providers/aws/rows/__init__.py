"""The table: one Row for each resource type, a module for each group of services."""

from lab.providers.aws.rows import containers, iam, network, operations, storage
from lab.providers.aws.table import Row

ROWS: dict[str, Row] = {
    row.token: row
    for module in (network, iam, containers, operations, storage)
    for row in module.ROWS
}
