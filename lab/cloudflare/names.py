"""Authoritative DNS from the records that the API holds."""

from __future__ import annotations

from dataclasses import replace

import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from lab.cloudflare.directory import NAME_SERVERS, Directory, Zone
from lab.cloudflare.records import Record
from lab.dns import Answer, Question, refused, server_failure

SOA_TTL = 1800  # seconds; also how long an absent name may be remembered
NS_TTL = 86_400
MAXIMUM_ALIASES = 8


class PublicNames:
    """The `Lookup` of the lab's public DNS: the zones first, then the further public names.

    Every TTL is divided by `divisor` (at least 1 s), so that waiting for one fits a rehearsal.
    """

    def __init__(self, directory: Directory, divisor: int = 1) -> None:
        if divisor < 1:
            raise ValueError(f"the TTL divisor must be at least 1, not {divisor}")
        self._directory = directory
        self._divisor = divisor
        self._version = -1
        self._known: dict[Question, Answer] = {}

    async def lookup(self, question: Question) -> Answer:
        """Answers from the records of this moment; answers are kept until a record changes."""
        if self._version != self._directory.version:
            self._version = self._directory.version
            self._known.clear()
        answer = self._known.get(question)
        if answer is None:
            answer = self._known[question] = self._find(question)
        return answer

    def ttl(self, seconds: int) -> int:
        """A TTL as this server answers it."""
        return max(1, seconds // self._divisor)

    def _find(self, question: Question) -> Answer:
        found: list[dns.rrset.RRset] = []
        name = question.name
        for _ in range(MAXIMUM_ALIASES):
            answer = self._find_once(Question(name, question.rdtype))
            if answer is None:
                break  # the alias leads out of what this server knows
            found.extend(answer.records)
            alias = answer.records[-1] if answer.records else None
            if alias is None or alias.rdtype != dns.rdatatype.CNAME or question.rdtype == alias.rdtype:
                return replace(answer, records=tuple(found))
            name = alias[0].target.canonicalize()
        return Answer(tuple(found), authoritative=True) if found else refused()

    def _find_once(self, question: Question) -> Answer | None:
        zone = self._zone(question.name)
        if zone is not None:
            return self._find_in(zone, question)
        static = self._directory.names.find(question)
        if static is None:
            return None
        return Answer(tuple(self._divided(rrset) for rrset in static.records), authoritative=True)

    def _zone(self, name: dns.name.Name) -> Zone | None:
        inside = [z for z in self._directory.zones.values() if name.is_subdomain(dns.name.from_text(z.name))]
        return max(inside, key=lambda zone: len(zone.name), default=None)

    def _find_in(self, zone: Zone, question: Question) -> Answer:
        text = question.text
        authority = (self._soa(zone),)
        if text == zone.name and question.rdtype == dns.rdatatype.SOA:
            return Answer(authority, authoritative=True)
        if text == zone.name and question.rdtype == dns.rdatatype.NS:
            return Answer((self._ns(zone),), authoritative=True)
        here = _at(zone, text)
        if not here:
            exists = text == zone.name or any(r.name.endswith(f".{text}") for r in zone.records.values())
            rcode = dns.rcode.NOERROR if exists else dns.rcode.NXDOMAIN
            return Answer((), authority, rcode, authoritative=True)
        wanted = dns.rdatatype.to_text(question.rdtype)
        records = [record for record in here if record.type == wanted] or [
            record for record in here if record.type == "CNAME"
        ]
        if not records:
            return Answer((), authority, authoritative=True)
        if any(record.proxied or (record.type == "CNAME" and text == zone.name) for record in records):
            return server_failure()  # the lab has neither a proxy nor the flattening of an apex alias
        return Answer((self._rrset(question.name, records),), authoritative=True)

    def _rrset(self, name: dns.name.Name, records: list[Record]) -> dns.rrset.RRset:
        ttl = self.ttl(min(record.served_ttl for record in records))
        texts = [_presentation(record) for record in records]
        return dns.rrset.from_text_list(name, ttl, "IN", records[0].type, texts)

    def _divided(self, rrset: dns.rrset.RRset) -> dns.rrset.RRset:
        return dns.rrset.from_rdata_list(rrset.name, self.ttl(rrset.ttl), list(rrset))

    def _soa(self, zone: Zone) -> dns.rrset.RRset:
        ttl = self.ttl(SOA_TTL)
        text = f"{NAME_SERVERS[0]}. dns.cloudflare.com. {zone.serial} 10000 2400 604800 {ttl}"
        return dns.rrset.from_text(f"{zone.name}.", ttl, "IN", "SOA", text)

    def _ns(self, zone: Zone) -> dns.rrset.RRset:
        texts = [f"{server}." for server in NAME_SERVERS]
        return dns.rrset.from_text_list(f"{zone.name}.", self.ttl(NS_TTL), "IN", "NS", texts)


def _at(zone: Zone, name: str) -> list[Record]:
    """The records of a name: its own, or those of the closest wildcard if the name itself has none."""
    own = [record for record in zone.records.values() if record.name == name]
    parent = name
    while not own and parent != zone.name:
        if any(record.name.endswith(f".{parent}") for record in zone.records.values()):
            break  # a name in between that exists hides the wildcards above it (RFC 4592)
        parent = parent.partition(".")[2]
        own = [record for record in zone.records.values() if record.name == f"*.{parent}"]
    return own


def _presentation(record: Record) -> str:
    """A record's content as it stands in a zone file."""
    match record.type:
        case "MX":
            return f"{record.priority} {record.content}."
        case "CNAME" | "NS":
            return f"{record.content}."
        case "TXT" if not record.content.startswith('"'):
            data = record.content.encode()
            return " ".join(_character_string(data[at : at + 255]) for at in range(0, len(data), 255))
        case _:
            return record.content


def _character_string(data: bytes) -> str:
    """Bytes quoted as RFC 1035 (5.1) writes them: what is not plain ASCII as \\DDD."""
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03d}" for byte in data)
    return f'"{"".join(plain)}"'
