"""How both servers are reached: addresses from the stacks, credentials from where they are kept."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from components.settings.replication import ReplicationSettings
from cutover.errors import StepError
from cutover.mysql import Server
from cutover.ports import Side, Stacks
from stacks.settings import Environment, PlaceholderError, known

CALL_SECONDS = 10.0
REPLICATION_USER = "landfall_replication"


@dataclass
class Servers:
    """The environment's pair of databases. Methods raise StepError."""

    environment: Environment
    project: Path
    stacks: Stacks
    _outputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _target: Server | None = None

    @property
    def settings(self) -> ReplicationSettings:
        """The section `replication`."""
        if self.environment.replication is None:
            raise StepError("the settings have no section `replication`: the database cannot be moved")
        return self.environment.replication

    @property
    def source(self) -> Server:
        """The source, as its administrator."""
        database = self.environment.database
        administrator = database.administrator
        return Server(
            "source",
            self._known(database.source.eip, "database.source.eip"),
            database.port,
            _variable(administrator.user_env),
            _variable(administrator.password_env),
            ca=self.authority("source"),
            verify_name=self.settings.source_tls == "verify-full",
        )

    @property
    def target(self) -> Server:
        """The target, as its administrator."""
        if self._target is None:
            found = self.secret(self.output("", "database_secret_arn"))
            if found is None:
                raise StepError(
                    "the target's administrator has no secret yet: RDS makes it with the instance"
                )
            self._target = Server(
                "target",
                self.output("", "database_address"),
                int(self.output("", "database_port")),
                str(found["username"]),
                str(found["password"]),
                ca=self.authority("target"),
            )
        return self._target

    def server(self, side: Side) -> Server:
        """One of them."""
        return self.source if side == "source" else self.target

    def authority(self, side: Side) -> str:
        """The file of the authorities of a side's certificate."""
        certificates = self.settings.certificates
        file = certificates.source if side == "source" else certificates.target
        return str(self.project / self._known(file, f"replication.certificates.{side}"))

    def replication_user(self, side: Side) -> Server:
        """A side, as the user of the replication."""
        arn = self.output("replication", "secret_arns")[side]
        found = self.secret(arn)
        if found is None:
            raise StepError(f"the secret {arn} of the replication's user on the {side} is empty")
        return replace(self.server(side), user=str(found["username"]), password=str(found["password"]))

    def has_replication_users(self) -> bool:
        """Whether the replication's users were made."""
        return self.secret(self.output("replication", "secret_arns")["source"]) is not None

    def fill_secrets(self, side: Side) -> tuple[str, str]:
        """The replication's user of a side and its password, which is made and kept where there is none."""
        arns = [self.output("replication", "secret_arns")[side]]
        if side == "source" and self.settings.forward == "native":
            arns.append(self.output("replication", "native_secret_arn"))
        there = self.secret(arns[0]) or {}
        user = str(there.get("username") or REPLICATION_USER)
        password = str(there.get("password") or secrets.token_urlsafe(24))
        server = self.server(side)
        wanted = {"username": user, "password": password, "host": server.host, "port": server.port}
        for arn in arns:
            if self.secret(arn) != wanted:
                self._call(
                    "secretsmanager", "put_secret_value", SecretId=arn, SecretString=json.dumps(wanted)
                )
        return user, password

    def secret(self, arn: str) -> dict[str, Any] | None:
        """A secret's JSON; None where it is still empty."""
        client = self.client("secretsmanager")
        try:
            text = client.get_secret_value(SecretId=arn)["SecretString"]
            found = json.loads(text)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return None
            raise StepError(f"the secret {arn} could not be read: {error}") from error
        except (BotoCoreError, ValueError, KeyError) as error:
            raise StepError(f"the secret {arn} could not be read: {type(error).__name__}") from error
        if not isinstance(found, dict):
            raise StepError(f"the secret {arn} holds no JSON object")
        return found

    def output(self, part: str, name: str) -> Any:
        """An output of the landing zone (`""`), or of another stack of the environment."""
        stack = f"{self.environment.name}-{part}" if part else self.environment.name
        if stack not in self._outputs:
            self._outputs[stack] = self.stacks.outputs(stack)
        found = self._outputs[stack].get(name)
        if not found:
            raise StepError(f"stack {stack} has no output {name!r}: run `pulumi up --stack {stack}` first")
        return found

    def client(self, service: str) -> Any:
        """A client of AWS, with time limits."""
        config = Config(connect_timeout=CALL_SECONDS, read_timeout=CALL_SECONDS, retries={"max_attempts": 3})
        try:
            return boto3.client(service, region_name=self.environment.region, config=config)
        except BotoCoreError as error:
            raise StepError(f"AWS's {service} cannot be called: {error}") from error

    def _call(self, service: str, operation: str, **parameters: Any) -> Any:
        try:
            return getattr(self.client(service), operation)(**parameters)
        except (BotoCoreError, ClientError) as error:
            raise StepError(f"{service}: {operation} failed: {error}") from error

    @staticmethod
    def _known(value: Any, place: str) -> str:
        try:
            return str(known(value, place))
        except PlaceholderError as error:
            raise StepError(str(error)) from error


def _variable(name: str) -> str:
    if not (value := os.environ.get(name)):
        raise StepError(f"the environment variable {name} is not set; it holds a credential of the database")
    return value
