"""Groups of parameters and options of RDS and ElastiCache, and the number of a cache's replicas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.providers.base import Properties

if TYPE_CHECKING:
    from lab.providers.aws.resources import Resources

MAX_PARAMETERS = 20  # in one call, for both services


@dataclass(frozen=True)
class Parameters:
    """How a service's parameter groups hold their parameters; the property is always ``parameters``."""

    service: str
    group: str
    """The member that names the group, and the start of the operations' names without its ``Name``."""
    member: str
    """The member that holds parameters to be changed."""
    describe: str
    modify: str
    reset: str
    apply_method: bool

    def set(self, calls: Resources, old: Properties, new: Properties) -> None:
        """Change what differs, and reset what is no longer stated."""
        before = {item["name"]: item for item in old.get("parameters") or []}
        after = {item["name"]: item for item in new.get("parameters") or []}
        gone = [self._aws(item, with_value=False) for name, item in before.items() if name not in after]
        changed = [
            self._aws(item, with_value=True) for name, item in after.items() if before.get(name) != item
        ]
        for operation, items in ((self.reset, gone), (self.modify, changed)):
            for chunk in _chunks(items):
                calls.call(self.service, operation, {f"{self.group}Name": new["id"], self.member: chunk})

    def read(self, calls: Resources, values: Properties) -> Properties:
        """The parameters that somebody set."""
        found: list[Properties] = []
        marker: Properties = {}
        while True:
            asked = {f"{self.group}Name": values["id"], "Source": "user", **marker}
            page = calls.call(self.service, self.describe, asked)
            found += page.get("Parameters", [])
            if not page.get("Marker"):
                break
            marker = {"Marker": page["Marker"]}
        return {
            "parameters": [
                {"name": item["ParameterName"], "value": item["ParameterValue"]}
                | ({"applyMethod": item.get("ApplyMethod") or "immediate"} if self.apply_method else {})
                for item in found
                if item.get("ParameterValue") is not None
            ]
        }

    def _aws(self, item: Properties, *, with_value: bool) -> Properties:
        result: Properties = {"ParameterName": item["name"]}
        if with_value or not self.apply_method:
            result["ParameterValue"] = str(item["value"])
        if self.apply_method:
            result["ApplyMethod"] = item.get("applyMethod") or "immediate"
        return result


def _chunks(items: list[Properties]) -> Iterator[list[Properties]]:
    for start in range(0, len(items), MAX_PARAMETERS):
        yield items[start : start + MAX_PARAMETERS]


RDS = Parameters(
    "rds",
    "DBParameterGroup",
    "Parameters",
    "DescribeDBParameters",
    "ModifyDBParameterGroup",
    "ResetDBParameterGroup",
    apply_method=True,
)
ELASTICACHE = Parameters(
    "elasticache",
    "CacheParameterGroup",
    "ParameterNameValues",
    "DescribeCacheParameters",
    "ModifyCacheParameterGroup",
    "ResetCacheParameterGroup",
    apply_method=False,
)


def set_options(calls: Resources, old: Properties, new: Properties) -> None:
    """Add, change and remove the options of an option group."""
    before = {item["optionName"]: item for item in old.get("options") or []}
    after = {item["optionName"]: item for item in new.get("options") or []}
    wanted = {
        "OptionsToInclude": [_option(item) for name, item in after.items() if before.get(name) != item],
        "OptionsToRemove": [name for name in before if name not in after],
    }
    if any(wanted.values()):
        changed = {name: items for name, items in wanted.items() if items}
        given = {"OptionGroupName": new["id"], "ApplyImmediately": True, **changed}
        calls.call("rds", "ModifyOptionGroup", given)


def read_options(calls: Resources, values: Properties) -> Properties:
    """The options with those settings that are stated: AWS tells all that an option has."""
    answer = calls.call("rds", "DescribeOptionGroups", {"OptionGroupName": values["id"]})
    stated = {
        item["optionName"]: [setting["name"] for setting in item.get("optionSettings") or []]
        for item in values.get("options") or []
    }
    options: list[Properties] = []
    for item in answer["OptionGroupsList"][0].get("Options", []):
        name = item["OptionName"]
        settings = [
            {"name": setting["Name"], "value": setting["Value"]}
            for setting in item.get("OptionSettings", [])
            if setting["Name"] in stated.get(name, [setting["Name"]]) and setting.get("Value") is not None
        ]
        options.append({"optionName": name} | ({"optionSettings": settings} if settings else {}))
    return {"options": options}


def _option(item: Properties) -> Properties:
    settings = [
        {"Name": found["name"], "Value": found["value"]} for found in item.get("optionSettings") or []
    ]
    option: Properties = {"OptionName": item["optionName"]}
    return option | ({"OptionSettings": settings} if settings else {})


def set_replica_count(calls: Resources, old: Properties, new: Properties) -> None:
    """Add or remove replicas of a running cache; creation makes as many as are stated."""
    before, after = old.get("numCacheClusters"), new.get("numCacheClusters")
    if before is None or after is None or before == after:
        return
    operation = "IncreaseReplicaCount" if after > before else "DecreaseReplicaCount"
    wanted = {"ReplicationGroupId": new["id"], "NewReplicaCount": int(after) - 1, "ApplyImmediately": True}
    calls.call("elasticache", operation, wanted)
