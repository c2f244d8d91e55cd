"""What the customer put into a bucket: Secrets and dumps, whole and not."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from cutover.errors import StepError
from cutover.transfer import BucketPlace, CheckBucket, TakeDump, manifest
from cutover.transfer.bucket import read_secret
from tests.transfer.transfer_world import DUMP, REGION, TransferWorld

CUSTOMER = BucketPlace(region=REGION, bucket="customer")
CHECK = CheckBucket(bucket=CUSTOMER, prefix="secrets", secrets=("system-app", "system-seed"))
TAKE = TakeDump(source=CUSTOMER, key="dump/system.sql.gz", dump=DUMP, kind="mysql")
WHOLE = b"-- MariaDB dump\nCREATE TABLE a (id INT);\n-- Dump completed on 2026-01-01  0:00:00\n"


def secret(name: str, **data: str) -> bytes:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return json.dumps({"kind": "Secret", "metadata": {"name": name}, "data": encoded}).encode()


def fill(s3: Any, **files: bytes) -> None:
    for name, content in files.items():
        s3.put_object(Bucket="customer", Key=f"secrets/{name.replace('_', '-')}.json", Body=content)


def test_a_bucket_that_is_ready(world: TransferWorld) -> None:
    s3 = world.bucket("customer")
    fill(s3, system_app=secret("system-app", KEY="a"), system_seed=secret("system-seed", TOKEN="canary"))
    assert CHECK.apply(world.context) == {"bucket": "customer", "secrets": ["system-app", "system-seed"]}
    assert read_secret(world.context, CUSTOMER, "secrets", "system-seed") == {"TOKEN": b"canary"}


def test_a_bucket_that_lacks_a_secret_says_which_and_how_to_go_on(world: TransferWorld) -> None:
    fill(world.bucket("customer"), system_app=secret("system-app", KEY="canary"))
    with pytest.raises(StepError) as error:
        CHECK.apply(world.context)
    assert "it lacks the Secret system-seed under secrets/" in str(error.value)
    assert "oc get secret system-seed -o json" in str(error.value)
    assert "`cutover run` goes on" in str(error.value)
    with pytest.raises(StepError, match="has no Secret system-seed"):
        read_secret(world.context, CUSTOMER, "secrets", "system-seed")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{", "is neither JSON nor YAML"),
        (b"kind: ConfigMap", "is not of the kind Secret"),
        (secret("another", KEY="canary"), "holds the Secret 'another' and not 'system-seed'"),
        (secret("system-seed"), "has no data"),
        (
            b"kind: Secret\nmetadata: {name: system-seed}\ndata: {A: canary!}",
            "has data that is not base64",
        ),
    ],
)
def test_a_secret_that_is_none_is_told_without_its_values(
    world: TransferWorld, content: bytes, told: str
) -> None:
    fill(world.bucket("customer"), system_app=secret("system-app", KEY="a"), system_seed=content)
    with pytest.raises(StepError) as error:
        CHECK.apply(world.context)
    assert told in str(error.value)
    assert "canary" not in str(error.value)


def test_a_bucket_that_is_open_is_told_all_at_once(world: TransferWorld) -> None:
    s3 = world.bucket("customer", safe=False)
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::c*"}
    s3.put_bucket_policy(
        Bucket="customer", Policy=json.dumps({"Version": "2012-10-17", "Statement": [everybody]})
    )
    with pytest.raises(StepError) as error:
        CHECK.apply(world.context)
    for told in (
        "public access is not blocked (BlockPublicAcls",
        "it lacks the Secrets system-app, system-s",
    ):
        assert told in str(error.value)


def test_a_bucket_that_is_not_there_is_told(world: TransferWorld) -> None:
    with pytest.raises(StepError, match=r"bucket customer: listing secrets/ failed.*its name is wrong"):
        CHECK.apply(world.context)


def test_the_customers_dump_is_taken_with_a_manifest(world: TransferWorld) -> None:
    world.bucket("dumps")
    s3 = world.bucket("customer")
    s3.put_object(Bucket="customer", Key=TAKE.key, Body=gzip.compress(WHOLE))
    assert TAKE.observe(world.context).state == "not done"
    TAKE.apply(world.context)
    assert TAKE.observe(world.context).state == "done"
    found = manifest.known(world.context, DUMP, "mysql")
    assert [file.name for file in found.files] == ["system.sql.gz"]
    TAKE.undo(world.context)
    assert TAKE.observe(world.context).state == "not done"
    assert s3.head_object(Bucket="customer", Key=TAKE.key)["ContentLength"]
    assert not list(Path(world.context.project, ".cutover", "transfer").iterdir())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (gzip.compress(WHOLE)[:-12], "is cut short or damaged: EOFError"),
        (gzip.compress(WHOLE[:-40]), "its last line is not `-- Dump completed`"),
        (WHOLE, "is cut short or damaged: BadGzipFile"),
    ],
    ids=("cut", "unfinished", "not compressed"),
)
def test_a_dump_that_is_cut_short_is_not_taken(world: TransferWorld, content: bytes, told: str) -> None:
    world.bucket("dumps")
    world.bucket("customer").put_object(Bucket="customer", Key=TAKE.key, Body=content)
    with pytest.raises(StepError) as error:
        TAKE.apply(world.context)
    assert told in str(error.value)
    assert "dump again" in str(error.value)
    assert TAKE.observe(world.context).state == "not done"


def test_a_dump_that_is_not_there_says_what_is(world: TransferWorld) -> None:
    world.bucket("dumps")
    world.bucket("customer").put_object(Bucket="customer", Key="dump/system.sql", Body=WHOLE)
    with pytest.raises(StepError, match=r"has no dump/system\.sql\.gz \(there is dump/system\.sql\)"):
        TAKE.apply(world.context)
