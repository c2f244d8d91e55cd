"""What a container's environment is made of."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

import pytest

from lab.kubernetes.node.environment import (
    ConfigError,
    container_environment,
    expand,
    quantity,
    resource_value,
    service_links,
)

POD = {
    "metadata": {
        "name": "boss-1",
        "namespace": "billing",
        "uid": "u1",
        "labels": {"app": "boss"},
        "annotations": {"a": "1", "b": "2"},
    },
    "spec": {"nodeName": "huawei", "serviceAccountName": "default", "containers": []},
}
OBJECTS: Mapping[tuple[str, str], dict[str, Any]] = {
    ("configmaps", "settings"): {
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "billing"},
        "data": {"HOST": "database", "PORT": "3306"},
    },
    ("secrets", "login"): {
        "kind": "Secret",
        "metadata": {"name": "login", "namespace": "billing"},
        "data": {"PASSWORD": base64.b64encode(b"s3cret").decode()},
    },
}


def environment(container: dict[str, Any], services: Mapping[str, str] | None = None) -> dict[str, str]:
    async def fetch(kind: str, name: str) -> dict[str, Any] | None:
        return OBJECTS.get((kind, name))

    facts = {"status.podIP": "192.0.2.7"}
    return asyncio.run(container_environment(POD, container, fetch, facts, services or {}))


def test_env_wins_over_env_from_and_later_sources_over_earlier() -> None:
    found = environment(
        {
            "envFrom": [
                {"configMapRef": {"name": "settings"}},
                {"secretRef": {"name": "login"}, "prefix": "DB_"},
            ],
            "env": [{"name": "PORT", "value": "3307"}],
        },
        services={"HOST": "of a service", "OTHER": "kept"},
    )
    assert found == {"HOST": "database", "PORT": "3307", "DB_PASSWORD": "s3cret", "OTHER": "kept"}


def test_references_see_service_links_and_earlier_env_but_not_env_from() -> None:
    found = environment(
        {
            "envFrom": [{"configMapRef": {"name": "settings"}}],
            "env": [
                {"name": "A", "value": "a"},
                {"name": "B", "value": "$(A) $(LINK) $(HOST) $(C)"},
                {"name": "C", "value": "c"},
            ],
        },
        services={"LINK": "link"},
    )
    assert found["B"] == "a link $(HOST) $(C)"


def test_fields_of_the_pod() -> None:
    paths = {
        "NAME": "metadata.name",
        "IP": "status.podIP",
        "LABEL": "metadata.labels['app']",
        "NOTES": "metadata.annotations",
        "NODE": "spec.nodeName",
    }
    env = [{"name": k, "valueFrom": {"fieldRef": {"fieldPath": path}}} for k, path in paths.items()]
    assert environment({"env": env}) == {
        "NAME": "boss-1",
        "IP": "192.0.2.7",
        "LABEL": "boss",
        "NOTES": 'a="1"\nb="2"',
        "NODE": "huawei",
    }


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"envFrom": [{"configMapRef": {"name": "absent"}}]}, 'configmap "absent" not found'),
        (
            {"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "login", "key": "USER"}}}]},
            "couldn't find key USER in Secret billing/login",
        ),
        (
            {"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "absent", "key": "a"}}}]},
            'configmap "absent" not found',
        ),
        (
            {"env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "spec.priority"}}}]},
            "unsupported fieldPath: spec.priority",
        ),
        ({"env": [{"name": "X", "valueFrom": {"fileKeyRef": {}}}]}, "no variable source fileKeyRef"),
    ],
)
def test_what_is_missing_is_named(container: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        environment(container)


def test_what_is_optional_may_be_missing() -> None:
    optional = {"name": "login", "key": "USER", "optional": True}
    assert (
        environment(
            {
                "envFrom": [{"secretRef": {"name": "absent", "optional": True}}],
                "env": [{"name": "X", "valueFrom": {"secretKeyRef": optional}}],
            }
        )
        == {}
    )


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("$$(A)", "$(A)"),
        ("$(B)", "$(B)"),
        ("$A $", "$A $"),
        ("$$$(A)", "$1"),
        ("$(A)$(A)", "11"),
    ],
)
def test_expansion(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1"}) == expanded


@pytest.mark.parametrize(
    ("text", "number"),
    [("250m", 0.25), ("2", 2), ("64Mi", 67108864), ("1k", 1000), ("1Ki", 1024), ("1.5G", 1.5e9)],
)
def test_quantities(text: str, number: float) -> None:
    assert quantity(text) == number


def test_a_bad_quantity_is_named() -> None:
    with pytest.raises(ConfigError, match="64MB is no quantity"):
        quantity("64MB")


def test_resources_are_rounded_up_to_the_divisor() -> None:
    container = {"name": "c", "resources": {"limits": {"cpu": "1500m", "memory": "100Ki"}}}
    assert resource_value(POD, container, {"resource": "limits.cpu"}) == "2"
    assert resource_value(POD, container, {"resource": "requests.cpu", "divisor": "1m"}) == "1500"
    assert resource_value(POD, container, {"resource": "limits.memory", "divisor": "1Mi"}) == "1"


def service(name: str, namespace: str, address: str) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80}, {"port": 53, "protocol": "UDP"}]
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": address, "ports": ports},
    }


def test_service_links_name_the_namespaces_services_and_always_the_api() -> None:
    services = [
        service("kubernetes", "default", "192.0.2.129"),
        service("redis-basis", "middleware", "192.0.2.150"),
        service("other", "elsewhere", "192.0.2.151"),
        service("headless", "middleware", "None"),
    ]
    linked = service_links(services, "middleware", enabled=True)
    assert linked["REDIS_BASIS_SERVICE_HOST"] == "192.0.2.150"
    assert linked["REDIS_BASIS_PORT"] == "tcp://192.0.2.150:80"
    assert linked["REDIS_BASIS_SERVICE_PORT_HTTP"] == "80"
    assert linked["REDIS_BASIS_PORT_53_UDP"] == "udp://192.0.2.150:53"
    assert linked["KUBERNETES_SERVICE_HOST"] == "192.0.2.129"
    assert not any(key.startswith(("OTHER", "HEADLESS")) for key in linked)
    unlinked = service_links(services, "middleware", enabled=False)
    assert {key.partition("_")[0] for key in unlinked} == {"KUBERNETES"}
