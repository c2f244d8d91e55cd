"""The lab's S3 and buckets that deny what comes without TLS, for which it stands itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.edge.conftest import free_port
from tests.edge.support import LOOPBACK

BUCKET = "bucket-of-the-tests"
ARN = f"arn:aws:s3:::{BUCKET}"


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    """A client of the lab's S3, with a bucket."""
    argv = [sys.executable, "-m", "lab.aws", "--host", LOOPBACK, "--port", str(port := free_port())]
    server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert server.stdout.readline().strip() == f"http://{LOOPBACK}:{port}"
        keys = {"aws_access_key_id": "lab", "aws_secret_access_key": "lab"}
        endpoint = f"http://{LOOPBACK}:{port}"
        client = boto3.client("s3", endpoint_url=endpoint, region_name="ap-southeast-1", **keys)
        place = {"LocationConstraint": "ap-southeast-1"}
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
        client.put_object(Bucket=BUCKET, Key="backup", Body=b"1")
        yield client
        client.close()
    finally:
        server.terminate()
        server.wait(20)
        if server.stdout is not None:
            server.stdout.close()


def deny(**more: object) -> str:
    """A policy with one statement that denies everything, under a condition if one is given."""
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [ARN, f"{ARN}/*"]}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, **more}]})


def test_a_bucket_that_wants_tls_takes_the_labs_requests(s3: Any) -> None:
    policy = deny(Condition={"Bool": {"aws:SecureTransport": "false"}})
    s3.put_bucket_policy(Bucket=BUCKET, Policy=policy)
    s3.put_object(Bucket=BUCKET, Key="another", Body=b"22")
    assert s3.head_object(Bucket=BUCKET, Key="another")["ContentLength"] == 2
    assert json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"]) == json.loads(policy)


def test_a_bucket_that_denies_everything_still_does(s3: Any) -> None:
    s3.put_bucket_policy(Bucket=BUCKET, Policy=deny())
    with pytest.raises(ClientError, match="403"):
        s3.head_object(Bucket=BUCKET, Key="backup")
