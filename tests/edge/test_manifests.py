"""The objects of the old cloud, and the images that they name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.clouds.internet import DOMAINS
from lab.clouds.workloads import DEPLOYED
from lab.services import boss, caller, corestone, inner_app, kodo, settlement
from lab.services.images import MIRROR, REGISTRY, images
from lab.topology import AUTOMATA, HUAWEI, Place

MANIFESTS = Path(__file__).resolve().parents[2] / "lab" / "manifests"
GIVEN = {
    "POD_NAME": "a-pod",
    "JOB_NAME": "a-job",
    "DATABASE_USER": "user",
    "DATABASE_PASSWORD": "x",
    "CORESTONE_USER": "user",
    "CORESTONE_PASSWORD": "x",
}
"""What pods get from Secrets and from themselves."""
READERS: dict[tuple[str, str], Any] = {
    ("boss", ""): boss.Settings,
    ("boss", "settle"): settlement.Settings,
    ("corestone", ""): corestone.Settings,
    ("invoice-exporter", ""): caller.Settings,
    ("automata", ""): caller.Settings,
    ("inner-app", ""): inner_app.Settings,
    ("kodo", ""): kodo.Settings,
}


Objects = dict[tuple[str, str, str], dict[str, Any]]


def objects(place: Place) -> Objects:
    """Every object of a cluster by kind, namespace and name."""
    found = {}
    for name in DEPLOYED[place].manifests:
        for item in yaml.safe_load_all((MANIFESTS / name).read_text()):
            metadata = item["metadata"]
            found[item["kind"], metadata.get("namespace", ""), metadata["name"]] = item
    return found


def templates(held: Objects) -> Iterator[tuple[str, dict[str, Any]]]:
    """The namespace and the pod template of every workload."""
    for (kind, namespace, _), item in held.items():
        if kind == "Deployment":
            yield namespace, item["spec"]["template"]
        if kind == "CronJob":
            yield namespace, item["spec"]["jobTemplate"]["spec"]["template"]


def own_containers() -> list[tuple[dict[str, Any], dict[str, str]]]:
    """The containers of the lab's own services on all clusters, with the environments that they get."""
    return [
        (container, variables(held, namespace, container))
        for held in map(objects, DEPLOYED)
        for namespace, template in templates(held)
        for container in template["spec"]["containers"]
        if container["image"].startswith(REGISTRY)
    ]


def variables(held: Objects, namespace: str, container: dict[str, Any]) -> dict[str, str]:
    """The environment that a container gets, with the lab's part of it."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            found |= held["ConfigMap", namespace, source["configMapRef"]["name"]]["data"]
        else:
            found |= GIVEN
    for item in container.get("env", []):
        reference = item.get("valueFrom", {}).get("configMapKeyRef")
        if reference:
            found[item["name"]] = held["ConfigMap", namespace, reference["name"]]["data"][reference["key"]]
        else:
            found[item["name"]] = item.get("value") or GIVEN[item["name"]]
    return found


def test_every_service_gets_all_the_settings_that_it_needs() -> None:
    seen = set()
    for container, environment in own_containers():
        name = container["image"].rpartition("/")[2].partition(":")[0], " ".join(container.get("args", []))
        READERS[name].from_environment(environment)
        seen.add(name)
    assert seen == READERS.keys()


def test_boss_and_corestone_check_the_authority_of_one_database() -> None:
    settings = [
        READERS[name, ""].from_environment(environment)
        for container, environment in own_containers()
        for name in ("boss", "corestone")
        if container["name"] == name
    ]
    assert {(s.database.host, s.database.port, s.database.name) for s in settings} == {
        ("rds.boss.huawei.internal", 3306, "boss"),
        ("rds.boss.huawei.internal", 3306, "corestone"),
    }
    assert {s.database.ca for s in settings} == {"/etc/database-ca/ca.pem"}
    service = objects(HUAWEI)["Service", "middleware", "redis-basis"]["metadata"]
    assert {s.redis_host for s in settings} == {f"{service['name']}.{service['namespace']}"}


def test_boss_has_time_to_drain_and_to_flush() -> None:
    held = objects(HUAWEI)
    template = held["Deployment", "billing-guance-intl", "boss"]["spec"]["template"]
    environment = variables(held, "billing-guance-intl", template["spec"]["containers"][0])
    settings = boss.Settings.from_environment(environment)
    assert template["spec"]["terminationGracePeriodSeconds"] > settings.serving.drain + settings.flush


@pytest.mark.parametrize("place", DEPLOYED, ids=lambda place: place.host)
def test_services_select_pods_and_ingresses_name_services(place: Place) -> None:
    held = objects(place)
    selecting = [key for key, item in held.items() if key[0] == "Service" and "selector" in item["spec"]]
    for _, namespace, name in selecting:
        selector = held["Service", namespace, name]["spec"]["selector"]
        labels = [t["metadata"]["labels"] for where, t in templates(held) if where == namespace]
        assert any(selector.items() <= found.items() for found in labels), name
    for (kind, namespace, _), item in held.items():
        if kind == "Ingress":
            (rule,) = item["spec"]["rules"]
            backend = rule["http"]["paths"][0]["backend"]["service"]
            ports = held["Service", namespace, backend["name"]]["spec"]["ports"]
            assert backend["port"]["number"] in [port["port"] for port in ports]
            assert rule["host"] in DOMAINS


def test_automatas_stand_in_for_boss_leads_to_its_node_port() -> None:
    there = objects(HUAWEI)["Service", "billing-guance-intl", "webportal"]
    leading = objects(AUTOMATA)["EndpointSlice", "billing-guance-intl", "webportal-huawei"]
    assert [item["port"] for item in leading["ports"]] == [there["spec"]["ports"][0]["nodePort"]]
    assert leading["endpoints"][0]["addresses"] == [HUAWEI.node]


def test_every_image_of_the_lab_registry_can_be_started_from_either_registry() -> None:
    known = images("an authority")
    for registry in (REGISTRY, MIRROR):
        for name, argument in READERS:
            image = f"{registry}/{name}:1.0"
            entry = known[image.partition(":")[0]]
            entrypoint, environment = entry["entrypoint"], entry["env"]
            assert isinstance(entrypoint, list)
            assert isinstance(environment, dict)
            ended = subprocess.run(
                [*entrypoint, *argument.split()],
                env={key: value for key, value in environment.items() if key != "SSL_CERT_FILE"},
                cwd="/",
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert ended.returncode == 1
            assert "is not set" in ended.stderr


@pytest.mark.parametrize(
    ("zones", "token", "complaint"),
    [
        ('{"zones": [{"name": "x.com", "records": [{"name": "a"}]}]}', "t", "zones.0.records.0.type"),
        ('{"zones": [], "colour": "red"}', "t", "colour"),
        ('{"zones": []}', "", "the file is empty"),
    ],
)
def test_a_wrong_file_ends_cloudflare_with_one_line(
    tmp_path: Path, zones: str, token: str, complaint: str
) -> None:
    (tmp_path / "zones.json").write_text(zones)
    (tmp_path / "token").write_text(token)
    listen = [
        "--listen",
        "127.0.0.1",
        "--port",
        "0",
        "--dns",
        "127.0.0.1",
        "--dns-port",
        "0",
        "--control-port",
        "0",
    ]
    files = ["--zones", str(tmp_path / "zones.json"), "--token-file", str(tmp_path / "token")]
    ended = subprocess.run(
        [sys.executable, "-m", "lab.cloudflare", *listen, *files],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert complaint in ended.stderr
    assert str(tmp_path) in ended.stderr
    assert ended.stderr.count("\n") == 1
