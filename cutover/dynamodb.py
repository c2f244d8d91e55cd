"""The team's table in DynamoDB: how it is asked, and the lease's entry in it.

Items are found by `journal` and `sequence`. The lease stands under the environment's name with the
sequence 0; a journal under `<environment>.<plan>`, see dynamodb_journal.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cutover.errors import TableError
from cutover.lease import Holder
from cutover.table_lease import Lent

CALL_SECONDS = 5.0
_LONGEST_LEASE = 3600.0


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

    def put(self, item: Mapping[str, Any], condition: str, values: Mapping[str, Any]) -> bool:
        """Writes an item where the condition holds, and says whether it did. Raises TableError."""
        given = {"ExpressionAttributeValues": values} if values else {}
        try:
            self._client.put_item(TableName=self.name, Item=item, ConditionExpression=condition, **given)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise self._error("cannot be written", error) from error
        except BotoCoreError as error:
            raise self._error("cannot be written", error) from error
        return True

    def _call(self, what: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except (BotoCoreError, ClientError, ValueError) as error:
            raise self._error(what, error) from error

    def _error(self, what: str, error: Exception) -> TableError:
        return TableError(f"{self} {what}: {error}")


class DynamoLease:
    """The lease's entry. Implements table_lease.LeaseTable."""

    def __init__(self, table: Table, environment: str) -> None:
        self._table = table
        self._key = environment

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
            return self._table.put(item, "attribute_not_exists(journal)", {})
        values = {
            ":id": {"S": before.holder.id},
            ":epoch": {"N": str(before.holder.epoch)},
            ":beat": {"N": str(before.beat)},
            ":released": {"BOOL": before.released},
        }
        condition = "id = :id AND epoch = :epoch AND beat = :beat AND released = :released"
        return self._table.put(item, condition, values)
