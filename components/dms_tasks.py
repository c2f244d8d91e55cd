"""The documents that a DMS task takes: which tables, and how they are moved."""

import json
from collections.abc import Sequence
from itertools import product
from typing import Any

LOGGED = ("SOURCE_UNLOAD", "SOURCE_CAPTURE", "TARGET_LOAD", "TARGET_APPLY", "TASK_MANAGER", "VALIDATOR_EXT")


def table_mappings(schemas: Sequence[str], tables: Sequence[str]) -> str:
    """Selection rules for tables of each schema, by patterns with `%`."""
    return json.dumps(
        {
            "rules": [
                {
                    "rule-type": "selection",
                    "rule-id": str(index),
                    "rule-name": f"table-{index}",
                    "object-locator": {"schema-name": schema, "table-name": table},
                    "rule-action": "include",
                }
                for index, (schema, table) in enumerate(product(schemas, tables), start=1)
            ]
        }
    )


def task_settings(*, full_load: bool, lob_chunk_kib: int) -> str:
    """How rows are moved, checked and logged.

    The schema is there before the load: tables are emptied and not made. Large objects are moved whole. A
    truncated value stops the task. Every row is compared (DMS validation), collations taken into account.
    What a task needs to be judged by is logged (DMS.7, DMS.8).
    """
    settings: dict[str, Any] = {
        "TargetMetadata": {
            "SupportLobs": True,
            "FullLobMode": True,
            "LimitedSizeLobMode": False,
            "LobChunkSize": lob_chunk_kib,
            "BatchApplyEnabled": False,
        },
        "Logging": {
            "EnableLogging": True,
            "LogComponents": [
                {"Id": component, "Severity": "LOGGER_SEVERITY_DEFAULT"} for component in LOGGED
            ],
        },
        "ValidationSettings": {
            "EnableValidation": True,
            "HandleCollationDiff": True,
            "ThreadCount": 5,
            "FailureMaxCount": 10000,
        },
        "ErrorBehavior": {
            "DataErrorPolicy": "LOG_ERROR",
            "DataErrorEscalationPolicy": "SUSPEND_TABLE",
            "DataTruncationErrorPolicy": "STOP_TASK",
            "TableErrorPolicy": "STOP_TASK",
            "FailOnNoTablesCaptured": True,
            "FailOnTransactionConsistencyBreached": True,
        },
        # A change of the schema during a migration is made on both sides by hand, and never by replication.
        "ChangeProcessingDdlHandlingPolicy": {
            "HandleSourceTableDropped": False,
            "HandleSourceTableTruncated": False,
            "HandleSourceTableAltered": False,
        },
    }
    if full_load:
        settings["FullLoadSettings"] = {
            "TargetTablePrepMode": "TRUNCATE_BEFORE_LOAD",
            "CreatePkAfterFullLoad": False,
            "StopTaskCachedChangesApplied": False,
            "StopTaskCachedChangesNotApplied": False,
            "MaxFullLoadSubTasks": 8,
            "TransactionConsistencyTimeout": 600,
            "CommitRate": 10000,
        }
    return json.dumps(settings, sort_keys=True)
