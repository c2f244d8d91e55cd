"""How the pair of databases is reached: the stacks' outputs, and secrets that only AWS keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import boto3
import pytest

from cutover.database_move.servers import REPLICATION_USER, Servers
from cutover.errors import StepError
from cutover.ports import Stacks
from lab.aws.server import AwsServer
from stacks.settings import Environment
from tests.cutover.conftest import filled_settings

ADMINISTRATOR = {"username": "admin", "password": "canary-of-the-target"}


class Outputs:
    """The stacks' outputs, and nothing else of them."""

    def __init__(self, found: dict[str, dict[str, Any]]) -> None:
        self.found = found

    def outputs(self, stack: str) -> dict[str, Any]:
        return self.found.get(stack, {})


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with AwsServer() as server:
        for name, value in (
            ("AWS_ENDPOINT_URL", server.url),
            ("AWS_ACCESS_KEY_ID", "x"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
        ):
            monkeypatch.setenv(name, value)
        client = boto3.client("secretsmanager", region_name="ap-southeast-1")
        yield client
        client.close()


@pytest.fixture
def servers(aws: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Servers:
    environment = Environment.model_validate(filled_settings(replication=True))
    monkeypatch.setenv(environment.database.administrator.user_env, "root")
    monkeypatch.setenv(environment.database.administrator.password_env, "canary-of-the-source")
    name = tmp_path.name
    arns = {end: aws.create_secret(Name=f"{name}-{end}")["ARN"] for end in ("source", "target", "native")}
    master = aws.create_secret(Name=f"{name}-master", SecretString=json.dumps(ADMINISTRATOR))["ARN"]
    found = {
        "prod": {
            "database_address": "prod-database.rds.example",
            "database_port": 3306,
            "database_secret_arn": master,
        },
        "prod-replication": {
            "secret_arns": {"source": arns["source"], "target": arns["target"]},
            "native_secret_arn": arns["native"],
        },
    }
    return Servers(environment, tmp_path, cast(Stacks, Outputs(found)))


def test_both_are_reached_over_tls_with_pinned_authorities(servers: Servers, tmp_path: Path) -> None:
    source, target = servers.source, servers.target

    assert (source.host, source.user, source.ca) == ("203.0.113.30", "root", str(tmp_path / "source.pem"))
    assert not source.verify_name, "no certificate names the public address"
    assert (target.host, target.user, target.ca) == (
        "prod-database.rds.example",
        "admin",
        str(tmp_path / "target.pem"),
    )
    assert target.verify_name
    assert "canary" not in f"{source!r} {target!r} {servers!r}"


def test_secrets_are_filled_once_and_kept(servers: Servers, aws: Any) -> None:
    first = servers.fill_secrets("source")

    assert servers.fill_secrets("source") == first
    assert first[0] == REPLICATION_USER
    assert servers.replication_user("source").password == first[1]
    arns = servers.output("replication", "secret_arns")
    native = servers.output("replication", "native_secret_arn")
    kept = [
        json.loads(aws.get_secret_value(SecretId=arn)["SecretString"]) for arn in (arns["source"], native)
    ]
    wanted = {"username": REPLICATION_USER, "password": first[1], "host": "203.0.113.30", "port": 3306}
    assert kept == [wanted, wanted]
    assert servers.fill_secrets("target")[1] != first[1]


def test_a_secret_that_is_empty_yet_is_named(servers: Servers) -> None:
    with pytest.raises(StepError, match="of the replication's user on the target is empty"):
        servers.replication_user("target")


def test_an_output_that_is_absent_names_the_command(servers: Servers) -> None:
    with pytest.raises(StepError, match=r"run `pulumi up --stack prod-replication` first"):
        servers.output("replication", "task_arns")
