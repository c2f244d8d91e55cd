"""3scale's stand-in and OpenShift's: what they answer, and what they make of what is stated."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from lab.rhoam import openshift
from lab.rhoam.definitions import api_manager
from lab.rhoam.operators.components import COMPONENTS, components, deployment, internal_components
from lab.rhoam.operators.loop import reference
from lab.rhoam.operators.rhoam import _plugged
from lab.rhoam.operators.threescale import _alike, _external
from lab.rhoam.threescale.schema import RELEASES, TABLES, create_statements, releases_up_to
from lab.rhoam.threescale.store import Store
from lab.rhoam.threescale.web import Answer, HttpError, Request, Route, Server
from lab.rhoam.threescale.zync import wanted_routes
from stacks.settings.threescale import COMPONENTS as SETTINGS_COMPONENTS


@pytest.fixture
def server() -> Iterator[Server]:
    def echo(request: Request) -> Answer:
        return Answer({"path": dict(request.path), "fields": dict(request.fields), "host": request.host})

    def fail(_: Request) -> Answer:
        raise ConnectionRefusedError("no database")

    def refuse(request: Request) -> Answer:
        raise HttpError(422, f"not {request.path['id']}")

    routes = (
        Route("GET", "/accounts/{id}.json", echo),
        Route("POST", "/accounts/{id}.json", echo),
        Route("GET", "/fails", fail),
        Route("GET", "/refuses/{id}", refuse),
        Route("GET", "/{rest}", echo),
    )
    made = Server(0, routes, (OSError,))
    made.start()
    yield made
    made.stop()


def ask(server: Server, path: str, data: bytes | None = None) -> tuple[int, object]:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", data=data)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_requests_are_answered_by_the_first_route_that_fits(server: Server) -> None:
    status, found = ask(server, "/accounts/7.json?page=2")
    assert status == 200
    assert found == {"path": {"id": "7"}, "fields": {"page": "2"}, "host": "127.0.0.1"}
    status, found = ask(server, "/accounts/7.json", b"name=a%20b")
    assert found == {"path": {"id": "7"}, "fields": {"name": "a b"}, "host": "127.0.0.1"}
    status, found = ask(server, "/accounts/7.json", b"scopes%5B%5D=a&name=c&name=d&scopes%5B%5D=b")
    assert found == {"path": {"id": "7"}, "fields": {"scopes[]": "a,b", "name": "d"}, "host": "127.0.0.1"}
    assert ask(server, "/any/thing/at/all")[0] == 200


def test_what_it_stands_on_fails_as_unavailable_and_a_refusal_says_why(server: Server) -> None:
    assert ask(server, "/fails") == (503, {"error": "ConnectionRefusedError"})
    assert ask(server, "/refuses/9") == (422, {"error": "not 9"})


def test_both_kinds_of_database_have_the_same_tables() -> None:
    for kind in ("mysql", "postgresql"):
        statements = create_statements("mysql" if kind == "mysql" else "postgresql")
        for table in TABLES:
            assert any(text.startswith(f"CREATE TABLE {table} (") for text in statements), (kind, table)


def test_a_version_brings_all_before_it() -> None:
    assert [release.version for release in releases_up_to("2.14")] == ["2.13", "2.14"]
    with pytest.raises(ValueError, match=r"3\.0"):
        releases_up_to("3.0")
    assert openshift.version_of("threescale-mas") == RELEASES[-1].version


@pytest.mark.parametrize(
    ("channel", "version"),
    [
        ("threescale-2.13-mas", "2.13"),
        ("threescale-2.14", "2.14"),
        ("threescale-mas", "2.15"),
        ("other", None),
    ],
)
def test_a_channel_brings_its_version(channel: str, version: str | None) -> None:
    assert openshift.version_of(channel) == version


def test_the_operator_makes_what_the_settings_expect() -> None:
    assert set(COMPONENTS) == set(SETTINGS_COMPONENTS)
    assert {found.name for found in components("apps.example.com")} == set(COMPONENTS)


def test_the_operator_notices_what_somebody_changed() -> None:
    owner = reference({**api_manager("3scale", "apps.example.com", external=False), **_named("3scale")})
    for component in (*components("apps.example.com"), *internal_components()):
        wanted = deployment(component, "3scale", "2.13", owner)
        found = json.loads(json.dumps(wanted))
        assert _alike(wanted, found)
        found["spec"]["replicas"] = 0
        assert not _alike(wanted, found)
        found = json.loads(json.dumps(wanted))
        found["spec"]["template"]["spec"]["containers"][0]["env"] = []
        assert not _alike(wanted, found), component.name


def _named(name: str) -> dict[str, object]:
    return {"metadata": {"name": name, "uid": "1"}}


def test_what_is_plugged_in_is_not_the_operators_own() -> None:
    assert _external(api_manager("3scale", "x", external=True)) == {
        "system-mysql",
        "system-redis",
        "backend-redis",
    }
    assert _external(api_manager("3scale", "x", external=False)) == frozenset()


def test_rhoam_writes_addresses_and_logins_into_3scales_secrets() -> None:
    redis = {"uri": "r.example.com", "port": "6379"}
    stores = {
        "threescale-postgres-rhoam": {
            "host": "p.example.com",
            "port": "5432",
            "username": "u",
            "password": "a/b@c",
            "database": "system",
        },
        "threescale-backend-redis-rhoam": {**redis, "tls": "true", "username": "app", "password": "x:y"},
        "threescale-redis-rhoam": redis,
    }
    found = _plugged(stores)
    assert found["system-database"]["URL"] == "postgresql://u:a%2Fb%40c@p.example.com:5432/system"
    assert found["backend-redis"]["REDIS_QUEUES_URL"] == "rediss://app:x%3Ay@r.example.com:6379/1"
    assert found["system-redis"]["URL"] == "redis://r.example.com:6379/1"


def test_a_url_of_another_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="oracle"):
        Store("oracle://somewhere/system")


def test_zync_wants_a_route_for_each_host_of_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    account = {"id": 2, "master": None, "self_domain": "a-admin.x", "domain": "a.x"}
    proxies = [{"endpoint": "https://api-a.x:443", "sandbox_endpoint": None}]
    store = Store("mysql2://u:p@nowhere/system")
    monkeypatch.setattr(store, "row", lambda *_: account)
    monkeypatch.setattr(store, "rows", lambda *_: proxies)
    assert wanted_routes(store, 2) == {
        "a-admin.x": "system-provider",
        "a.x": "system-developer",
        "api-a.x": "apicast-production",
    }
