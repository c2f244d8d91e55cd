"""The cloudflare provider against a small HTTP fake, driven as an engine drives it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from lab.providers import cloudflare_api
from lab.providers.__main__ import start
from lab.providers.base import UNKNOWN, Properties
from lab.providers.cloudflare import CloudflareProvider
from tests.providers.client import CallError, ProviderClient, urn
from tests.providers.cloudflare_server import TOKEN, ZONE, Answer, CloudflareServer, refusal

RECORD = urn("cloudflare:index/dnsRecord:DnsRecord", "bill")
BILL: Properties = {
    "zoneId": ZONE,
    "name": "bill.example.com",
    "type": "A",
    "content": "203.0.113.10",
    "ttl": 300,
}


@pytest.fixture
def server() -> Iterator[CloudflareServer]:
    with CloudflareServer() as running:
        yield running


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    running, port = start(CloudflareProvider())
    yield port
    running.stop(None)


@pytest.fixture
def cloudflare(server: CloudflareServer, port: int) -> Iterator[ProviderClient]:
    with ProviderClient(port, {"baseUrl": server.url, "apiToken": TOKEN}) as client:
        yield client


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that would have been made, in seconds."""
    pauses: list[float] = []
    monkeypatch.setattr("lab.providers.cloudflare_api.time.sleep", pauses.append)
    return pauses


def test_a_record_lives_and_dies(cloudflare: ProviderClient, server: CloudflareServer) -> None:
    inputs = cloudflare.check(RECORD, BILL)
    preview = cloudflare.create(RECORD, inputs, preview=True)
    assert (preview.id, preview.outputs["modifiedOn"]) == ("", UNKNOWN)
    assert not server.calls

    state = cloudflare.create(RECORD, inputs)
    assert {name: state.outputs[name] for name in BILL} == BILL
    assert not cloudflare.diff(RECORD, state, inputs).changes
    assert cloudflare.read(RECORD, state) == state

    changed = {**BILL, "content": "203.0.113.64", "ttl": 60}
    assert cloudflare.diff(RECORD, state, changed).paths == {"content": "UPDATE", "ttl": "UPDATE"}
    calls = len(server.calls)
    assert cloudflare.update(RECORD, state, changed, preview=True).outputs["content"] == "203.0.113.64"
    assert len(server.calls) == calls, "a preview changes nothing"
    state = cloudflare.update(RECORD, state, changed)
    assert server.calls[-1][2] == {"content": "203.0.113.64", "ttl": 60}, "only what changed is sent"
    assert state.outputs["content"] == "203.0.113.64"

    cloudflare.delete(RECORD, state)
    assert cloudflare.read(RECORD, state) is None
    cloudflare.delete(RECORD, state)


@pytest.mark.parametrize(("change", "replaces"), [({"type": "CNAME", "content": "x.example.com"}, "type")])
def test_another_type_is_another_record(
    cloudflare: ProviderClient, change: Properties, replaces: str
) -> None:
    state = cloudflare.create(RECORD, BILL)
    diff = cloudflare.diff(RECORD, state, {**BILL, **change})
    assert diff.replaces == (replaces,)
    assert diff.delete_before_replace
    assert diff.paths[replaces] == "UPDATE_REPLACE"


def test_a_record_is_imported_by_zone_and_id(cloudflare: ProviderClient, server: CloudflareServer) -> None:
    state = cloudflare.create(RECORD, {**BILL, "comment": "old", "tags": ["a", "b"]})
    imported = cloudflare.import_(RECORD, f"{ZONE}/{state.id}")
    assert imported is not None
    assert imported.id == state.id
    assert imported.inputs == {**BILL, "comment": "old", "tags": ["a", "b"]}
    stated = {**BILL, "comment": "old", "tags": ["b", "a"], "proxied": False}
    assert not cloudflare.diff(RECORD, imported, stated).changes
    assert cloudflare.diff(RECORD, imported, {**stated, "proxied": True}).paths == {"proxied": "ADD"}
    assert cloudflare.diff(RECORD, imported, BILL).paths == {"comment": "DELETE", "tags": "DELETE"}
    cloudflare.update(RECORD, imported, BILL)
    assert server.calls[-1][2] == {"comment": None, "tags": []}
    with pytest.raises(CallError, match=r"INVALID_ARGUMENT.*zone_id/record_id"):
        cloudflare.import_(RECORD, state.id)
    assert cloudflare.import_(RECORD, f"{ZONE}/ffffffffffffffffffffffffffffffff") is None


def test_drift_is_seen(cloudflare: ProviderClient, server: CloudflareServer) -> None:
    state = cloudflare.create(RECORD, BILL)
    server.records[state.id] |= {"content": "198.51.100.1", "comment": "somebody else's"}
    refreshed = cloudflare.read(RECORD, state)
    assert refreshed is not None
    assert refreshed.inputs == {**BILL, "content": "198.51.100.1"}
    assert cloudflare.diff(RECORD, refreshed, BILL).paths == {"content": "UPDATE"}


