"""The objects of the old cloud, and the images that they name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.services.boss import Settings
from lab.services.images import REGISTRY, images

MANIFESTS = Path(__file__).resolve().parents[2] / "lab" / "manifests"


def objects() -> dict[tuple[str, str], dict[str, Any]]:
    """Every object by kind and name."""
    found = {}
    for path in MANIFESTS.glob("*.yaml"):
        for item in yaml.safe_load_all(path.read_text()):
            found[item["kind"], item["metadata"]["name"]] = item
    return found


def test_boss_gets_all_the_settings_that_it_needs() -> None:
    held = objects()
    (container,) = held["Deployment", "boss"]["spec"]["template"]["spec"]["containers"]
    environment = dict(held["ConfigMap", "boss-config"]["data"])
    secret = {"DATABASE_USER": "boss", "DATABASE_PASSWORD": "x"}
    assert [source.popitem()[1]["name"] for source in container["envFrom"]] == [
        "boss-config",
        "boss-database",
    ]
    environment |= secret | {item["name"]: "boss-0" for item in container["env"]}
    settings = Settings.from_environment(environment)
    assert settings.database.host == "rds.boss.huawei.internal"
    assert settings.port == container["ports"][0]["containerPort"]
    service = held["Service", "redis-basis"]
    assert settings.redis_host == f"{service['metadata']['name']}.{service['metadata']['namespace']}"
    grace = held["Deployment", "boss"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > settings.drain + settings.flush


def test_services_select_the_pods_and_the_ingress_names_the_service() -> None:
    held = objects()
    for service, workload in (("webportal", "boss"), ("redis-basis", "redis-basis")):
        labels = held["Deployment", workload]["spec"]["template"]["metadata"]["labels"]
        assert held["Service", service]["spec"]["selector"].items() <= labels.items()
    (rule,) = held["Ingress", "boss"]["spec"]["rules"]
    assert rule["host"] == "bill.truewatch.com"
    assert rule["http"]["paths"][0]["backend"]["service"] == {"name": "webportal", "port": {"number": 80}}


def test_every_image_of_the_lab_registry_can_be_started() -> None:
    known = images()
    used = [
        container["image"]
        for (kind, _), item in objects().items()
        if kind == "Deployment"
        for container in item["spec"]["template"]["spec"]["containers"]
    ]
    own = [image for image in used if image.startswith(REGISTRY)]
    assert own
    for image in own:
        entry = known[image.partition(":")[0]]
        entrypoint, variables = entry["entrypoint"], entry["env"]
        assert isinstance(entrypoint, list)
        assert isinstance(variables, dict)
        ended = subprocess.run(
            entrypoint, env=variables, cwd="/", capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == 1
        assert "POD_NAME is not set" in ended.stderr


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
