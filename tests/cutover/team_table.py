"""The team's table, as components/journal.py declares it, in moto."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import boto3

from lab.aws.server import AwsServer

REGION = "ap-southeast-1"
_ACCESS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}


@contextmanager
def cloud() -> Iterator[str]:
    """An AWS that boto3 finds by its standard variables; gives its address."""
    with AwsServer() as server:
        given = {**_ACCESS, "AWS_ENDPOINT_URL": server.url}
        before = {name: os.environ.get(name) for name in given}
        os.environ.update(given)
        try:
            yield server.url
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def new_table() -> str:
    """An empty table of its own; its name."""
    name = f"test-{uuid.uuid4().hex[:12]}-cutover-journal"
    boto3.client("dynamodb", region_name=REGION).create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "journal", "KeyType": "HASH"},
            {"AttributeName": "sequence", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "journal", "AttributeType": "S"},
            {"AttributeName": "sequence", "AttributeType": "N"},
        ],
    )
    return name
