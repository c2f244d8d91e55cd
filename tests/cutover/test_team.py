"""The command line of a team: journal, lease and approvals in a table; the journal's hashes kept outside."""

from __future__ import annotations

import json
import os
import stat
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from cutover.anchors import AnchorBucket, Anchoring, audited
from cutover.approvals import Approvals
from cutover.errors import JournalError
from cutover.history import Status
from cutover.journal import Journal, read_journal
from cutover.session import Session
from cutover.watch.feed import Feed
from stacks.settings.cutover import AnchorSettings
from tests.cutover.command import Cutover
from tests.cutover.team_table import REGION, new_table
from tests.cutover.world import TARGET_ADDRESS, FakeClock


@pytest.fixture
def table(aws: str) -> str:
    return new_table()


def new_bucket(*, locked: bool = True, retention: bool = True) -> str:
    name = f"anchors-{uuid.uuid4().hex[:12]}"
    s3 = boto3.client("s3", region_name=REGION)
    s3.create_bucket(
        Bucket=name,
        ObjectLockEnabledForBucket=locked,
        CreateBucketConfiguration={"LocationConstraint": REGION},
    )
    if locked and retention:
        rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 365}}
        s3.put_object_lock_configuration(
            Bucket=name, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
        )
    return name


def keep(project: Path, **journal: Any) -> None:
    """Writes where the journal is kept into the settings."""
    file = project / "Pulumi.prod.yaml"
    config = yaml.safe_load(file.read_text())
    config["config"]["landfall:environment"]["cutover"]["journal"] = journal
    file.write_text(yaml.safe_dump(config))


@pytest.fixture
def team(cutover: Cutover, table: str) -> Cutover:
    keep(cutover.project, kind="dynamodb", table=table, region=REGION)
    return cutover


def session_of(found: Cutover) -> Session:
    return Session.at(found.project, "prod", "boss-corestone")


def test_run_status_watch_report_audit_and_rollback_from_the_table(team: Cutover) -> None:
    done = team("run")
    assert (done.code, "outcome: succeeded" in done.out) == (0, True), done.err
    assert team.world.record == TARGET_ADDRESS
    assert not list((team.project / ".cutover").glob("*.jsonl")), "nothing of it is kept here"

    status = team("status", "--json").json
    assert (status["outcome"], status["running"], status["holder"]) == ("succeeded", False, None)
    assert team("report", "--output", str(team.project / "out")).code == 0
    assert json.loads((team.project / "out" / "report.json").read_text())["outcome"] == "succeeded"
    audit = team("audit")
    assert audit.code == 0
    assert "prod.boss-corestone in table" in audit.out
    assert "unbroken up to" in audit.out

    session = session_of(team)
    feed = Feed(session, session.plan(), {})
    moment = feed.wait(0, 0.0)
    feed.close()
    assert len(moment.contents.records) == team("audit", "--json").json["records"]

    assert team("status", "--follow", "--json").code == 0
    back = team("rollback", "--json")
    assert (back.code, back.json["outcome"]) == (0, "rolled back")


