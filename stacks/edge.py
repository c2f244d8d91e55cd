"""`<environment>-edge`: where each domain points."""

from collections.abc import Sequence

import pulumi

from components.dns_records import DnsRecords, Record
from stacks.references import ingress_addresses, landing_zone_outputs
from stacks.settings import EdgeFlips, Environment, RecordSettings, RhoamEnvironment, known


def edge(environment: Environment | RhoamEnvironment, flips: EdgeFlips) -> None:
    """Declares the record of each domain; one that no flip key names points at the source.

    Stack outputs:
        flipped: `records` (name to `source` or `target`) and `ttl` (`original` or `lowered`).
    """
    ttl = flips.ttl or "original"
    records = []
    sides = {domain.name: flips.records.get(domain.name, "source") for domain in environment.domains}
    target = _target_address(
        environment, [domain for domain in environment.domains if sides[domain.name] == "target"]
    )
    for domain in environment.domains:
        place = f"domains[{domain.name}]"
        record_id = None if domain.record_id is None else known(domain.record_id, f"{place}.record_id")
        source = known(domain.source, f"{place}.source")
        records.append(
            Record(
                name=domain.name,
                zone_id=known(environment.cloudflare.zones[domain.zone], f"cloudflare.zones[{domain.zone}]"),
                type=domain.type,
                content=source if sides[domain.name] == "source" else _target(domain, target),
                ttl=domain.ttl.original if ttl == "original" else domain.ttl.lowered,
                proxied=domain.proxied,
                record_id=record_id,
            )
        )
    DnsRecords(environment.name, records)
    pulumi.export("flipped", {"records": sides, "ttl": ttl})


def _target_address(
    environment: Environment | RhoamEnvironment, domains: Sequence[RecordSettings]
) -> pulumi.Output[str] | None:
    """The target's first ingress address, where a domain needs it; read once, as it is one resource."""
    if all(domain.target is not None for domain in domains):
        return None
    return ingress_addresses(landing_zone_outputs(environment.name)).apply(lambda addresses: addresses[0])


def _target(domain: RecordSettings, address: pulumi.Output[str] | None) -> pulumi.Input[str]:
    if domain.target is not None:
        return known(domain.target, f"domains[{domain.name}].target")
    if address is None:
        raise ValueError(f"domains[{domain.name}]: its target's address was not read")
    return address
