"""The DNS that the lab's Cloudflare answers from its records."""

from __future__ import annotations

import dns.flags
import dns.rcode
import dns.rdatatype
import pytest

from lab.cloudflare.directory import Directory, ZonesError
from lab.cloudflare.names import PublicNames
from tests.edge.support import DOMAIN, addresses, ask, cloudflare_server, dns_server, run, zones

HELD = zones(
    {"name": "www", "type": "CNAME", "content": DOMAIN, "ttl": 60},
    {"name": "db", "type": "CNAME", "content": "db.rds.example"},
    {"name": "deep.below", "type": "A", "content": "203.0.113.20"},
    {"name": "*.wild", "type": "A", "content": "203.0.113.21"},
    {"name": "own.wild", "type": "TXT", "content": "here"},
    {"name": "@", "type": "MX", "content": "mail.truewatch.com", "priority": 10},
    {"name": "text", "type": "TXT", "content": 'say "hé" ' + "x" * 300},
    {"name": "proxied", "type": "A", "content": "203.0.113.22", "proxied": True},
    names=({"name": "db.rds.example", "content": "203.0.113.2", "ttl": 5},),
)


def test_ttls_are_divided_but_never_below_a_second() -> None:
    async def test() -> None:
        names = PublicNames(Directory(HELD), divisor=60)
        async with dns_server(names.lookup) as port:
            ttls = {
                name: (await ask(port, name)).answer[0].ttl
                for name in (DOMAIN, "db.rds.example", "deep.below.truewatch.com")
            }
        assert ttls == {DOMAIN: 5, "db.rds.example": 1, "deep.below.truewatch.com": 5}

    run(test)


@pytest.mark.parametrize(
    ("name", "rdtype", "rcode", "soa"),
    [
        ("absent.truewatch.com", "A", dns.rcode.NXDOMAIN, True),
        (DOMAIN, "AAAA", dns.rcode.NOERROR, True),
        ("below.truewatch.com", "A", dns.rcode.NOERROR, True),
        ("truewatch.com", "A", dns.rcode.NOERROR, True),
        ("own.wild.truewatch.com", "A", dns.rcode.NOERROR, True),
        ("other.example", "A", dns.rcode.REFUSED, False),
        ("proxied.truewatch.com", "A", dns.rcode.SERVFAIL, False),
    ],
)
def test_absent_names_and_absent_types_are_told_apart(
    name: str, rdtype: str, rcode: dns.rcode.Rcode, soa: bool
) -> None:
    async def test() -> None:
        async with dns_server(PublicNames(Directory(HELD)).lookup) as port:
            answer = await ask(port, name, rdtype)
        assert (answer.rcode(), answer.answer) == (rcode, [])
        assert [rrset.rdtype for rrset in answer.authority] == ([dns.rdatatype.SOA] if soa else [])
        assert bool(answer.flags & dns.flags.AA) == soa

    run(test)


def test_aliases_wildcards_and_the_zone_itself() -> None:
    async def test() -> None:
        async with dns_server(PublicNames(Directory(HELD)).lookup) as port:
            assert addresses(await ask(port, "www.truewatch.com")) == ["203.0.113.10"]
            assert addresses(await ask(port, "db.truewatch.com")) == ["203.0.113.2"]
            assert addresses(await ask(port, "any.wild.truewatch.com")) == ["203.0.113.21"]
            mail = await ask(port, "truewatch.com", "MX")
            assert mail.answer[0][0].to_text() == "10 mail.truewatch.com."
            text = await ask(port, "text.truewatch.com", "TXT")
            assert b"".join(text.answer[0][0].strings).decode() == 'say "hé" ' + "x" * 300
            assert (await ask(port, "truewatch.com", "NS")).answer[0].rdtype == dns.rdatatype.NS
            assert (await ask(port, "truewatch.com", "SOA")).answer[0].rdtype == dns.rdatatype.SOA

    run(test)


def test_a_changed_record_is_answered_at_once_and_raises_the_serial() -> None:
    async def test() -> None:
        async with cloudflare_server(HELD) as server:
            port = server.dns.port
            before = (await ask(port, "truewatch.com", "SOA")).answer[0][0].serial
            assert addresses(await ask(port, DOMAIN)) == ["203.0.113.10"]
            zone = server.directory.zone_named("truewatch.com")
            assert zone is not None
            record = next(record for record in zone.records.values() if record.name == DOMAIN)
            server.directory.patch(zone, record.id, {"content": "203.0.113.64"})
            assert addresses(await ask(port, DOMAIN)) == ["203.0.113.64"]
            assert (await ask(port, "truewatch.com", "SOA")).answer[0][0].serial > before

    run(test)


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        ({"name": "x", "type": "A", "content": "nowhere"}, "valid IPv4 address"),
        ({"name": "x", "type": "A", "content": "203.0.113.1", "ttl": 30}, "DNS Validation Error"),
        ({"name": DOMAIN, "type": "CNAME", "content": "a.example"}, "already exists"),
        ({"name": "x", "type": "SSHFP", "content": "1 1 00"}, "not known to the lab"),
    ],
)
def test_a_record_that_cloudflare_would_refuse_is_refused_at_the_start(
    record: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ZonesError, match=complaint):
        Directory(zones(record))