def test_a_short_name_means_the_whole_one(cloudflare: ProviderClient) -> None:
    state = cloudflare.create(RECORD, {**BILL, "name": "bill"})
    refreshed = cloudflare.read(RECORD, state)
    assert refreshed is not None
    assert refreshed.inputs["name"] == "bill"


def test_an_existing_record_is_not_taken_over(cloudflare: ProviderClient) -> None:
    cloudflare.create(RECORD, BILL)
    with pytest.raises(CallError, match=r"81058 An identical record already exists\.; .* import it"):
        cloudflare.create(RECORD, BILL)


def test_inputs_are_checked(cloudflare: ProviderClient) -> None:
    _, failures = cloudflare.check_failures(RECORD, {"name": "bill", "colour": "red"})
    assert sorted(failures) == ["colour", "content", "ttl", "type", "zoneId"]
    with pytest.raises(CallError, match="UNIMPLEMENTED: cloudflare:index/zone:Zone"):
        cloudflare.check(urn("cloudflare:index/zone:Zone"), {})


def test_a_limit_is_waited_out(
    cloudflare: ProviderClient, server: CloudflareServer, no_pauses: list[float]
) -> None:
    limited = Answer(429, refusal(971, "Please wait"), {"Retry-After": "7"})
    server.next.extend([limited, limited])
    state = cloudflare.create(RECORD, BILL)
    assert no_pauses == [7, 7]
    assert len(server.records) == 1

    server.next.extend([limited] * 10)
    with pytest.raises(CallError, match="HTTP 429: 971 Please wait") as refused:
        cloudflare.update(RECORD, state, {**BILL, "ttl": 60})
    assert refused.value.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert len(no_pauses) == 2 + cloudflare_api.MAX_ATTEMPTS - 1


def test_a_limit_longer_than_any_of_cloudflares_is_reported_at_once(
    cloudflare: ProviderClient, server: CloudflareServer, no_pauses: list[float]
) -> None:
    server.next.append(Answer(429, refusal(971, "Please wait"), {"Retry-After": "3600"}))
    with pytest.raises(CallError, match="429"):
        cloudflare.create(RECORD, BILL)
    assert no_pauses == []


@pytest.mark.parametrize("failure", [Answer(502, b"<html>"), Answer(None)])
def test_a_broken_answer_is_repeated_where_that_does_no_harm(
    cloudflare: ProviderClient, server: CloudflareServer, no_pauses: list[float], failure: Answer
) -> None:
    state = cloudflare.create(RECORD, BILL)
    server.next.extend([failure, failure])
    cloudflare.update(RECORD, state, {**BILL, "ttl": 60})
    assert server.records[state.id]["ttl"] == 60
    assert len(no_pauses) == 2

    posts = sum(call[0] == "POST" for call in server.calls)
    server.next.append(failure)
    with pytest.raises(CallError, match="UNAVAILABLE"):
        cloudflare.create(RECORD, {**BILL, "name": "other.example.com"})
    assert sum(call[0] == "POST" for call in server.calls) == posts + 1


def test_a_lost_answer_to_a_creation_says_so(cloudflare: ProviderClient, server: CloudflareServer) -> None:
    server.next.append(Answer(None))
    with pytest.raises(CallError, match="may have been carried out"):
        cloudflare.create(RECORD, BILL)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"apiToken": "wrong"}, "PERMISSION_DENIED: .*HTTP 403: 10000 Authentication error"),
        ({}, "UNAUTHENTICATED: .*CLOUDFLARE_API_TOKEN"),
    ],
)
def test_a_refused_credential(
    server: CloudflareServer,
    port: int,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    expected: str,
) -> None:
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN", raising=False)
    with (
        ProviderClient(port, {"baseUrl": server.url, **settings}) as client,
        pytest.raises(CallError, match=expected),
    ):
        client.create(RECORD, BILL)


def test_the_environment_configures_it(
    server: CloudflareServer, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", server.url)
    with ProviderClient(port, {}) as client:
        client.create(RECORD, BILL)
    assert len(server.records) == 1


def test_a_zone_is_found_by_name(cloudflare: ProviderClient) -> None:
    found = cloudflare.invoke("cloudflare:index/getZone:getZone", {"filter": {"name": "example.com"}})
    assert (found["zoneId"], found["name"]) == (ZONE, "example.com")
    with pytest.raises(CallError, match=r"UNIMPLEMENTED: .*getAccounts"):
        cloudflare.invoke("cloudflare:index/getAccounts:getAccounts", {})
