"""From what the DMS API was told of a task to what its worker is told, and back to what the API tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Item = Mapping[str, Any]


def login(secret: str) -> dict[str, Any]:
    """An endpoint's end, from its secret. Raises ValueError where that does not hold what DMS expects."""
    found = json.loads(secret)
    missing = [name for name in ("username", "password", "host", "port") if name not in found]
    if missing:
        raise ValueError(f"the secret lacks {', '.join(missing)}")
    return {
        "host": found["host"],
        "port": int(found["port"]),
        "user": found["username"],
        "password": found["password"],
    }


def job(task: Item, given: Item, ends: Mapping[str, Item], told: Item | None) -> dict[str, Any]:
    """What the worker is told.

    Args:
        given: the parameters of StartReplicationTask.
        ends: the logins of `source` and `target`.
        told: what the task said when it ran before, if it did.
    """
    rules = json.loads(task.get("TableMappings", '{"rules": []}'))["rules"]
    chosen = [rule["object-locator"] for rule in rules if rule.get("rule-action") == "include"]
    settings = json.loads(task.get("ReplicationTaskSettings") or "{}")
    kind = task["MigrationType"]
    again = given["StartReplicationTaskType"] == "resume-processing"
    position = given.get("CdcStartPosition") or task.get("CdcStartPosition")
    if again and told is not None and told["position"]:
        position = told["position"]
    return {
        "source": dict(ends["source"]),
        "target": dict(ends["target"]),
        "schemas": sorted({place["schema-name"] for place in chosen}),
        "tables": sorted({place["table-name"] for place in chosen}),
        "load": kind != "cdc" and not again,
        "changes": kind != "full-load",
        "position": position,
        "prepare": settings.get("FullLoadSettings", {}).get("TargetTablePrepMode", "DO_NOTHING"),
    }


def described(task: Item, told: Item | None) -> dict[str, Any]:
    """A task as DescribeReplicationTasks tells it."""
    if told is None:
        return dict(task)
    tables = told["tables"]
    states = [table["state"] for table in tables]
    shown = {
        **task,
        "Status": told["state"],
        "RecoveryCheckpoint": told["position"],
        "ReplicationTaskStats": {
            "FullLoadProgressPercent": told["progress"],
            "TablesLoaded": states.count("Table completed"),
            "TablesLoading": states.count("Table is being loaded"),
            "TablesErrored": states.count("Table error"),
        },
    }
    if told["reason"]:
        shown |= {"StopReason": told["reason"], "LastFailureMessage": told["reason"]}
    return shown


def statistics(told: Item | None) -> list[dict[str, Any]]:
    """The tables as DescribeTableStatistics tells them."""
    return [
        {
            "SchemaName": table["schema"],
            "TableName": table["name"],
            "TableState": table["state"],
            "FullLoadRows": table["loaded"],
            "Inserts": table["inserts"],
            "Updates": table["updates"],
            "Deletes": table["deletes"],
        }
        for table in (told["tables"] if told else [])
    ]
