"""What the stacks cost to run: `python -m tests.docs.costs docs/first-preview.md` writes it into the page.

Quantities are counted in what the real programs declare; prices stand in the page's own table, for people to
change. What is paid by use (traffic, requests, logs, backups beyond the free ones) is not in it.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from policy.judgement import Resource
from tests.policy.programs import STACKS, program

HOURS = 730
BEGIN, END = "<!-- costs: begin -->", "<!-- costs: end -->"
FACTORS = {"prod": "Singapore", "rhoam": "Ireland"}
"""By environment, the column of the prices."""
_AMOUNT = r" ([0-9.]+) \|"
_PRICE = re.compile(rf"^\| ([^|]+) \| (hour|month) \|{_AMOUNT}{_AMOUNT}{_AMOUNT}", re.MULTILINE)
VCPUS = {"large": 2, "xlarge": 4, "2xlarge": 8}
COUNTED = {
    "aws:ec2/eip:Eip": "public IPv4 address",
    "aws:ec2/natGateway:NatGateway": "NAT gateway",
    "aws:kms/key:Key": "KMS key",
    "aws:secretsmanager/secret:Secret": "secret",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "alarm",
}
"""Types each of which is one priced item."""
Quantities = Mapping[str, int]


@dataclass(frozen=True)
class Price:
    """What one of something costs in each region, in US dollars."""

    per: str
    """`hour` or `month`."""
    regions: Mapping[str, Decimal]

    def month(self, region: str) -> Decimal:
        """For a month."""
        return self.regions[region] * (HOURS if self.per == "hour" else 1)


def prices(page: str) -> dict[str, Price]:
    """The page's table of prices, by item."""
    return {
        item: Price(per, {"Singapore": Decimal(singapore), "Ireland": Decimal(ireland)})
        for item, per, _, singapore, ireland in _PRICE.findall(page)
    }


def quantities(stack: str) -> Quantities:
    """How many of each priced item a stack declares."""
    made = program(stack)
    disks = {
        resource.name: int(_given(resource)["blockDeviceMappings"][0]["ebs"]["volumeSize"])
        for resource in made
        if resource.type == "aws:ec2/launchTemplate:LaunchTemplate"
    }
    found: Counter[str] = Counter()
    for resource in made:
        for item, count in _items(resource, disks):
            found[item] += count
    return found


def _given(resource: Resource) -> Any:
    return resource.properties


def _items(resource: Resource, disks: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    given = _given(resource)
    match resource.type.removeprefix("aws:").rpartition("/")[0], resource.type.rpartition(":")[2]:
        case "eks", "Cluster":
            yield "EKS control plane", 1
        case "eks", "NodeGroup":
            nodes = int(given["scalingConfig"]["desiredSize"])
            yield given["instanceTypes"][0], nodes
            yield "EBS gp3, GB", nodes * disks[resource.name.replace("-default", "-node")]
        case "ec2", "Instance":
            yield given["instanceType"], 1
            yield "EBS gp3, GB", disks[resource.name]
        case "rds", "Instance":
            yield f"{given['instanceClass']}, Multi-AZ", 1
            yield "RDS storage, GB, Multi-AZ", int(given["allocatedStorage"])
            yield "secret", 1  # the master password, which RDS makes
            if (given["engine"], given["engineVersion"]) == ("mysql", "5.7"):
                yield "MySQL 5.7 Extended Support, vCPU", 2 * VCPUS[given["instanceClass"].rpartition(".")[2]]
        case "elasticache", "ReplicationGroup":
            yield given["nodeType"], int(given["numCacheClusters"])
        case "dms", "ReplicationInstance":
            yield f"{given['replicationInstanceClass']}, Multi-AZ", 1
            yield "DMS storage, GB, Multi-AZ", int(given["allocatedStorage"])
        case "ec2", "VpcEndpoint" if given["vpcEndpointType"] == "Interface":
            yield "interface endpoint, zone", 3
        case _ if resource.type in COUNTED:
            yield COUNTED[resource.type], 1


def section(page: str) -> str:
    """The tables of the page that follow from its prices."""
    known = prices(page)
    lines: list[str] = []
    totals: list[str] = []
    for stack in STACKS:
        region = FACTORS[stack.partition("-")[0]]
        counted = quantities(stack)
        rows = {item: count * known[item].month(region) for item, count in counted.items()}
        lines += [f"**{stack}** ({region})", "", "| item | count | USD a month |", "|---|---|---|"]
        ordered = sorted(rows, key=lambda item: (-rows[item], item))
        lines += [f"| {item} | {counted[item]} | {_money(rows[item])} |" for item in ordered]
        total = sum(rows.values(), Decimal(0))
        lines += [f"| **together** | | **{_money(total)}** |", ""]
        totals.append(f"| {stack} | {_money(total)} | {_money(total / HOURS, 2)} |")
    head = ["| stack | USD a month | USD an hour |", "|---|---|---|", *totals, ""]
    return "\n".join([*head, *lines])


def _money(value: Decimal, digits: int = 0) -> str:
    return f"{value:,.{digits}f}"


def rewritten(page: str) -> str:
    """The page with its costs computed anew."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n\n{section(page)}{END}{after}"


def main() -> int:
    """Rewrites the file that is named."""
    path = Path(sys.argv[1])
    path.write_text(rewritten(path.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
