"""Images, volumes, addresses, names and pauses."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import dns.name
import dns.rcode
import dns.rdatatype
import pytest

from lab.dns.server import Answer, Question
from lab.kubernetes.cluster_dns import Names, lookup
from lab.kubernetes.node.agent import separate_file_systems
from lab.kubernetes.node.grace import Backoff, Grace
from lab.kubernetes.node.images import Image, ImageError, Images, candidates, command_line
from lab.kubernetes.node.network import AddressPool, NetworkError
from lab.kubernetes.node.place import name_files
from lab.kubernetes.node.volumes import File, write_atomically

# --- images ---


def test_an_image_is_found_with_and_without_its_tag(tmp_path: Path) -> None:
    path = tmp_path / "images.json"
    path.write_text(
        json.dumps({"registry.example/boss": {"entrypoint": ["boss"]}, "redis:6": {"cmd": ["six"]}})
    )
    images = Images(path)
    assert images.find("registry.example/boss:1.0@sha256:abc").entrypoint == ("boss",)
    assert images.find("redis:6").cmd == ("six",)
    assert images.find("docker.io/library/redis:7").cmd == ("redis-server",)
    with pytest.raises(ImageError, match='"boss:1": the lab has no such image'):
        images.find("boss:1")


def test_a_changed_images_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "images.json"
    path.write_text("{}")
    images = Images(path)
    with pytest.raises(ImageError):
        images.find("new")
    path.write_text('{"new": {"cmd": ["x"]}}')
    os.utime(path, (1, 1))
    assert images.find("new").cmd == ("x",)


@pytest.mark.parametrize("content", ["{", '{"a": {"entry": []}}', '{"a": {"stop_signal": "TERM"}}'])
def test_a_bad_images_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "images.json"
    path.write_text(content)
    with pytest.raises(ImageError, match=r"images\.json"):
        Images(path).find("a")


def test_a_port_in_a_registry_is_no_tag() -> None:
    assert candidates("registry.example:5000/boss") == ["registry.example:5000/boss"]


@pytest.mark.parametrize(
    ("command", "args", "runs"),
    [
        ([], [], ["entry", "cmd"]),
        ([], ["arg"], ["entry", "arg"]),
        (["own"], [], ["own"]),
        (["own"], ["arg"], ["own", "arg"]),
    ],
)
def test_command_and_args(command: list[str], args: list[str], runs: list[str]) -> None:
    assert command_line(Image(entrypoint=("entry",), cmd=("cmd",)), command, args) == runs


# --- volumes ---


def test_a_volume_changes_all_at_once_and_only_if_it_changes(tmp_path: Path) -> None:
    write_atomically(tmp_path, {"a": File(b"1", 0o644), "deep/b": File(b"2", 0o400)})
    first = (tmp_path / "..data").readlink()
    assert (tmp_path / "a").read_bytes() == b"1"
    assert (tmp_path / "deep/b").stat().st_mode & 0o777 == 0o400
    write_atomically(tmp_path, {"a": File(b"1", 0o644), "deep/b": File(b"2", 0o400)})
    assert (tmp_path / "..data").readlink() == first
    write_atomically(tmp_path, {"a": File(b"3", 0o644), "c": File(b"", 0o644)})
    assert (tmp_path / "..data").readlink() != first
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("..")) == ["a", "c"]
    assert (tmp_path / "a").read_bytes() == b"3"
    assert not (tmp_path / first).exists()


# --- addresses ---


def test_an_address_comes_back_last() -> None:
    pool = AddressPool("192.0.2.0/30")
    first, second = pool.take(), pool.take()
    with pytest.raises(NetworkError, match="no free address"):
        pool.take()
    pool.give_back(second)
    pool.give_back(first)
    assert [pool.take(), pool.take()] == [second, first]


def test_separate_file_systems_are_found() -> None:
    text = """\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 0:5 / /dev rw - devtmpfs udev rw
