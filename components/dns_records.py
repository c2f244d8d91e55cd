"""The Cloudflare records that users reach the services by."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_cloudflare as cloudflare

AUTOMATIC_TTL = 1
"""What Cloudflare calls the TTL of a proxied record, which cannot be chosen."""


@dataclass(frozen=True)
class Record:
    """What one record should say."""

    name: str
    zone_id: str
    type: str
    content: pulumi.Input[str]
    ttl: int
    """In seconds; not used where `proxied`."""
    proxied: bool
    record_id: str | None
    """The id of an existing record, which is adopted; None creates one."""


class DnsRecords(pulumi.ComponentResource):
    """DNS records whose content is flipped.

    A record that existed before is adopted by its id, and stays when the stack is destroyed. A record that
    is created here is protected. The type of a record never changes: that would delete and create it.

    Outputs:
        records: name to id.
    """

    def __init__(
        self, name: str, records: Sequence[Record], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("landfall:dns:Records", name, None, opts)
        self.records: dict[str, pulumi.Output[str]] = {}
        for record in records:
            existing = record.record_id is not None
            self.records[record.name] = cloudflare.DnsRecord(
                record.name,
                name=record.name,
                zone_id=record.zone_id,
                type=record.type,
                content=record.content,
                ttl=AUTOMATIC_TTL if record.proxied else record.ttl,
                proxied=record.proxied,
                opts=pulumi.ResourceOptions(
                    parent=self,
                    import_=f"{record.zone_id}/{record.record_id}" if existing else None,
                    retain_on_delete=existing,
                    protect=not existing,
                ),
            ).id
        self.register_outputs({"records": self.records})
