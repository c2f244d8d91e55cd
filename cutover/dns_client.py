"""DNS, asked at the servers that are authoritative for a zone."""

from __future__ import annotations

from collections.abc import Sequence

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver

from cutover.errors import StepError
from cutover.ports import DnsAnswer


class AuthoritativeDns:
    """Implements ports.Dns. Finds the zone's servers through the machine's resolver."""

    def __init__(self, call_seconds: float) -> None:
        self._seconds = call_seconds

    def authoritative(self, name: str, record_type: str, zone: str) -> Sequence[DnsAnswer]:
        """See ports.Dns."""
        return [
            self._ask(server, address, name, record_type)
            for server in self._resolve(zone, "NS", "its name servers")
            for address in self._resolve(server, "A", f"the address of {zone}'s name server {server}")
        ]

    def _resolve(self, name: str, record_type: str, what: str) -> list[str]:
        try:
            resolver = dns.resolver.Resolver()
            answer = resolver.resolve(name, record_type, lifetime=self._seconds, search=False)
        except dns.exception.DNSException as error:
            raise StepError(
                f"DNS was asked for {what} ({name} {record_type}): {error or type(error).__name__}"
            ) from error
        return sorted(item.to_text().rstrip(".") for item in answer)

    def _ask(self, server: str, address: str, name: str, record_type: str) -> DnsAnswer:
        place = f"{name} {record_type} at {server} ({address})"
        query = dns.message.make_query(name, record_type, flags=0, use_edns=0)
        try:
            response, _ = dns.query.udp_with_fallback(query, address, timeout=self._seconds)
        except (dns.exception.DNSException, OSError) as error:
            raise StepError(f"DNS was asked for {place}: {error or type(error).__name__}") from error
        if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise StepError(f"DNS was asked for {place}: it answered {dns.rcode.to_text(response.rcode())}")
        if not response.flags & dns.flags.AA:
            raise StepError(f"DNS was asked for {place}: the answer is not authoritative")
        wanted = dns.rdatatype.from_text(record_type)
        found = [rrset for rrset in response.answer if rrset.rdtype == wanted]
        contents = sorted(item.to_text().rstrip(".") for rrset in found for item in rrset)
        return DnsAnswer(server, tuple(contents), max((rrset.ttl for rrset in found), default=0))
