"""From a place in the plan to a server: outputs of stacks, secrets of AWS, Secrets of clusters."""

from __future__ import annotations

import base64
import json
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cutover.aws import client_as
from cutover.context import Context
from cutover.errors import StepError
from cutover.mysql import Server
from cutover.postgres import PostgresServer
from cutover.transfer.places import (
    PORTS,
    REDIS_PORT,
    BucketPlace,
    DatabasePlace,
    Engine,
    RedisPlace,
    SecretDatabase,
    SecretRedis,
    StackDatabase,
    StackRedis,
)
from cutover.transfer.redis_server import RedisServer

CALL_SECONDS = 15.0
_ENGINES: Mapping[str, Engine] = {
    "mysql": "mysql",
    "mysql2": "mysql",
    "postgres": "postgres",
    "postgresql": "postgres",
}


def mysql_server(context: Context, place: DatabasePlace) -> tuple[Server, str]:
    """A MySQL and the name of its database. Raises StepError."""
    server, database = database_server(context, place)
    if not isinstance(server, Server):
        raise StepError(f"{place.name} is no MySQL")
    return server, database


def postgres_server(context: Context, place: DatabasePlace) -> tuple[PostgresServer, str]:
    """A PostgreSQL and the name of its database. Raises StepError."""
    server, database = database_server(context, place)
    if not isinstance(server, PostgresServer):
        raise StepError(f"{place.name} is no PostgreSQL")
    return server, database


def database_server(context: Context, place: DatabasePlace) -> tuple[Server | PostgresServer, str]:
    """A database's server, and the database's name on it. Raises StepError."""
    if isinstance(place, SecretDatabase):
        return _by_secret(context, place)
    host, user, password = stack_login(context, place)
    port = stack_port(context, place)
    ca = authorities(context, place)
    if place.engine == "mysql":
        return Server(place.name, host, port, user, password, ca=ca), place.database
    return PostgresServer(place.name, host, port, user, password, ca=ca), place.database


def redis_server(context: Context, place: RedisPlace) -> RedisServer:
    """A Redis. Raises StepError."""
    if isinstance(place, StackRedis):
        host, user, password = stack_login(context, place)
        ca = authorities(context, place) if place.tls else None
        return RedisServer(place.name, host, stack_port(context, place), user, password, tls=place.tls, ca=ca)
    ca = _authority(context, place.ca)
    url = _url(context, place)
    host, port = _address(place.host, url.hostname or "", url.port or REDIS_PORT)
    return RedisServer(
        place.name,
        host,
        port,
        unquote(url.username or ""),
        unquote(url.password or ""),
        tls=url.scheme == "rediss",
        ca=ca,
    )


def bucket_name(context: Context, place: BucketPlace) -> str:
    """The bucket's name. Raises StepError."""
    if place.bucket:
        return place.bucket
    return str(_output(context, place.stack, place.output))


def client(context: Context, service: str, region: str, *, stack: str = "", role_output: str = "") -> Any:
    """A client of AWS with time limits, as the role that a stack's output names. Raises StepError."""
    # It takes a while to load, and plans are listed without it.
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    role = str(_output(context, stack, role_output)) if role_output else ""
    try:
        return client_as(role, service, region, session="landfall-cutover", seconds=CALL_SECONDS, attempts=3)
    except (BotoCoreError, ClientError) as error:
        raise StepError(f"AWS's {service} in {region} cannot be called: {error}") from error