def test_a_run_goes_on_on_another_machine(team: Cutover, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The project's folder is another, as cloned there; the journal is the same."""
    assert team("run", "--to", "prepare").code == 0
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for file in team.project.glob("Pulumi*.yaml"):
        (elsewhere / file.name).write_bytes(file.read_bytes())
    before = team("audit", "--json").json
    team.project = elsewhere

    assert team("status", "--json").json["done"]
    assert team("run").code == 0
    after = team("audit", "--json").json
    assert after["epochs"] == before["epochs"] + 1 == 2


def test_a_second_runner_is_refused_and_the_holder_is_shown(team: Cutover) -> None:
    session = session_of(team)
    with session.journal(session.plan()):
        status = team("status", "--json").json
        call = team("run")
        text = team("status").out

    assert status["running"] is True
    assert status["holder"]["pid"] == os.getpid()
    assert f"lease {status['holder']['id']}" in text
    assert call.code == 6
    assert status["holder"]["id"] in call.err


def test_an_approval_given_elsewhere_reaches_the_runner(team: Cutover) -> None:
    session = session_of(team)
    given = Approvals(session.homes.slips(), FakeClock())
    taken = Approvals(Session.at(team.project, "prod", "boss-corestone").homes.slips(), FakeClock())
    assert taken.take("a", "bind the EIP", "hash", 0) is None

    given.give("a", "Ada", "done", asked="bind the EIP", plan_hash="hash", round_=0)

    found = taken.take("a", "bind the EIP", "hash", 0)
    assert found is not None
    assert (found.by, found.note) == ("Ada", "done")
    assert taken.take("a", "bind another", "hash", 0) is None


def test_a_plan_that_was_begun_in_a_file_is_not_begun_anew_in_a_table(cutover: Cutover, table: str) -> None:
    assert cutover("run", "--to", "prepare").code == 0
    keep(cutover.project, kind="dynamodb", table=table, region=REGION)

    for command in ("run", "status", "rollback"):
        call = cutover(command)
        assert (call.code, "was begun with the journal" in call.err) == (3, True), call.err


@pytest.mark.parametrize("kind", ["local", "dynamodb"])
def test_unlocking_is_written_down(
    cutover: Cutover, table: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(
        cutover.project,
        **({"kind": kind, "table": table, "region": REGION} if kind == "dynamodb" else {"kind": kind}),
    )
    assert cutover("run", "--to", "prepare").code == 0
    session = session_of(cutover)
    holder = session.homes.lease().last()
    assert holder is not None
    nobody = cutover("unlock", "--id", holder.id, "--as", "Ada", "--note", "its machine burnt down")
    assert (nobody.code, "nobody holds" in nobody.err) == (6, True)

    lost = replace(holder, host="elsewhere")
    lease_type = type(session.homes.lease())
    monkeypatch.setattr(lease_type, "unlock", lambda *_: lost)
    call = cutover("unlock", "--id", lost.id, "--as", "Ada", "--note", "its machine burnt down")
    assert call.code == 0, call.err
    assert "holds the lease no longer" in call.out
    record = session.contents().records[-1]
    assert record.kind == "unlocked"
    assert record.data["lost"]["host"] == "elsewhere"
    assert (record.data["by"], record.data["note"]) == ("Ada", "its machine burnt down")
    assert cutover("unlock", "--id", lost.id, "--as", " ", "--note", "x").code == 3
    assert cutover("run").code == 0


def test_a_lease_that_is_lost_in_the_middle_ends_the_run(
    team: Cutover, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a stop that was longer than the lease: what the run would still do is not done."""
    table = yaml.safe_load((team.project / "Pulumi.prod.yaml").read_text())["config"]["landfall:environment"][
        "cutover"]["journal"]["table"]  # fmt: skip
    flips = team.world.stacks.write_flips
    calls: list[str] = []

    def taken(stack: str, keys: Any) -> None:
        calls.append(stack)
        flips(stack, keys)
        boto3.client("dynamodb", region_name=REGION).update_item(
            TableName=table,
            Key={"journal": {"S": "prod"}, "sequence": {"N": "0"}},
            UpdateExpression="SET id = :id, epoch = epoch + :one",
            ExpressionAttributeValues={":id": {"S": "f" * 32}, ":one": {"N": "1"}},
        )

    monkeypatch.setattr(team.world.stacks, "write_flips", taken)
    call = team("run")

    assert call.code == 6
    assert "the lease is another's by now" in call.err
    assert len(calls) == 1
    history = session_of(team).history()
    assert Status.BEGUN in {step.status for step in history.steps.values()}, "the next runner looks first"


def test_a_run_is_anchored_and_its_audit_fits(cutover: Cutover, aws: str) -> None:
    bucket = new_bucket()
    keep(cutover.project, kind="local", anchor={"bucket": bucket, "region": REGION, "prefix": "landfall/"})
    done = cutover("run")
    assert done.code == 0
    assert "anchors" not in done.out, done.out

    call = cutover("audit")
    assert call.code == 0, call.err
    assert f"in s3://{bucket}/landfall/prod.boss-corestone/, up to record" in call.out
    assert "all fit" in call.out
    assert "not anchored" not in call.out
    found = cutover("audit", "--json").json
    assert found["anchored_to"] == found["records"] - 1
    assert found["problems"] == []


@pytest.mark.parametrize("kind", ["cut", "written anew", "gone"])
def test_a_journal_that_does_not_fit_its_anchors_is_found(cutover: Cutover, aws: str, kind: str) -> None:
    bucket = new_bucket()
    keep(cutover.project, kind="local", anchor={"bucket": bucket, "region": REGION})
    assert cutover("run", "--to", "prepare").code == 0
    path = session_of(cutover).journal_path
    records = read_journal(path).records
    if kind == "cut":
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    else:
        path.unlink()
    if kind == "written anew":
        journal = Journal(path, 1, FakeClock())
        for record in records:
            journal.append(record.kind, record.data)
        journal.close()
    s3 = boto3.client("s3", region_name=REGION)
    for item in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        s3.delete_object(Bucket=bucket, Key=item["Key"])  # leaves a marker: the object stays

    call = cutover("audit")

    assert call.code == 3
    assert "does not fit its anchors" in call.err
    words = {"cut": "is missing: the journal was cut", "written anew": "is not the one that was anchored",
             "gone": "there is no journal any more"}  # fmt: skip
    assert f"DAMAGED: record {len(records) - 1} " in call.out
    assert words[kind] in call.out
    assert cutover("audit", "--json").json["problems"]


@pytest.mark.parametrize(("locked", "retention"), [(False, False), (True, False)])
def test_a_bucket_that_keeps_nothing_is_refused_before_anything_is_begun(
    cutover: Cutover,
    aws: str,
    locked: bool,
    retention: bool,
) -> None:
    bucket = new_bucket(locked=locked, retention=retention)
    keep(cutover.project, kind="local", anchor={"bucket": bucket, "region": REGION})

    call = cutover("run")

    assert call.code == 3
    assert "has no object lock with a default retention" in call.err
    assert not session_of(cutover).history().steps


def test_anchors_that_cannot_be_written_are_said_once_and_stop_nothing(aws: str, tmp_path: Path) -> None:
    bucket = AnchorBucket(AnchorSettings(bucket=new_bucket(), region=REGION), "prod.x")
    journal = Journal(tmp_path / "journal", 1, FakeClock())
    said: list[str] = []
    anchoring = Anchoring(journal, bucket, said.append)
    real = bucket.put

    def failing(_record: object) -> None:
        raise JournalError("the journal's anchors cannot be written to: connection refused")

    bucket.put = failing  # type: ignore[method-assign,assignment]
    journal.append("intent", {"step": "a"})
    anchoring._anchor()
    anchoring._anchor()
    assert len(said) == 1
    assert "The run goes on" in said[0]
    bucket.put = real  # type: ignore[method-assign]
    anchoring._anchor()
    assert [anchor.number for anchor in bucket.all()] == [0]
    journal.append("outcome", {"step": "a"})
    found = audited(journal.records, 0, bucket.all())
    assert (found.problems, found.anchored_to, found.records) == ((), 0, 2)
    journal.close()


@pytest.mark.parametrize("kind", ["local", "dynamodb"])
def test_what_a_run_leaves_is_its_owners_alone(cutover: Cutover, table: str, kind: str) -> None:
    team = {"kind": kind, "table": table, "region": REGION}
    keep(cutover.project, **(team if kind == "dynamodb" else {"kind": kind}))
    before = os.umask(0)
    try:
        folder = cutover.project / ".cutover"
        folder.mkdir(mode=0o777)  # as another program may have made it
        assert cutover("run").code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("prod.boss-corestone.jsonl", "prod.lease"):
        assert not (folder / name).exists() or stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert (folder / "prod.lease").exists() is (kind == "local")
