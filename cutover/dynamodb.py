"""The team's table in DynamoDB: how it is asked, and the lease's entry in it.

Items are found by `journal` and `sequence`. The lease stands under the environment's name with the
sequence 0; a journal under `<environment>.<plan>`, see dynamodb_journal.py.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cutover.errors import JournalError, TableError
from cutover.lease import Holder
from cutover.table_lease import Lent

CALL_SECONDS = 5.0
_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4)
_LONGEST_LEASE = 3600.0

Values = Mapping[str, Any]


class Table:
    """A table of DynamoDB, with time limits and errors of its own."""

    def __init__(self, name: str, region: str, call_seconds: float = CALL_SECONDS, attempts: int = 3) -> None:
        """`call_seconds`: for one attempt. Raises TableError."""
        self.name = name
        config = Config(
            connect_timeout=call_seconds,
            read_timeout=call_seconds,
            retries={"mode": "standard", "total_max_attempts": attempts},
        )
        self._client = self._call(
            "cannot be asked", lambda: boto3.client("dynamodb", region_name=region, config=config)
        )

    def __str__(self) -> str:
        return f"table {self.name}"

    def get(self, key: str, sequence: str) -> Mapping[str, Any] | None:
        """An item as it is now. Raises TableError."""
        found = self._call(
            "cannot be read",
            lambda: self._client.get_item(
                TableName=self.name,
                Key={"journal": {"S": key}, "sequence": {"N": sequence}},
                ConsistentRead=True,
            ),
        )
        item: Mapping[str, Any] | None = found.get("Item")
        return item

    def put(
        self, item: Mapping[str, Any], condition: str = "", values: Mapping[str, Any] | None = None
    ) -> bool:
        """Writes an item where the condition holds, and says whether it did. Raises TableError."""
        given: dict[str, Any] = {"TableName": self.name, "Item": item}
        if condition:
            given["ConditionExpression"] = condition
        if values:
            given["ExpressionAttributeValues"] = values
        try:
            self._unless_busy(lambda: self._client.put_item(**given))
        except ClientError as error:
            if _code(error) == "ConditionalCheckFailedException":
                return False
            raise self._error("cannot be written", error) from error
        except BotoCoreError as error:
            raise self._error("cannot be written", error) from error
        return True

    def put_together(
        self, items: Sequence[Mapping[str, Any]], conditions: Sequence[tuple[Mapping[str, Any], str, Values]]
    ) -> tuple[bool, ...]:
        """Writes new items if all conditions on others hold, all or none.

        Args:
            items: none of them may exist yet.
            conditions: of other items: the key, the condition and its values.

        Returns:
            Which conditions failed; none of them fails where all was written. Where another item was there
            already, the last of them says so.

        Raises:
            TableError: it is not known whether it was written.
        """
        checks = [
            {"ConditionCheck": {
                "TableName": self.name, "Key": key, "ConditionExpression": condition,
                "ExpressionAttributeValues": values,
            }}
            for key, condition, values in conditions
        ]  # fmt: skip
        absent = "attribute_not_exists(journal)"
        puts = [
            {"Put": {"TableName": self.name, "Item": item, "ConditionExpression": absent}} for item in items
        ]
        token = uuid.uuid4().hex  # the client may ask twice; it is written once

        def write() -> None:
            self._client.transact_write_items(TransactItems=[*checks, *puts], ClientRequestToken=token)

        try:
            self._unless_busy(write)
        except ClientError as error:
            reasons = error.response.get("CancellationReasons", [])
            failed = [reason.get("Code") == "ConditionalCheckFailed" for reason in reasons]
            if not any(failed):
                raise self._error("cannot be written", error) from error
            return (*failed[: len(checks)], any(failed[len(checks) :]))
        except BotoCoreError as error:
            raise self._error("cannot be written", error) from error
        return (False,) * (len(checks) + 1)

    def query(self, key: str, sequence: str) -> Iterator[Mapping[str, Any]]:
        """The items of a key from a sequence on, in its order, as they are now. Raises TableError."""
        given: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": "journal = :key AND #sequence >= :sequence",
            "ExpressionAttributeNames": {"#sequence": "sequence"},
            "ExpressionAttributeValues": {":key": {"S": key}, ":sequence": {"N": sequence}},
            "ConsistentRead": True,
        }
        while True:
            page = self._call("cannot be read", lambda: self._client.query(**given))
            yield from page["Items"]
            if not (last := page.get("LastEvaluatedKey")):
                return
            given["ExclusiveStartKey"] = last

    def _unless_busy(self, call: Callable[[], Any]) -> None:
        """Asks again where another's write to one of the items was under way; nothing was written then."""
        for pause in (*_PAUSES, None):
            try:
                call()
            except ClientError as error:
                reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])}
                conflict = _code(error) == "TransactionConflictException" or "TransactionConflict" in reasons
                if pause is None or not conflict or "ConditionalCheckFailed" in reasons:
                    raise
                time.sleep(pause)
            else:
                return

    def _call(self, what: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except (BotoCoreError, ClientError, ValueError) as error:
            raise self._error(what, error) from error

    def _error(self, what: str, error: Exception) -> TableError:
        return TableError(f"{self} {what}: {error}")


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


class DynamoLease:
    """The lease's entry. Implements table_lease.LeaseTable."""

    def __init__(self, table: Table, environment: str) -> None:
        self._table = table
        self._key = environment

    def held_by(self, holder: Holder) -> tuple[Values, str, Values]:
        """The condition that a holder still holds it, for whatever is written together with it."""
        key = {"journal": {"S": self._key}, "sequence": {"N": "0"}}
        values = {":id": {"S": holder.id}, ":epoch": {"N": str(holder.epoch)}, ":released": {"BOOL": False}}
        return key, "id = :id AND epoch = :epoch AND released = :released", values

    def read(self) -> Lent | None:
        """See table_lease.LeaseTable."""
        item = self._table.get(self._key, "0")
        if item is None:
            return None
        try:
            holder = Holder(
                epoch=int(item["epoch"]["N"]),
                id=item["id"]["S"],
                pid=int(item["pid"]["N"]),
                host=item["host"]["S"],
                since=item["since"]["S"],
                machine=item["machine"]["S"],
                began=int(item["began"]["N"]),
            )
            seconds = float(item["seconds"]["N"])
            found = Lent(holder, int(item["beat"]["N"]), seconds, bool(item["released"]["BOOL"]))
        except (KeyError, TypeError, ValueError) as error:
            raise TableError(
                f"{self._table}, item {self._key}/0: the lease is damaged ({error!r}). Make sure that no "
                "cutover runs, then remove the item"
            ) from error
        if not 0 < seconds <= _LONGEST_LEASE:
            raise TableError(f"{self._table}, item {self._key}/0: the lease is damaged (seconds: {seconds})")
        return found

    def write(self, fresh: Lent, before: Lent | None) -> bool:
        """See table_lease.LeaseTable."""
        item = {"journal": {"S": self._key}, "sequence": {"N": "0"}}
        for name, value in (asdict(fresh.holder) | {"beat": fresh.beat, "seconds": fresh.seconds}).items():
            item[name] = {"S": value} if isinstance(value, str) else {"N": str(value)}
        item["released"] = {"BOOL": fresh.released}  # type: ignore[dict-item]
        if before is None:
            return self._table.put(item, "attribute_not_exists(journal)")
        values = {
            ":id": {"S": before.holder.id},
            ":epoch": {"N": str(before.holder.epoch)},
            ":beat": {"N": str(before.beat)},
            ":released": {"BOOL": before.released},
        }
        condition = "id = :id AND epoch = :epoch AND beat = :beat AND released = :released"
        return self._table.put(item, condition, values)


class DynamoSlips:
    """Approvals, an item a step. Implements approvals.Slips."""

    def __init__(self, table: Table, journal: str) -> None:
        """`journal`: the key of the plan's journal."""
        self._table = table
        self._key = journal

    def __str__(self) -> str:
        return f"{self._key} in {self._table}"

    def read(self, step: str) -> str | None:
        """See approvals.Slips."""
        try:
            item = self._table.get(f"{self._key}/approval/{step}", "0")
            return None if item is None else str(item["slip"]["S"])
        except (TableError, KeyError, TypeError) as error:
            raise JournalError(f"the approval of {step} in {self} cannot be read: {error}") from error

    def write(self, step: str, text: str) -> None:
        """See approvals.Slips."""
        key = {"journal": {"S": f"{self._key}/approval/{step}"}, "sequence": {"N": "0"}}
        try:
            self._table.put({**key, "slip": {"S": text}})
        except TableError as error:
            raise JournalError(f"the approval of {step} could not be written to {self}: {error}") from error
