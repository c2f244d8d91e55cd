"""Settings of the second document, filled in, and the plan made from them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from cutover.plan import Plan
from cutover.plans import build_plan
from stacks.settings import RhoamEnvironment
from tests.rhoam.rhoam_transfers import transfers
from tests.rhoam.rhoam_world import RhoamWorld

ROOT = Path(__file__).parents[2]
_SETTINGS: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.rhoam.yaml").read_text())["config"][
    "landfall:environment"
]
DOMAIN = "apps.rhoam.example.com"


def filled_settings() -> dict[str, Any]:
    """The tracked settings with the placeholders filled in."""
    found = copy.deepcopy(_SETTINGS)
    found["notifications"]["emails"] = ["alarms@example.org"]
    found["cloudflare"]["zones"]["example.com"] = "a" * 32
    for name, number in (("migration", 7), ("destination", 8)):
        found[name]["account"] = f"{number}" * 12
        found[name]["peer"] = {
            "vpc_id": f"vpc-0123456789abcde{number}",
            "cidr": f"10.{number}0.0.0/16",
            "route_table_ids": [f"rtb-0123456789abcde{number}"],
        }
    threescale = found["threescale"]
    threescale["destination"]["custom_domain"] = DOMAIN
    threescale["bucket"] = "customer-secrets"
    threescale["default_tenant"]["email"] = "admin@example.com"
    threescale["tenants"] = [
        {"name": "acme", "token_env": "ACME_TOKEN"},
        {"name": "globex", "token_env": "GLOBEX_TOKEN"},
    ]
    found["cutover"]["timeouts"] = {"person": 60}
    return found


@pytest.fixture
def settings() -> dict[str, Any]:
    """See filled_settings."""
    return filled_settings()


@pytest.fixture
def environment(settings: dict[str, Any]) -> RhoamEnvironment:
    return RhoamEnvironment.model_validate(settings)


@pytest.fixture
def plan(environment: RhoamEnvironment) -> Plan:
    return build_plan("rhoam", environment)


@pytest.fixture
def world(environment: RhoamEnvironment) -> Iterator[RhoamWorld]:
    made = RhoamWorld(environment)
    with transfers(made):
        yield made


@pytest.fixture
def make() -> Iterator[Callable[[dict[str, Any]], tuple[RhoamWorld, Plan]]]:
    """A world and a plan from settings."""
    with ExitStack() as stack:

        def made(settings: dict[str, Any]) -> tuple[RhoamWorld, Plan]:
            environment = RhoamEnvironment.model_validate(settings)
            world = RhoamWorld(environment)
            stack.enter_context(transfers(world))
            return world, build_plan("rhoam", environment)

        yield made