24 23 0:6 / /dev/shm rw - tmpfs tmpfs rw
25 22 0:7 / /proc rw - proc proc rw
26 22 0:8 / /lab/pods rw - tmpfs tmpfs rw
27 22 8:2 / /tmp rw - ext4 /dev/sdb rw
"""
    assert separate_file_systems(text, Path("/lab/pods")) == ["/tmp"]


def test_resolv_conf_and_hosts_are_the_pods_own() -> None:
    pod: dict[str, Any] = {
        "metadata": {"namespace": "billing"},
        "spec": {
            "hostAliases": [{"ip": "203.0.113.9", "hostnames": ["a", "b"]}],
            "dnsConfig": {"searches": ["x.example"], "options": [{"name": "ndots", "value": "2"}]},
        },
    }
    files = name_files(pod, "192.0.2.7", "boss-1", "192.0.2.138")
    assert files["/etc/resolv.conf"].splitlines() == [
        "nameserver 192.0.2.138",
        "search billing.svc.cluster.local svc.cluster.local cluster.local x.example",
        "options ndots:2",
    ]
    assert "192.0.2.7\tboss-1" in files["/etc/hosts"].splitlines()
    assert "203.0.113.9\ta b" in files["/etc/hosts"].splitlines()


# --- pauses ---


def test_pauses_double_up_to_five_minutes() -> None:
    backoff = Backoff(10.0, first=0.0)
    assert [backoff.next() for _ in range(8)] == [0, 10, 20, 40, 80, 160, 300, 300]
    backoff.reset()
    assert backoff.next() == 0


def test_a_grace_that_is_shortened_ends_for_who_waits() -> None:
    async def scenario() -> None:
        grace = Grace(3600.0)
        waiting = asyncio.ensure_future(grace.over())
        await asyncio.sleep(0)
        grace.shorten(7200.0)
        assert 3500.0 < grace.left <= 3600.0
        grace.shorten(0.0)
        async with asyncio.timeout(30):
            await waiting

    asyncio.run(scenario())


# --- names ---


def endpoints(service: str, *addresses: str, ready: bool = True) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"kubernetes.io/service-name": service}},
        "endpoints": [{"addresses": [address], "conditions": {"ready": ready}} for address in addresses],
    }


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "billing"}, "spec": spec}


NAMES = Names(
    services={
        ("billing", "web"): service(
            "web", clusterIP="192.0.2.150", ports=[{"name": "http", "port": 80}, {"name": "x", "port": 1}]
        ),
        ("billing", "group"): service("group", clusterIP="None", ports=[{"name": "http", "port": 80}]),
        ("billing", "alias"): service("alias", type="ExternalName", externalName="db.example"),
    },
    slices={
        ("billing", "s1"): endpoints("group", "192.0.2.8", "192.0.2.7"),
        ("billing", "s2"): endpoints("group", "192.0.2.9", ready=False),
        ("other", "s3"): endpoints("group", "192.0.2.10"),
    },
    namespaces={("", "billing"): {}},
)


def ask(name: str, kind: str = "A") -> tuple[str, list[str]]:
    """The answer's code and its records, `elsewhere` standing for the upstream's."""

    async def elsewhere(question: Question) -> Answer:
        return Answer(rcode=dns.rcode.REFUSED)

    question = Question(dns.name.from_text(name), dns.rdatatype.from_text(kind))

    async def answered() -> Answer:
        return await lookup(NAMES, elsewhere)(question)

    answer = asyncio.run(answered())
    return dns.rcode.to_text(answer.rcode), [item.to_text() for record in answer.records for item in record]


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("web.billing.svc.cluster.local", "A", ("NOERROR", ["192.0.2.150"])),
        ("WEB.Billing.svc.cluster.local", "A", ("NOERROR", ["192.0.2.150"])),
        ("web.billing.svc.cluster.local", "AAAA", ("NOERROR", [])),
        ("absent.billing.svc.cluster.local", "A", ("NXDOMAIN", [])),
        ("x.web.billing.svc.cluster.local", "A", ("NXDOMAIN", [])),
        ("group.billing.svc.cluster.local", "A", ("NOERROR", ["192.0.2.7", "192.0.2.8"])),
        ("192-0-2-7.group.billing.svc.cluster.local", "A", ("NOERROR", ["192.0.2.7"])),
        ("192-0-2-9.group.billing.svc.cluster.local", "A", ("NXDOMAIN", [])),
        ("alias.billing.svc.cluster.local", "A", ("REFUSED", ["db.example."])),
        (
            "_http._tcp.web.billing.svc.cluster.local",
            "SRV",
            ("NOERROR", ["0 100 80 web.billing.svc.cluster.local."]),
        ),
        ("_smtp._tcp.web.billing.svc.cluster.local", "SRV", ("NXDOMAIN", [])),
        ("192-0-2-7.billing.pod.cluster.local", "A", ("NOERROR", ["192.0.2.7"])),
        ("not-an-address.billing.pod.cluster.local", "A", ("NXDOMAIN", [])),
        ("billing.svc.cluster.local", "A", ("NOERROR", [])),
        ("absent.svc.cluster.local", "A", ("NXDOMAIN", [])),
        ("cluster.local", "A", ("NOERROR", [])),
        ("bill.example.svc.cluster.local", "A", ("NXDOMAIN", [])),
        ("bill.example", "A", ("REFUSED", [])),
        ("notcluster.local", "A", ("REFUSED", [])),
    ],
)
def test_names_of_the_cluster(name: str, kind: str, expected: tuple[str, list[str]]) -> None:
    assert ask(name, kind) == expected
