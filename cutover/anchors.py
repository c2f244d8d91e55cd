"""The journal's hashes kept outside: objects in a bucket with object lock, which nobody can change or delete.

Each anchor's name holds a record's number and hash, and the hash of a record stands for all before it. So a
journal that was cut short or written anew, even as a whole, does not fit its anchors. Anchoring goes on
beside the run and never in its way; what could not be anchored is said, and tried again.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cutover.errors import JournalError
from cutover.journal import Journal, Record
from stacks.settings.cutover import AnchorSettings

CALL_SECONDS = 5.0
EVERY_SECONDS = 10.0
LAST_SECONDS = 10.0
"""How long the end of a run waits for its last anchor."""
_NAME = re.compile(r"(\d{8,})-([0-9a-f]{64})\.json")


@dataclass(frozen=True)
class Anchor:
    """What was kept of a record."""

    number: int
    hash: str
    at: str
    """When the bucket got it."""


class AnchorBucket:
    """A journal's anchors."""

    def __init__(self, settings: AnchorSettings, journal: str) -> None:
        """`journal`: the environment and the plan. Raises JournalError."""
        self._bucket = settings.bucket
        self._prefix = f"{settings.prefix}{journal}/"
        config = Config(
            connect_timeout=CALL_SECONDS, read_timeout=CALL_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 3},
        )  # fmt: skip
        self._s3 = self._call(
            "be used", lambda: boto3.client("s3", region_name=settings.region, config=config)
        )

    def __str__(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}"

    def check(self) -> None:
        """Raises JournalError unless what is put there stays."""
        try:
            found = self._s3.get_object_lock_configuration(Bucket=self._bucket)["ObjectLockConfiguration"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ObjectLockConfigurationNotFoundError":
                raise self._error("be looked at", error) from error
            found = {}
        except BotoCoreError as error:
            raise self._error("be looked at", error) from error
        if found.get("ObjectLockEnabled") != "Enabled" or not found.get("Rule", {}).get("DefaultRetention"):
            raise JournalError(
                f"the bucket {self._bucket} has no object lock with a default retention, so that anchors "
                "there prove nothing: give it one, or name another in cutover.journal.anchor"
            )

    def put(self, record: Record) -> None:
        """Keeps a record's hash. Raises JournalError."""
        kept = {"number": record.number, "hash": record.hash, "epoch": record.epoch, "at": record.at}
        self._call(
            "be written to",
            lambda: self._s3.put_object(
                Bucket=self._bucket,
                Key=f"{self._prefix}{record.number:08}-{record.hash}.json",
                Body=json.dumps(kept).encode(),
                ContentType="application/json",
                ChecksumAlgorithm="SHA256",
            ),
        )

    def all(self) -> Sequence[Anchor]:
        """Every anchor, also one that a delete marker hides. Raises JournalError."""
        return sorted(self._listed(), key=lambda anchor: (anchor.number, anchor.at))

    def _listed(self) -> Iterator[Anchor]:
        given: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix}
        while True:
            page = self._call("be read", lambda: self._s3.list_object_versions(**given))
            for version in page.get("Versions", []):
                if found := _NAME.fullmatch(version["Key"].removeprefix(self._prefix)):
                    at = version["LastModified"].isoformat(timespec="seconds")
                    yield Anchor(int(found[1]), found[2], at)
            if not page.get("IsTruncated"):
                return
            given["KeyMarker"] = page["NextKeyMarker"]
            given["VersionIdMarker"] = page["NextVersionIdMarker"]

    def _call(self, what: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except (BotoCoreError, ClientError, ValueError) as error:
            raise self._error(what, error) from error

    def _error(self, what: str, error: Exception) -> JournalError:
        return JournalError(f"the journal's anchors in {self} cannot {what}: {error}")


class Anchoring:
    """A context manager around a run: anchors the journal's last record every few seconds, and at its end."""

    def __init__(self, journal: Journal, bucket: AnchorBucket, say: Callable[[str], None]) -> None:
        self._journal = journal
        self._bucket = bucket
        self._say = say
        self._anchored = ""
        self._complained = False
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="anchors", daemon=True)

    def __enter__(self) -> Self:
        """Raises JournalError where the bucket cannot hold anchors: nothing was begun."""
        self._bucket.check()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join(LAST_SECONDS)
        if self._thread.is_alive():
            self._say(f"the last record is not anchored: {self._bucket} does not answer")

    def _run(self) -> None:
        until = time.monotonic()
        while not self._ending.wait(max(0.0, until - time.monotonic())):
            self._anchor()
            until = time.monotonic() + EVERY_SECONDS
        self._anchor()

    def _anchor(self) -> None:
        records = self._journal.records
        if not records or records[-1].hash == self._anchored:
            return
        try:
            self._bucket.put(records[-1])
        except JournalError as error:
            if not self._complained:
                self._say(f"{error}. The run goes on; it is tried again")
            self._complained = True
        else:
            self._anchored, self._complained = records[-1].hash, False


@dataclass(frozen=True)
class Audit:
    """What an audit found."""

    records: int
    runners: int
    head: str
    unfinished_bytes: int
    anchors: int | None
    """None: the settings name no bucket."""
    anchored_to: int | None
    """The number of the last record that was anchored."""
    problems: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "problems": list(self.problems)}


def audited(records: Sequence[Record], torn: int, anchors: Sequence[Anchor] | None) -> Audit:
    """Holds a journal, whose chain has been verified, against its anchors."""
    problems = []
    for anchor in anchors or ():
        kept = f"record {anchor.number} was anchored on {anchor.at}"
        if not records:
            problems.append(f"{kept}, and there is no journal any more")
        elif anchor.number >= len(records):
            problems.append(
                f"{kept} and is missing: the journal was cut, and ends with record {len(records) - 1}"
            )
        elif records[anchor.number].hash != anchor.hash:
            problems.append(
                f"record {anchor.number} is not the one that was anchored on {anchor.at}: this or an earlier "
                "record was written anew"
            )
    return Audit(
        records=len(records),
        runners=len({record.epoch for record in records}),
        head=records[-1].hash if records else "",
        unfinished_bytes=torn,
        anchors=None if anchors is None else len(anchors),
        anchored_to=max((anchor.number for anchor in anchors or ()), default=None),
        problems=tuple(problems),
    )


def in_words(found: Audit, journal: str, bucket: str) -> Iterator[str]:
    """An audit, line by line."""
    yield f"journal: {journal}"
    yield (
        f"records: {found.records}, by {found.runners} runners; the chain of hashes is unbroken up to "
        f"{found.head}"
    )
    if found.unfinished_bytes:
        yield (
            f"behind them {found.unfinished_bytes} bytes of a record that was never finished: nothing was "
            "begun after it, and the next run cuts it off"
        )
    if found.anchors is None:
        yield "anchors: none in the settings (cutover.journal.anchor): a journal written anew is not found"
    elif found.anchored_to is None:
        yield f"anchors: none yet in {bucket}"
    else:
        fit = "" if found.problems else ", and all fit"
        yield f"anchors: {found.anchors} in {bucket}, up to record {found.anchored_to}{fit}"
        if (behind := found.records - 1 - found.anchored_to) > 0:
            yield f"not anchored: the {behind} records behind it"
    yield from (f"DAMAGED: {problem}" for problem in found.problems)
