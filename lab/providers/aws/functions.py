"""The aws provider's functions (invokes)."""

# ruff: noqa: ARG001 - every function has the same signature
from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from grpc import StatusCode

from lab.providers.aws import shapes
from lab.providers.aws.session import AwsSession, models
from lab.providers.base import Properties, ProviderError


def invoke(session: AwsSession, token: str, arguments: Properties) -> Properties:
    """Call a function by its token. Raises ProviderError for one that is not known."""
    function = _FUNCTIONS.get(token)
    if function is None:
        raise ProviderError(f"the lab's aws provider has no function {token}", StatusCode.UNIMPLEMENTED)
    return function(session, arguments)


def _filters(arguments: Properties) -> list[dict[str, Any]]:
    return [{"Name": item["name"], "Values": item["values"]} for item in arguments.get("filters") or []]


def _availability_zones(session: AwsSession, arguments: Properties) -> Properties:
    region = arguments.get("region") or session.region
    filters = _filters(arguments)
    if state := arguments.get("state"):
        filters.append({"Name": "state", "Values": [state]})
    answer = session.call("ec2", "DescribeAvailabilityZones", {"Filters": filters}, region)
    left_out = {*(arguments.get("excludeNames") or []), *(arguments.get("excludeZoneIds") or [])}
    zones = sorted(answer["AvailabilityZones"], key=lambda zone: str(zone["ZoneName"]))
    zones = [zone for zone in zones if not left_out & {zone["ZoneName"], zone.get("ZoneId")}]
    return {
        "id": region,
        "region": region,
        "names": [zone["ZoneName"] for zone in zones],
        "zoneIds": [zone.get("ZoneId", "") for zone in zones],
        "groupNames": sorted({zone.get("GroupName") or region for zone in zones}),
    }


def _caller_identity(session: AwsSession, arguments: Properties) -> Properties:
    answer = session.call("sts", "GetCallerIdentity", {}, session.region)
    account = answer["Account"]
    return {"id": account, "accountId": account, "arn": answer["Arn"], "userId": answer["UserId"]}


def _region(session: AwsSession, arguments: Properties) -> Properties:
    name = str(arguments.get("region") or arguments.get("name") or session.region)
    partition = models().get_partition_for_region(name)
    suffix = "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com"
    return {"id": name, "name": name, "region": name, "description": name, "endpoint": f"ec2.{name}.{suffix}"}


def _partition(session: AwsSession, arguments: Properties) -> Properties:
    suffix = "amazonaws.com.cn" if session.partition == "aws-cn" else "amazonaws.com"
    reverse = ".".join(reversed(suffix.split(".")))
    return {
        "id": session.partition,
        "partition": session.partition,
        "dnsSuffix": suffix,
        "reverseDnsPrefix": reverse,
    }


def _policy_document(session: AwsSession, arguments: Properties) -> Properties:
    """``iam.getPolicyDocument``: statements in Pulumi's form to a policy's JSON."""
    policy: Properties = {"Version": arguments.get("version") or "2012-10-17"}
    if arguments.get("policyId"):
        policy["Id"] = arguments["policyId"]
    statements = [_statement(item) for item in arguments.get("statements") or []]
    for source in arguments.get("sourcePolicyDocuments") or []:
        statements = [*json.loads(source)["Statement"], *statements]
    for override in arguments.get("overridePolicyDocuments") or []:
        later = json.loads(override)["Statement"]
        named = {item["Sid"] for item in later if item.get("Sid")}
        statements = [*(item for item in statements if item.get("Sid") not in named), *later]
    policy["Statement"] = statements
    return {
        "id": hashlib.sha256(json.dumps(policy).encode()).hexdigest()[:10],
        "json": json.dumps(policy, indent=2),
        "minifiedJson": json.dumps(policy, separators=(",", ":")),
        "version": policy["Version"],
    }


def _statement(stated: Properties) -> Properties:
    statement: Properties = {}
    if stated.get("sid"):
        statement["Sid"] = stated["sid"]
    statement["Effect"] = stated.get("effect") or "Allow"
    for name in ("actions", "notActions", "resources", "notResources"):
        if stated.get(name):
            key = name[0].upper() + name[1:-1]
            statement[key] = _one_or_all(stated[name])
    for name, key in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
        if stated.get(name):
            statement[key] = _principals(stated[name])
    for condition in stated.get("conditions") or []:
        tests = statement.setdefault("Condition", {}).setdefault(condition["test"], {})
        tests[condition["variable"]] = _one_or_all(condition["values"])
    return statement


def _principals(stated: list[Properties]) -> Any:
    if [(item["type"], item["identifiers"]) for item in stated] == [("*", ["*"])]:
        return "*"
    merged: dict[str, list[str]] = {}
    for item in stated:
        merged.setdefault(item["type"], []).extend(item["identifiers"])
    return {kind: _one_or_all(names) for kind, names in merged.items()}


def _one_or_all(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else sorted(values)


def _parameter(session: AwsSession, arguments: Properties) -> Properties:
    region = arguments.get("region") or session.region
    wanted = {"Name": arguments["name"], "WithDecryption": arguments.get("withDecryption", True)}
    found = session.call("ssm", "GetParameter", wanted, region)["Parameter"]
    shown = {shapes.camel(name): shapes.plain(value) for name, value in found.items()}
    return {**shown, "id": arguments["name"], "insecureValue": found["Value"], "region": region}


_FUNCTIONS: dict[str, Callable[[AwsSession, Properties], Properties]] = {
    "aws:index/getAvailabilityZones:getAvailabilityZones": _availability_zones,
    "aws:index/getCallerIdentity:getCallerIdentity": _caller_identity,
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getPartition:getPartition": _partition,
    "aws:iam/getPolicyDocument:getPolicyDocument": _policy_document,
    "aws:ssm/getParameter:getParameter": _parameter,
}