def stack_login(context: Context, place: StackDatabase | StackRedis) -> tuple[str, str, str]:
    """Host, user and password of a store that a stack declared. Raises StepError."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    host = str(_output(context, place.stack, f"{place.output}_address"))
    arn = str(_output(context, place.stack, f"{place.output}_secret_arn"))
    secrets = client(
        context, "secretsmanager", place.region, stack=place.stack, role_output=place.role_output
    )
    try:
        found = json.loads(secrets.get_secret_value(SecretId=arn)["SecretString"])
        return host, str(found["username"]), str(found["password"])
    except ClientError as error:
        raise StepError(f"the secret {arn} of {place.name} could not be read: {error}") from error
    except (BotoCoreError, ValueError, KeyError, TypeError) as error:
        raise StepError(
            f"the secret {arn} of {place.name} holds no username and password: {type(error).__name__}"
        ) from None


def stack_port(context: Context, place: StackDatabase | StackRedis) -> int:
    """The place's port: as the plan says, else as the stack does, else the engine's own."""
    usual = PORTS[place.engine] if isinstance(place, StackDatabase) else REDIS_PORT
    return place.port or int(_outputs(context, place.stack).get(f"{place.output}_port") or usual)


def authorities(context: Context, place: StackDatabase | StackRedis) -> str:
    """A file with the authorities of a managed store's certificate: such a store is reached by TLS alone.

    As the plan says, else as SSL_CERT_FILE does, else the system's. RDS's own are not among the system's:
    AWS publishes them as a bundle.
    """
    found = (
        _authority(context, place.ca)
        or os.environ.get("SSL_CERT_FILE")
        or ssl.get_default_verify_paths().cafile
    )
    if not found or not Path(found).is_file():
        raise StepError(
            f"no file of authorities is known for {place.name}: let SSL_CERT_FILE name one, with RDS's bundle"
        )
    return found


def _by_secret(context: Context, place: SecretDatabase) -> tuple[Server | PostgresServer, str]:
    url = _url(context, place)
    engine = _ENGINES.get(url.scheme)
    database = unquote(url.path.lstrip("/"))
    if engine is None or not database or not url.hostname:
        raise StepError(
            f"{place.key} in the Secret {place.namespace}/{place.secret} on {place.cluster} must be "
            f"mysql2://user:password@host/database or postgresql://…; its scheme is {url.scheme!r}"
        )
    host, port = _address(place.host, url.hostname, url.port or PORTS[engine])
    user, password = unquote(url.username or ""), unquote(url.password or "")
    ca = _authority(context, place.ca)
    if engine == "mysql":
        return Server(place.name, host, port, user, password, ca=ca), database
    return PostgresServer(place.name, host, port, user, password, ca=ca), database


def _url(context: Context, place: SecretDatabase | SecretRedis) -> Any:
    """The URL in a Secret; no error shows any of it."""
    found = context.cluster(place.cluster).get("v1", "secrets", place.namespace, place.secret)
    where = f"the Secret {place.namespace}/{place.secret} on {place.cluster}"
    if found is None:
        raise StepError(f"there is no {where.removeprefix('the ')}")
    try:
        text = base64.b64decode((found.get("data") or {})[place.key]).decode()
        url = urlsplit(text)
        url.port  # noqa: B018 - raises for a port that is none
    except KeyError:
        raise StepError(f"{where} has no key {place.key}") from None
    except ValueError:
        raise StepError(f"{place.key} in {where} is no URL") from None
    return url


def _address(override: str, host: str, port: int) -> tuple[str, int]:
    """How we reach it: the override's host, and its port where it has one."""
    if not override:
        return host, port
    given, _, number = override.partition(":")
    return given, int(number) if number else port


def _authority(context: Context, ca: str | None) -> str | None:
    if ca is None:
        return None
    path = Path(context.project, ca)
    if not path.is_file():
        raise StepError(f"there is no file {path} with the authorities of a server's certificate")
    return str(path)


def _outputs(context: Context, stack: str) -> Mapping[str, Any]:
    return context.outputs(stack)


def _output(context: Context, stack: str, name: str) -> Any:
    """An output by its name, or by a path with dots into it."""
    found: Any = _outputs(context, stack)
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if not found:
        raise StepError(f"stack {stack} has no output {name!r}: run `pulumi up --stack {stack}` first")
    return found
