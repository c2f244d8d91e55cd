"""From Ingress, Service and EndpointSlice objects to a routing table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.kubernetes.ingress.nginx import configuration
from lab.kubernetes.ingress.rules import ANNOTATIONS, Cluster, Table, as_lua, peers, routing_table, size
from tests.node import objects

READY = {"ready": True, "serving": True, "terminating": False}
ENDING = {"ready": False, "serving": True, "terminating": True}
DEAD = {"ready": False, "serving": False, "terminating": True}
STARTING = {"ready": False, "serving": False, "terminating": False}


def slices(*endpoints: tuple[str, dict[str, bool]], port: int = 8080, name: str = "http") -> dict[str, Any]:
    return {
        "metadata": {"namespace": "billing", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [
            {"addresses": [address], "conditions": conditions} for address, conditions in endpoints
        ],
        "ports": [{"name": name, "port": port}],
    }


def table(*ingresses: dict[str, Any], parts: list[dict[str, Any]] | None = None) -> Table:
    services = {("billing", "web"): objects.service("web", "billing", "web")}
    cluster = Cluster(
        list(ingresses), services, parts if parts is not None else [slices(("192.0.2.7", READY))]
    )
    return routing_table(cluster, "nginx")


def test_ready_endpoints_are_the_peers() -> None:
    part = slices(("192.0.2.8", READY), ("192.0.2.7", READY), ("192.0.2.9", STARTING), ("192.0.2.10", ENDING))
    assert peers([part], "http") == [("192.0.2.7", 8080), ("192.0.2.8", 8080)]


def test_without_any_those_that_still_serve_are() -> None:
    part = slices(("192.0.2.8", ENDING), ("192.0.2.7", DEAD), ("192.0.2.9", STARTING))
    assert peers([part], "http") == [("192.0.2.8", 8080)]


def test_the_port_is_found_by_its_name() -> None:
    parts = [slices(("192.0.2.7", READY)), slices(("192.0.2.7", READY), port=9000, name="metrics")]
    assert peers(parts, "metrics") == [("192.0.2.7", 9000)]


def test_an_endpoint_without_conditions_is_ready() -> None:
    part = slices()
    part["endpoints"] = [{"addresses": ["192.0.2.7"]}]
    assert peers([part], "http") == [("192.0.2.7", 8080)]


def test_a_host_with_tls_redirects_and_has_its_certificate() -> None:
    found = table(objects.ingress("a", "billing", "bill.example", "web", tls="pair"))
    (path,) = found.hosts["bill.example"]
    assert (path.path, path.exact, path.redirect) == ("/", False, True)
    assert found.secrets == {"bill.example": ("billing", "pair")}
    assert found.backends == {"billing/web:80": [("192.0.2.7", 8080)]}
    assert found.problems == []


def test_other_classes_are_not_ours_and_the_old_annotation_is() -> None:
    other = objects.ingress("a", "billing", "a.example", "web")
    other["spec"]["ingressClassName"] = "traefik"
    old = objects.ingress(
        "b", "billing", "b.example", "web", annotations={"kubernetes.io/ingress.class": "nginx"}
    )
    del old["spec"]["ingressClassName"]
    assert set(table(other, old).hosts) == {"b.example"}


def test_paths_are_ordered_exact_first_then_longest() -> None:
    ingress = objects.ingress("a", "billing", "a.example", "web")
    backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]
    ingress["spec"]["rules"][0]["http"]["paths"] = [
        {"path": "/", "pathType": "Prefix", "backend": backend},
        {"path": "/api", "pathType": "Prefix", "backend": backend},
        {"path": "/a", "pathType": "Exact", "backend": backend},
        {"path": "/api/v2", "pathType": "ImplementationSpecific", "backend": backend},
    ]
    assert [path.path for path in table(ingress).hosts["a.example"]] == ["/a", "/api/v2", "/api", "/"]


def test_of_two_ingresses_for_one_path_the_older_has_it() -> None:
    young = objects.ingress("a", "billing", "a.example", "absent")
    young["metadata"]["creationTimestamp"] = "2026-02-01T00:00:00Z"
    old = objects.ingress("z", "billing", "a.example", "web")
    old["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    assert [path.backend for path in table(young, old).hosts["a.example"]] == ["billing/web:80"]


def test_a_default_backend_takes_the_rest() -> None:
    ingress = objects.ingress("a", "billing", "a.example", "web")
    ingress["spec"]["rules"][0]["http"]["paths"][0]["path"] = "/only"
    ingress["spec"]["defaultBackend"] = {"service": {"name": "web", "port": {"name": "http"}}}
    found = table(ingress).hosts
    assert [path.path for path in found["a.example"]] == ["/only", "/"]
    assert [path.backend for path in found[""]] == ["billing/web:http"]


def test_a_service_that_is_not_there_is_a_problem_and_has_no_peers() -> None:
    found = table(objects.ingress("a", "billing", "a.example", "absent"))
    assert found.backends == {"billing/absent:80": []}
    assert found.problems == ["Ingress billing/a: there is no Service port billing/absent:80"]


def test_annotations_set_a_paths_options() -> None:
    annotations = {
        ANNOTATIONS + "backend-protocol": "https",
        ANNOTATIONS + "upstream-vhost": "new.example",
        ANNOTATIONS + "proxy-read-timeout": "120",
        ANNOTATIONS + "proxy-body-size": "8m",
        ANNOTATIONS + "force-ssl-redirect": "true",
    }
    (path,) = table(objects.ingress("a", "billing", "a.example", "web", annotations=annotations)).hosts[
        "a.example"
    ]
    assert (path.secure, path.vhost, path.read, path.send) == (True, "new.example", 120, 60)
    assert (path.body, path.redirect) == (8 * 1024**2, True)


def test_annotations_that_are_not_known_or_wrong_are_named() -> None:
    annotations = {ANNOTATIONS + "rewrite-target": "/", ANNOTATIONS + "proxy-read-timeout": "soon"}
    problems = table(objects.ingress("a", "billing", "a.example", "web", annotations=annotations)).problems
    assert any("rewrite-target is not known" in problem for problem in problems)
    assert any("soon" in problem for problem in problems)


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("512", 512), ("8k", 8192), ("1G", 1024**3)])
def test_sizes(text: str, number: int) -> None:
    assert size(text) == number


@given(st.text())
def test_a_string_in_lua_is_plain_ascii_and_means_itself(text: str) -> None:
    lua = as_lua(text)
    assert lua.isascii()
    assert lua.isprintable()
    assert not re.search(r'(?<!\\)"', lua[1:-1])
    decoded = re.sub(rb"\\(\d{3})", lambda match: bytes([int(match[1])]), lua[1:-1].encode())
    assert decoded.decode() == text


def test_tables_in_lua() -> None:
    value = {"a": [("192.0.2.7", 80)], "b": True, "c": 1.5, "": {}}
    assert as_lua(value) == '{["a"]={{"192.0.2.7",80}},["b"]=true,["c"]=1.5,[""]={}}'
    with pytest.raises(TypeError):
        as_lua(object())


def test_nginx_listens_where_it_is_told_and_repeats_no_post() -> None:
    text = configuration(
        ["203.0.113.10", "203.0.113.64"],
        Path("/lab/ingress"),
        Path("/modules"),
        1024,
        Path("/lab/access.log"),
    )
    for address in ("203.0.113.10", "203.0.113.64"):
        assert f"listen {address}:80 default_server;" in text
        assert f"listen {address}:443 ssl http2 default_server;" in text
    assert "proxy_next_upstream error timeout;" in text
    assert "proxy_next_upstream error timeout non_idempotent" not in text
