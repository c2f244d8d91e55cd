"""Settings of a real shape, and worlds to run them in."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from cutover.plan import Plan
from cutover.plans import build_plan
from stacks.settings import Environment
from tests.cutover.world import SOURCE_ADDRESS, World

ROOT = Path(__file__).parents[2]
_SETTINGS: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text())["config"][
    "landfall:environment"
]


def filled_settings(*, replication: bool = False) -> dict[str, Any]:
    """The tracked settings with the placeholders filled in; with `replication` the database moves too."""
    found = copy.deepcopy(_SETTINGS)
    found["database"]["source"]["eip"] = "203.0.113.30"
    found["cloudflare"]["zones"]["truewatch.com"] = "a" * 32
    for number, domain in enumerate(found["domains"]):
        domain |= {"record_id": "bcdef"[number] * 32, "source": SOURCE_ADDRESS}
    if replication:
        found["replication"]["certificates"] = {"source": "source.pem", "target": "target.pem"}
    else:
        del found["replication"]
    if "account" in found:
        found["account"] = "111122223333"
    if "notifications" in found:
        found["notifications"]["emails"] = ["alarms@example.org"]
    found["cutover"]["timeouts"] = {"person": 60}
    return found


@pytest.fixture
def settings() -> dict[str, Any]:
    """See filled_settings."""
    return filled_settings()


@pytest.fixture
def environment(settings: dict[str, Any]) -> Environment:
    return Environment.model_validate(settings)


@pytest.fixture
def plan(environment: Environment) -> Plan:
    return build_plan("boss-corestone", environment)


@pytest.fixture
def world(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> World:
    administrator = environment.database.administrator
    monkeypatch.setenv(administrator.user_env, "root")
    monkeypatch.setenv(administrator.password_env, "canary-password")
    return World(environment)
