"""The journal's promises wherever it is kept: chained, durable, written by one, refused where damaged."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from cutover.dynamodb import DynamoLease, Table
from cutover.dynamodb_journal import MOST_PARTS, PART_BYTES, DynamoJournal
from cutover.errors import JournalError, LeaseError, TableError
from cutover.journal import EMPTY, FIRST, FileHome, Journal
from cutover.journal import Home as JournalHome
from cutover.lease import Holder
from cutover.table_lease import Lent
from tests.cutover.team_table import REGION, new_table
from tests.cutover.world import FakeClock

HOLDER = Holder(1, "a" * 32, 1, "here", "2026-01-01T00:00:00+00:00", "a machine", 1)
KEY = "prod.boss-corestone"


@dataclass
class Kept:
    """A journal's home, and how it is tampered with."""

    path: Path | None = None
    table: str = ""
    holder: Holder | None = HOLDER

    def home(self) -> JournalHome:
        if self.path is not None:
            return FileHome(self.path)
        table = Table(self.table, REGION)
        return DynamoJournal(table, KEY, DynamoLease(table, "prod"), lambda: self.holder)

    def journal(self, epoch: int = 1) -> Journal:
        return Journal(self.home(), epoch, FakeClock())

    def lines(self) -> list[str]:
        if self.path is not None:
            return self.path.read_text().splitlines(keepends=True)
        return [item["line"]["S"] for item in self.items()]

    def items(self) -> list[dict[str, Any]]:
        found = self.client.query(
            TableName=self.table,
            KeyConditionExpression="journal = :key",
            ExpressionAttributeValues={":key": {"S": KEY}},
        )
        return list(found["Items"])

    def set_line(self, number: int, line: str) -> None:
        """What stands in a record's place from now on."""
        if self.path is not None:
            lines = self.lines()
            lines[number] = line
            self.path.write_text("".join(lines))
        else:
            item = self.items()[number] | {"line": {"S": line}}
            self.client.put_item(TableName=self.table, Item=item)

    def take_out(self, number: int) -> None:
        if self.path is not None:
            lines = self.lines()
            del lines[number]
            self.path.write_text("".join(lines))
        else:
            key = {"journal": {"S": KEY}, "sequence": {"N": str(number)}}
            self.client.delete_item(TableName=self.table, Key=key)

    @property
    def client(self) -> Any:
        return boto3.client("dynamodb", region_name=REGION)


