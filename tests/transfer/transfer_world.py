"""A context with real servers behind it: moto's AWS, and stacks whose outputs name loopback."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import boto3

from cutover.clock import SystemClock
from cutover.context import Context
from cutover.mysql import Server
from cutover.postgres import PostgresServer
from cutover.transfer.places import BucketPlace, DumpPlace, StackDatabase, StackRedis
from cutover.transfer.redis_server import RedisServer

REGION = "eu-west-1"
STACK = "rhoam-migration"
BUCKET = BucketPlace(region=REGION, stack=STACK)
DUMP = DumpPlace(bucket=BUCKET, prefix="dumps/system")
SYSTEM = StackDatabase(
    name="the migration's system database",
    stack=STACK,
    output="system_database",
    engine="mysql",
    database="boss",
    region=REGION,
    ca="ca.pem",
)
LOADED = StackDatabase(
    name="the migration's other system database",
    stack=STACK,
    output="loaded_database",
    engine="mysql",
    database="boss",
    region=REGION,
    ca="other.pem",
)
CONVERTED = StackDatabase(
    name="the migration's PostgreSQL",
    stack=STACK,
    output="conversion_database",
    engine="postgres",
    database="system",
    region=REGION,
    ca="postgres.pem",
)
BACKEND = StackRedis(
    name="the source's backend Redis", stack=STACK, output="backend_redis", region=REGION, tls=False
)
RECOVERED = StackRedis(
    name="the destination's backend Redis",
    stack=STACK,
    output="recovered_redis",
    region=REGION,
    ca="redis.pem",
)


@dataclass
class Outputs:
    """Stacks that have outputs and nothing else."""

    values: dict[str, dict[str, Any]] = field(default_factory=dict)

    def outputs(self, stack: str) -> Mapping[str, Any]:
        """See ports.Stacks."""
        return self.values.get(stack, {})


@dataclass
class TransferWorld:
    """What the actions of a test work on."""

    context: Context
    stacks: Outputs
    said: list[str]

    def give(self, output: str, server: Server | PostgresServer | RedisServer) -> None:
        """Makes a server known by a stack's outputs and a secret."""
        secrets = boto3.client("secretsmanager", region_name=REGION)
        text = json.dumps({"username": server.user, "password": server.password})
        arn = secrets.create_secret(Name=f"{output}-{uuid.uuid4()}", SecretString=text)["ARN"]
        self.stacks.values.setdefault(STACK, {}).update(
            {f"{output}_address": server.host, f"{output}_port": server.port, f"{output}_secret_arn": arn}
        )

    def bucket(self, name: str, *, safe: bool = True) -> Any:
        """Makes a bucket; the stack's is named by its output."""
        s3 = boto3.client("s3", region_name=REGION)
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        if safe:
            names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
            s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(names, True))
            rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
            s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
        self.stacks.values.setdefault(STACK, {}).setdefault("dump_bucket", name)
        return s3


def make_world(folder: Path) -> TransferWorld:
    """A context in a folder of its own."""
    stacks = Outputs()
    said: list[str] = []
    unused = cast("Any", None)
    context = Context(
        unused,
        project=folder,
        clusters={},
        stacks=cast("Any", stacks),
        dns=unused,
        web=unused,
        database=unused,
        keys=unused,
        clock=SystemClock(),
        say=said.append,
    )
    return TransferWorld(context, stacks, said)
