"""Files in S3, each with its SHA-256, and the Secrets that a customer has put there."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cutover.context import Context
from cutover.errors import StepError
from cutover.transfer import reach
from cutover.transfer.places import BucketPlace

_CHUNK = 1 << 20
_SAY_SECONDS = 5.0
_NO_FILE = ("404", "NoSuchKey", "NotFound")
_SUFFIXES = (".json", ".yaml", ".yml")
_PUBLIC_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


class _MissingError(StepError):
    """A file, or the whole bucket, is not there."""


@dataclass(frozen=True)
class Bucket:
    """One bucket, opened. Methods raise StepError."""

    name: str
    context: Context
    s3: Any

    @staticmethod
    def open(context: Context, place: BucketPlace) -> Bucket:
        """Raises StepError where its stack is not there yet."""
        client = reach.client(context, "s3", place.region, stack=place.stack, role_output=place.role_output)
        return Bucket(reach.bucket_name(context, place), context, client)

    def names(self, prefix: str) -> list[str]:
        """The keys that begin with a prefix."""
        with self._asked(f"listing {prefix or 'it'}"):
            pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
            return [str(item["Key"]) for page in pages for item in page.get("Contents", ())]

    def size(self, key: str) -> int | None:
        """A file's bytes; None where it is not there."""
        try:
            with self._asked(f"looking at {key}"):
                return int(self.s3.head_object(Bucket=self.name, Key=key)["ContentLength"])
        except _MissingError:
            return None

    def read(self, key: str) -> bytes | None:
        """A small file; None where it is not there."""
        try:
            with self._asked(f"reading {key}"):
                return bytes(self.s3.get_object(Bucket=self.name, Key=key)["Body"].read())
        except _MissingError:
            return None

    def write(self, key: str, content: bytes) -> None:
        """A small file."""
        with self._asked(f"writing {key}"):
            self.s3.put_object(Bucket=self.name, Key=key, Body=content, ChecksumAlgorithm="SHA256")

    def upload(self, path: Path, key: str) -> None:
        """A file, in parts that S3 checks by their SHA-256."""
        with self._asked(f"writing {key}"), path.open("rb") as file:
            self.s3.upload_fileobj(
                file,
                self.name,
                key,
                ExtraArgs={"ChecksumAlgorithm": "SHA256"},
                Callback=_Said(self.context, f"{path.name} to bucket {self.name}", path.stat().st_size),
            )
        if self.size(key) != path.stat().st_size:
            raise StepError(f"bucket {self.name} does not hold {key} whole; `cutover run` writes it again")

    def download(self, key: str, path: Path) -> str:
        """A file to a path; returns its SHA-256."""
        digest = hashlib.sha256()
        with self._asked(f"reading {key}"), path.open("wb") as file:
            answer = self.s3.get_object(Bucket=self.name, Key=key)
            said = _Said(self.context, f"{key} from bucket {self.name}", int(answer["ContentLength"]))
            for piece in answer["Body"].iter_chunks(_CHUNK):
                digest.update(piece)
                file.write(piece)
                said(len(piece))
        return digest.hexdigest()

    def delete(self, keys: Sequence[str]) -> None:
        """Files; one that is absent is fine."""
        with self._asked("deleting"):
            for key in keys:
                self.s3.delete_object(Bucket=self.name, Key=key)

    def link(self, key: str, seconds: float) -> str:
        """An address by which a file can be had without credentials, for so long; a secret itself."""
        with self._asked(f"signing an address of {key}"):
            return str(
                self.s3.generate_presigned_url(
                    "get_object", Params={"Bucket": self.name, "Key": key}, ExpiresIn=max(1, int(seconds))
                )
            )

    def weaknesses(self) -> list[str]:
        """Why it is not fit for secrets: what is open or not encrypted, in words."""
        found: list[str] = []
        block = self._setting("get_public_access_block", "NoSuchPublicAccessBlockConfiguration")
        blocks = (block or {}).get("PublicAccessBlockConfiguration", {})
        if open_ := [name for name in _PUBLIC_BLOCKS if not blocks.get(name)]:
            found.append(f"public access is not blocked ({', '.join(open_)})")
        status = self._setting("get_bucket_policy_status", "NoSuchBucketPolicy")
        if (status or {}).get("PolicyStatus", {}).get("IsPublic"):
            found.append("its policy is public")
        encryption = self._setting("get_bucket_encryption", "ServerSideEncryptionConfigurationNotFoundError")
        rules = (encryption or {}).get("ServerSideEncryptionConfiguration", {}).get("Rules", ())
        if not any(rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm") for rule in rules):
            found.append("it has no encryption by default")
        return found

    def _setting(self, operation: str, absent: str) -> Mapping[str, Any] | None:
        """A setting of the bucket; None where it has none."""
        from botocore.exceptions import ClientError  # noqa: PLC0415

        with self._asked(operation.replace("_", " ")):
            try:
                found: Mapping[str, Any] = getattr(self.s3, operation)(Bucket=self.name)
            except ClientError as error:
                if error.response["Error"]["Code"] != absent:
                    raise
                return None
            return found

    @contextmanager
    def _asked(self, what: str) -> Iterator[None]:
        """Turns AWS's errors into ours."""
        from boto3.exceptions import Boto3Error  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            yield
        except ClientError as error:
            code = str(error.response["Error"]["Code"])
            way_on = (
                "the bucket does not exist, or its name is wrong"
                if code in (*_NO_FILE, "NoSuchBucket")
                else "its owner must let our role in (s3:ListBucket, s3:GetObject and its key's kms:Decrypt)"
                if code in ("AccessDenied", "403", "Forbidden")
                else "`cutover run` tries again"
            )
            kind = _MissingError if code in _NO_FILE else StepError
            raise kind(f"bucket {self.name}: {what} failed: {error}; {way_on}") from error
        except (BotoCoreError, Boto3Error, OSError) as error:
            raise StepError(f"bucket {self.name}: {what} failed: {error}") from error


def secret_names(bucket: Bucket, prefix: str) -> dict[str, str]:
    """The Secrets that lie under a prefix: name -> key. Raises StepError."""
    found: dict[str, str] = {}
    for key in bucket.names(_folder(prefix)):
        name = key.removeprefix(_folder(prefix))
        for suffix in _SUFFIXES:
            if name.endswith(suffix) and "/" not in name:
                found[name.removesuffix(suffix)] = key
    return found


def read_secret(context: Context, place: BucketPlace, prefix: str, name: str) -> dict[str, bytes]:
    """A Secret's data from its file in a bucket. Raises StepError, whose text shows nothing of it."""
    bucket = Bucket.open(context, place)
    for suffix in _SUFFIXES:
        key = f"{_folder(prefix)}{name}{suffix}"
        if (content := bucket.read(key)) is not None:
            try:
                return parse_secret(content, name)
            except ValueError as error:
                raise StepError(f"{key} in bucket {bucket.name} {error}") from None
    raise StepError(
        f"bucket {bucket.name} has no Secret {name} ({_folder(prefix)}{name}.json): the customer puts it "
        f"there by `oc get secret {name} -o json > {name}.json`; then `cutover run` goes on"
    )


def parse_secret(content: bytes, name: str) -> dict[str, bytes]:
    """The data of a Secret that `oc get secret -o json` or `-o yaml` wrote.

    Raises:
        ValueError: it is none; the text begins with a verb, and shows no value.
    """
    try:
        found = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ValueError("is neither JSON nor YAML") from None
    if not isinstance(found, dict) or found.get("kind") != "Secret":
        raise ValueError("is not of the kind Secret")
    if (given := (found.get("metadata") or {}).get("name")) != name:
        raise ValueError(f"holds the Secret {given!r} and not {name!r}")
    try:
        data = {
            str(key): base64.b64decode(value, validate=True)
            for key, value in (found.get("data") or {}).items()
        }
    except (binascii.Error, TypeError, ValueError):
        raise ValueError("has data that is not base64") from None
    data |= {str(key): str(value).encode() for key, value in (found.get("stringData") or {}).items()}
    if not data:
        raise ValueError("has no data")
    return data


def as_json(value: Any) -> bytes:
    """A file for people and programs."""
    return (json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _folder(prefix: str) -> str:
    return f"{prefix.rstrip('/')}/" if prefix else ""


class _Said:
    """How far a transfer is, every few seconds."""

    def __init__(self, context: Context, what: str, total: int) -> None:
        self._context, self._what, self._total = context, what, total
        self._done, self._said = 0, time.monotonic()

    def __call__(self, count: int) -> None:
        self._done += count
        if time.monotonic() - self._said > _SAY_SECONDS:
            self._said = time.monotonic()
            self._context.say(f"{self._what}: {self._done / 2**20:,.0f} of {self._total / 2**20:,.0f} MiB")
