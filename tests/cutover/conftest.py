"""Settings of a real shape, and worlds to run them in."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from cutover import cli
from cutover.clock import SystemClock
from cutover.context import Context
from cutover.plan import Plan
from cutover.plans import build_plan
from cutover.session import Session
from stacks.settings import Environment
from tests.cutover.command import Cutover
from tests.cutover.world import SOURCE_ADDRESS, World

if TYPE_CHECKING:
    from tests.cutover.lease_homes import Home

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


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    """See team_table.cloud."""
    from tests.cutover.team_table import cloud  # noqa: PLC0415 - takes a second to load

    with cloud() as url:
        yield url


@pytest.fixture(params=["local", "dynamodb"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    """Each place where a lease may stand, with none in it."""
    from tests.cutover.lease_homes import SECONDS, Home  # noqa: PLC0415 - takes a second to load
    from tests.cutover.team_table import new_table  # noqa: PLC0415 - as above

    if request.param == "local":
        return Home(f"local:{tmp_path / 'lease'}")
    request.getfixturevalue("aws")
    return Home(f"dynamodb:{new_table()}:{SECONDS}")


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


@pytest.fixture
def project(tmp_path: Path, settings: Mapping[str, Any]) -> Path:
    """A project's folder with its settings."""
    config = {"config": {"landfall:environment": dict(settings)}}
    (tmp_path / "Pulumi.prod.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


@pytest.fixture
def cutover(
    project: Path, world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Cutover:
    def context(session: Session, say: Any, stopping: Any) -> Context:
        made = world.context(stopping)
        made.say = say
        return made

    monkeypatch.setattr(Session, "context", context)
    monkeypatch.setattr(Session, "approvals", world)
    monkeypatch.setattr(cli, "_warm", lambda: None)
    monkeypatch.setattr(SystemClock, "sleep", lambda *_: None)
    return Cutover(project, world, capsys)