@pytest.fixture(params=["file", "dynamodb"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    if request.param == "file":
        return Kept(path=tmp_path / "sub" / "journal")
    request.getfixturevalue("aws")
    return in_a_table()


def in_a_table() -> Kept:
    table = new_table()
    assert DynamoLease(Table(table, REGION), "prod").write(Lent(HOLDER, 0, 30.0), None)
    return Kept(table=table)


def write(kept: Kept, count: int = 3) -> None:
    journal = kept.journal()
    for number in range(count):
        journal.append("intent", {"step": f"step-{number}", "note": "ü"})
    journal.close()


def test_what_is_written_is_read_back(kept: Kept) -> None:
    write(kept)

    contents = kept.home().read()

    assert [record.data["step"] for record in contents.records] == ["step-0", "step-1", "step-2"]
    assert [record.data["note"] for record in contents.records] == ["ü"] * 3
    assert contents.records[0].previous == FIRST
    assert contents.records[2].previous == contents.records[1].hash
    assert contents.head == contents.records[2].hash
    assert contents.torn == 0
    assert [json.loads(line)["n"] for line in kept.lines()] == [0, 1, 2]


def test_a_journal_that_nobody_began_is_empty(kept: Kept) -> None:
    assert kept.home().read() == EMPTY
    assert kept.home().read(EMPTY) == EMPTY


def test_it_goes_on_where_it_ended(kept: Kept) -> None:
    write(kept)
    journal = kept.journal()
    assert len(journal.records) == 3
    record = journal.append("outcome", {})
    journal.close()

    assert record.number == 3
    assert kept.home().read().records[-1] == record


def test_whoever_follows_it_reads_the_new_alone(kept: Kept) -> None:
    journal = kept.journal()
    contents = kept.home().read()
    for number in range(5):
        record = journal.append("intent", {"step": f"step-{number}"})
        before, contents = contents, kept.home().read(contents)
        assert contents.records == (*before.records, record)
        assert kept.home().read(contents) == contents
    assert contents == kept.home().read()
    journal.close()


def test_a_record_that_was_changed_is_refused(kept: Kept) -> None:
    write(kept)
    for number, line in enumerate(kept.lines()):
        kept.set_line(number, line.replace("step-", "stop-"))
        with pytest.raises(JournalError, match=f"damaged in record {number}: its hash does not fit"):
            kept.home().read()
        with pytest.raises(JournalError, match=f"damaged in record {number}"):
            kept.journal()
        kept.set_line(number, line)
    assert len(kept.home().read().records) == 3


def test_what_is_no_record_is_refused(kept: Kept) -> None:
    write(kept)
    kept.set_line(1, "{]\n")

    with pytest.raises(JournalError, match=r"damaged in record 1: not a record.*Keep it"):
        kept.home().read()


def test_a_record_taken_out_is_refused(kept: Kept) -> None:
    write(kept)
    kept.take_out(1)

    with pytest.raises(JournalError, match=r"damaged in record 1: "):
        kept.home().read()


def test_a_version_of_tomorrow_is_refused_by_name(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cutover.journal.SCHEMA", 2)
    write(kept, 1)
    monkeypatch.undo()

    with pytest.raises(JournalError, match="record 0, has version 2; this program reads version 1"):
        kept.home().read()


@pytest.mark.parametrize("data", [{"x": object()}, {"x": float("nan")}])
def test_what_is_not_json_is_refused_before_anything_is_written(kept: Kept, data: dict[str, Any]) -> None:
    journal = kept.journal()
    with pytest.raises(JournalError, match="not JSON"):
        journal.append("intent", data)
    journal.append("intent", {})
    journal.close()
    assert len(kept.home().read().records) == 1


def test_a_record_may_be_long(kept: Kept) -> None:
    """Longer than an item of DynamoDB may be."""
    journal = kept.journal()
    journal.append("intent", {"step": "a"})
    journal.append("outcome", {"differences": ["x" * 1000] * 1000})
    journal.append("intent", {"step": "b"})
    journal.close()

    first, long, last = kept.home().read().records
    assert (first.data["step"], last.data["step"]) == ("a", "b")
    assert len(long.data["differences"]) == 1000
    assert kept.home().read(kept.home().read()).head == last.hash
    assert kept.journal().append("intent", {}).number == 3


def test_many_records_are_read_page_by_page(kept: Kept) -> None:
    journal = kept.journal()
    for number in range(60):
        journal.append("outcome", {"number": number, "evidence": "x" * 50_000})
    journal.close()

    found = kept.home().read()
    assert [record.data["number"] for record in found.records] == list(range(60))
    assert found.size > 3 * 1024 * 1024 - 200_000


def test_without_the_lease_nothing_is_written(kept: Kept) -> None:
    def lost() -> None:
        raise LeaseError("the lease was lost")

    journal = Journal(kept.home(), 1, FakeClock(), lost)
    with pytest.raises(LeaseError, match="was lost"):
        journal.append("intent", {})
    journal.close()
    assert kept.home().read() == EMPTY


def test_a_runner_whose_lease_was_taken_writes_nothing_more(aws: str) -> None:
    """Even where it does not know of it: as after the machine stood still."""
    kept = in_a_table()
    journal = kept.journal()
    journal.append("intent", {"step": "a"})
    lease = DynamoLease(Table(kept.table, REGION), "prod")
    newer = replace(HOLDER, epoch=2, id="b" * 32)
    assert lease.write(Lent(newer, 0, 30.0), Lent(HOLDER, 0, 30.0))

    with pytest.raises(LeaseError, match="another's by now"):
        journal.append("outcome", {"step": "a"})
    assert len(kept.home().read().records) == 1

    with pytest.raises(LeaseError, match="whoever holds the lease"):
        replace(kept, holder=None).journal().append("intent", {})
    replace(kept, holder=newer).journal(2).append("intent", {"step": "a"})
    assert [record.epoch for record in kept.home().read().records] == [1, 2]


def test_two_writers_of_one_lease_do_not_both_write_a_record(aws: str) -> None:
    """Which the lease forbids; should it fail, the chain still holds."""
    kept = in_a_table()
    one, two = kept.journal(), kept.journal()
    one.append("intent", {"step": "a"})
    with pytest.raises(JournalError, match="somebody else wrote record 0"):
        two.append("intent", {"step": "b"})
    with pytest.raises(JournalError, match="takes no more records"):
        two.append("intent", {"step": "b"})
    assert [record.data["step"] for record in kept.home().read().records] == ["a"]


def test_an_answer_that_was_lost_is_looked_for(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = in_a_table()
    journal = kept.journal()
    real = Table.put_together

    def executed(self: Table, *args: Any) -> tuple[bool, ...]:
        real(self, *args)
        raise TableError("read timed out")

    monkeypatch.setattr(Table, "put_together", executed)
    journal.append("intent", {"step": "a"})
    monkeypatch.undo()
    journal.append("outcome", {"step": "a"})
    assert len(kept.home().read().records) == 2


def test_a_call_that_never_arrived_ends_the_journal(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = in_a_table()
    journal = kept.journal()

    def unreachable(*_: Any) -> None:
        raise TableError("connection refused")

    monkeypatch.setattr(Table, "put_together", unreachable)
    with pytest.raises(JournalError, match=r"could not be made durable \(connection refused\): nothing"):
        journal.append("intent", {"step": "a"})
    monkeypatch.undo()
    with pytest.raises(JournalError, match="takes no more records"):
        journal.append("intent", {"step": "a"})
    assert kept.home().read() == EMPTY


def test_a_record_that_no_table_takes_is_refused_before_anything_is_begun(aws: str) -> None:
    kept = in_a_table()
    journal = kept.journal()
    with pytest.raises(JournalError, match=r"longer than the journal .* takes"):
        journal.append("outcome", {"x": "x" * PART_BYTES * MOST_PARTS})
    assert kept.home().read() == EMPTY


def test_a_part_that_was_taken_out_is_refused(aws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cutover.dynamodb_journal._PAUSES", ())
    kept = in_a_table()
    journal = kept.journal()
    journal.append("outcome", {"x": "x" * 3 * PART_BYTES})
    key = {"journal": {"S": KEY}, "sequence": {"N": "0.002"}}
    kept.client.delete_item(TableName=kept.table, Key=key)

    with pytest.raises(JournalError, match=r"damaged in record 0.*0, 0.001, 0.003 of 4"):
        kept.home().read()


def test_a_table_that_is_not_there_is_named(aws: str) -> None:
    with pytest.raises(JournalError, match=rf"{KEY} in table missing cannot be read"):
        Kept(table="missing").home().read()
