"""The DNS server, the forwarder, the table of private names."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from lab.dns import Answer, DnsServer, Forwarder, Question, TableError, load_table, refused
from lab.dns.records import parse_table
from tests.edge.support import LOOPBACK, addresses, ask, dns_server, run

PRIVATE = parse_table(
    {
        "records": [
            {"name": "rds.boss.huawei.internal", "content": "198.51.100.30", "ttl": 30},
            {"name": "alias.internal", "type": "CNAME", "content": "rds.boss.huawei.internal."},
            {"name": "outward.internal", "type": "CNAME", "content": "elsewhere.example."},
        ]
    },
    "the test",
)


async def private(question: Question) -> Answer:
    return PRIVATE.find(question) or refused()


@pytest.mark.parametrize("tcp", [False, True])
def test_names_are_answered_with_their_ttl_in_any_case_over_udp_and_tcp(tcp: bool) -> None:
    async def test() -> None:
        async with dns_server(private) as port:
            answer = await ask(port, "RDS.Boss.Huawei.Internal", tcp=tcp)
            assert addresses(answer) == ["198.51.100.30"]
            assert answer.answer[0].ttl == 30
            assert answer.flags & dns.flags.AA

    run(test)


def test_an_alias_is_followed_inside_the_table_and_given_alone_where_it_leads_out() -> None:
    async def test() -> None:
        async with dns_server(private) as port:
            inside = await ask(port, "alias.internal")
            assert [rrset.rdtype for rrset in inside.answer] == [dns.rdatatype.CNAME, dns.rdatatype.A]
            outside = await ask(port, "outward.internal")
            assert [rrset.rdtype for rrset in outside.answer] == [dns.rdatatype.CNAME]

    run(test)


def test_a_type_that_a_known_name_lacks_is_no_data_and_an_unknown_name_is_not_answered() -> None:
    async def test() -> None:
        async with dns_server(private) as port:
            no_data = await ask(port, "rds.boss.huawei.internal", "AAAA")
            assert (no_data.rcode(), no_data.answer) == (dns.rcode.NOERROR, [])
            assert (await ask(port, "other.example")).rcode() == dns.rcode.REFUSED

    run(test)


def test_an_answer_too_long_for_a_datagram_is_truncated_and_whole_over_tcp() -> None:
    texts = [f'"{number:03d}{"x" * 200}"' for number in range(20)]

    async def long_answer(question: Question) -> Answer:
        return Answer((dns.rrset.from_text_list(question.name, 60, "IN", "TXT", texts),))

    async def test() -> None:
        async with dns_server(long_answer) as port:
            short = await ask(port, "long.example", "TXT")
            assert short.flags & dns.flags.TC
            assert short.answer == []
            whole = await ask(port, "long.example", "TXT", tcp=True)
            assert len(whole.answer[0]) == len(texts)

            forwarder = Forwarder(LOOPBACK, port)
            await forwarder.start()
            forwarded = await forwarder.lookup(
                Question(dns.name.from_text("long.example"), whole.answer[0].rdtype)
            )
            await forwarder.stop()
            assert len(forwarded.records[0]) == len(texts)

    run(test)


def test_a_lookup_that_raises_is_a_server_failure_and_the_server_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(question: Question) -> Answer:
        if question.text == "broken.example":
            raise RuntimeError("no such luck")
        return await private(question)

    async def test() -> None:
        async with dns_server(broken) as port:
            assert (await ask(port, "broken.example")).rcode() == dns.rcode.SERVFAIL
            assert addresses(await ask(port, "rds.boss.huawei.internal")) == ["198.51.100.30"]

    run(test)
    assert "no such luck" in caplog.text


@pytest.mark.parametrize(
    ("wire", "rcode"),
    [
        (b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xff", dns.rcode.FORMERR),
        (dns.message.Message(id=0x1234).to_wire(), dns.rcode.FORMERR),
        (b"\x12\x34\x28\x00" + b"\x00" * 8, dns.rcode.NOTIMP),
        (dns.message.make_query("version.bind", "TXT", "CH", id=0x1234).to_wire(), dns.rcode.REFUSED),
    ],
    ids=["garbage", "no question", "an update", "another class"],
)
def test_what_is_no_question_gets_an_error_with_its_id(wire: bytes, rcode: dns.rcode.Rcode) -> None:
    async def test() -> None:
        answer = await DnsServer(private, LOOPBACK, 0).respond(wire, 512)
        assert answer is not None
        assert answer[:2] == b"\x12\x34"
        assert dns.message.from_wire(answer, ignore_trailing=True).rcode() == rcode

    run(test)


@pytest.mark.parametrize(
    "wire", [b"", b"\x12", b"\x12\x34\x81\x80" + b"\x00" * 8, b"\x12\x34\x81\xff\x00\x01" * 3]
)
def test_an_answer_or_a_fragment_is_not_answered(wire: bytes) -> None:
    async def test() -> None:
        assert await DnsServer(private, LOOPBACK, 0).respond(wire, 512) is None

    run(test)


def test_many_questions_at_once_share_one_forwarder() -> None:
    async def counted(question: Question) -> Answer:
        number = question.text.partition(".")[0].removeprefix("n")
        return Answer((dns.rrset.from_text(question.name, 5, "IN", "A", f"192.0.2.{number}"),))

    async def test() -> None:
        async with dns_server(counted) as upstream:
            forwarder = Forwarder(LOOPBACK, upstream)
            await forwarder.start()
            async with dns_server(forwarder.lookup) as port:
                answers = await asyncio.gather(*(ask(port, f"n{number}.example") for number in range(100)))
            await forwarder.stop()
            assert [addresses(answer) for answer in answers] == [[f"192.0.2.{n}"] for n in range(100)]
            assert all(answer.answer[0].ttl == 5 for answer in answers)

    run(test)


def test_an_upstream_that_is_silent_or_absent_is_a_server_failure() -> None:
    async def test() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind((LOOPBACK, 0))
            port = silent.getsockname()[1]
            for stays in (True, False):
                if not stays:
                    silent.close()
                forwarder = Forwarder(LOOPBACK, port, timeout=0.05)
                await forwarder.start()
                answer = await forwarder.lookup(Question(dns.name.from_text("a.example"), dns.rdatatype.A))
                await forwarder.stop()
                assert answer.rcode == dns.rcode.SERVFAIL

    run(test)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "Expecting property name"),
        ("[]", "expected an object"),
        ('{"records": [{"name": "a.example", "content": "not an address"}]}', "a.example A not an address"),
        ('{"records": [{"name": "a.example"}]}', "records.0.content"),
        ('{"records": [], "colour": "red"}', "colour"),
    ],
)
def test_a_wrong_records_file_is_one_clear_error(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "records.json"
    path.write_text(content)
    with pytest.raises(TableError) as raised:
        load_table(path)
    assert str(path) in str(raised.value)
    assert complaint in str(raised.value)

    command = ["--listen", LOOPBACK, "--port", "0", "--records", str(path), "--upstream", LOOPBACK]
    ended = subprocess.run(
        [sys.executable, "-m", "lab.dns", *command], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert complaint in ended.stderr
