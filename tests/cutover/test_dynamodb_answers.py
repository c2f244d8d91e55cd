"""Documented answers of DynamoDB that moto does not give: conflicts of transactions, throttling, pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from cutover import dynamodb
from cutover.dynamodb import DynamoLease, Table
from cutover.errors import TableError
from cutover.lease import Holder
from cutover.table_lease import Lent

HOLDER = Holder(3, "a" * 32, 17, "here", "2026-01-01T00:00:00+00:00", "a machine", 5)
KEY = {"journal": {"S": "prod.x"}, "sequence": {"N": "1"}}
CONDITION = ({"journal": {"S": "prod"}, "sequence": {"N": "0"}}, "id = :id", {":id": {"S": "a"}})


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr(dynamodb, "_PAUSES", (0.0, 0.0))
    return Table("team", "eu-west-1", attempts=1)


@pytest.fixture
def stub(table: Table) -> Iterator[Stubber]:
    with Stubber(table._client) as found:
        yield found
        found.assert_no_pending_responses()


def cancelled(stub: Stubber, *codes: str) -> None:
    """As TransactWriteItems answers: a reason for each of its items."""
    stub.add_client_error(
        "transact_write_items",
        "TransactionCanceledException",
        "Transaction cancelled, please refer cancellation reasons for specific reasons",
        http_status_code=400,
        modeled_fields={"CancellationReasons": [{"Code": code} for code in codes]},
    )


def test_a_record_that_meets_a_renewal_is_written_again(table: Table, stub: Stubber) -> None:
    """Both touch the lease's entry: whoever is second is told, and nothing of his was written."""
    cancelled(stub, "TransactionConflict", "None")
    cancelled(stub, "TransactionConflict", "None")
    stub.add_response("transact_write_items", {})
    assert table.put_together([KEY], [CONDITION]) == (False, False)


def test_conflicts_without_end_are_an_error(table: Table, stub: Stubber) -> None:
    for _ in range(3):
        cancelled(stub, "TransactionConflict", "None")
    with pytest.raises(TableError, match=r"table team cannot be written.*Transaction cancelled"):
        table.put_together([KEY], [CONDITION])


@pytest.mark.parametrize(
    ("codes", "failed"),
    [
        (("ConditionalCheckFailed", "None"), (True, False)),
        (("None", "ConditionalCheckFailed"), (False, True)),
        (("ConditionalCheckFailed", "TransactionConflict"), (True, False)),
    ],
)
def test_which_condition_failed_is_told(
    table: Table, stub: Stubber, codes: tuple[str, ...], failed: tuple[bool, ...]
) -> None:
    cancelled(stub, *codes)
    assert table.put_together([KEY], [CONDITION]) == failed


@pytest.mark.parametrize("code", ["ThrottlingError", "ValidationError", "ItemCollectionSizeLimitExceeded"])
def test_other_reasons_are_errors(table: Table, stub: Stubber, code: str) -> None:
    cancelled(stub, "None", code)
    with pytest.raises(TableError, match="cannot be written"):
        table.put_together([KEY], [CONDITION])


def test_a_renewal_that_meets_a_record_is_sent_again(table: Table, stub: Stubber) -> None:
    stub.add_client_error("put_item", "TransactionConflictException", "Transaction is ongoing for the item")
    stub.add_response("put_item", {})
    assert DynamoLease(table, "prod").write(Lent(HOLDER, 1, 30.0), Lent(HOLDER, 0, 30.0))


def test_a_condition_that_fails_is_no_error(table: Table, stub: Stubber) -> None:
    stub.add_client_error("put_item", "ConditionalCheckFailedException", "The conditional request failed")
    assert not DynamoLease(table, "prod").write(Lent(HOLDER, 1, 30.0), Lent(HOLDER, 0, 30.0))


@pytest.mark.parametrize(
    "code", ["ProvisionedThroughputExceededException", "AccessDeniedException", "ResourceNotFoundException"]
)
def test_refusals_name_the_table(table: Table, stub: Stubber, code: str) -> None:
    stub.add_client_error("get_item", code, "no")
    with pytest.raises(TableError, match=f"table team cannot be read.*{code}"):
        DynamoLease(table, "prod").read()


def test_pages_are_followed_to_their_end(table: Table, stub: Stubber) -> None:
    first: dict[str, Any] = {"Items": [{"sequence": {"N": "0"}}], "LastEvaluatedKey": KEY}
    again: dict[str, Any] = {"Items": [], "LastEvaluatedKey": KEY}
    given: dict[str, Any] = {
        "TableName": "team",
        "KeyConditionExpression": ANY,
        "ExpressionAttributeNames": ANY,
        "ExpressionAttributeValues": ANY,
        "ConsistentRead": True,
    }
    stub.add_response("query", first, given)
    stub.add_response("query", again, given | {"ExclusiveStartKey": KEY})
    stub.add_response("query", {"Items": [{"sequence": {"N": "1"}}]}, given | {"ExclusiveStartKey": KEY})
    assert [item["sequence"]["N"] for item in table.query("prod.x", "0")] == ["0", "1"]


def test_reads_are_never_stale(table: Table, stub: Stubber) -> None:
    wanted = {"TableName": "team", "Key": ANY, "ConsistentRead": True}
    stub.add_response("get_item", {}, wanted)
    assert DynamoLease(table, "prod").read() is None
