"""The cloudflare provider: DNS records and zone look-ups, over Cloudflare's HTTP API v4."""

# ruff: noqa: ARG002 - every method takes what an engine gives it
from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from grpc import StatusCode

from lab.providers import compare
from lab.providers.base import (
    UNKNOWN,
    Checked,
    Difference,
    Instance,
    Properties,
    ProviderError,
    Resource,
    State,
    has_unknown,
)
from lab.providers.cloudflare_api import CloudflareApi, refused_code

DNS_RECORD = "cloudflare:index/dnsRecord:DnsRecord"
DEFAULT_BASE_URL = "https://api.cloudflare.com/client/v4"

# Pulumi's name -> the API's name. The order is the one in which a record reads best.
_INPUTS = {
    "zoneId": "zone_id",
    "name": "name",
    "type": "type",
    "content": "content",
    "data": "data",
    "ttl": "ttl",
    "proxied": "proxied",
    "comment": "comment",
    "tags": "tags",
    "priority": "priority",
    "settings": "settings",
    "privateRouting": "private_routing",
}
_COMPUTED = {
    "createdOn": "created_on",
    "modifiedOn": "modified_on",
    "commentModifiedOn": "comment_modified_on",
    "tagsModifiedOn": "tags_modified_on",
    "proxiable": "proxiable",
}
_SETTINGS = {"ipv4Only": "ipv4_only", "ipv6Only": "ipv6_only", "flattenCname": "flatten_cname"}
# What a property becomes when a program no longer states it.
_WHEN_REMOVED: Mapping[str, Any] = {
    "proxied": False,
    "comment": None,
    "tags": [],
    "settings": {},
    "privateRouting": False,
}
_REQUIRED = ("zoneId", "name", "type", "ttl")
_REPLACING = ("zoneId", "type")
_UNKNOWN_RECORD = 81044
_IDENTICAL_RECORD = 81058


class CloudflareProvider:
    """Makes instances, each with one token."""

    name = "cloudflare"
    version = "6.23.0"

    def configure(self, settings: Mapping[str, Any]) -> Instance:
        """See `lab.providers.base.Provider`."""
        url = settings.get("baseUrl") or os.environ.get("CLOUDFLARE_BASE_URL") or DEFAULT_BASE_URL
        token = settings.get("apiToken") or os.environ.get("CLOUDFLARE_API_TOKEN")
        return CloudflareInstance(str(url).rstrip("/"), token)


class CloudflareInstance:
    """One account's view of the API. Safe for use by several threads."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url
        self._token = token

    def check(self, resource: Resource, olds: Properties, news: Properties, seed: bytes) -> Checked:
        """See `lab.providers.base.Instance`."""
        _require_record(resource)
        failures = [(name, "is required") for name in _REQUIRED if name not in news]
        failures += [
            (name, "is not supported") for name in news if name not in _INPUTS and name != "__defaults"
        ]
        if "content" not in news and "data" not in news:
            failures.append(("content", "is required, or data"))
        return Checked(news, failures)

    def diff(self, resource: Resource, old: State, news: Properties) -> Difference:
        """See `lab.providers.base.Instance`. Another type or zone needs a new record."""
        return compare.difference(
            old,
            news,
            replaces=lambda path: path[0] in _REPLACING,
            # Records of two types, or two equal ones, may not stand beside each other under one name.
            delete_before_replace=True,
            order_free=True,
        )

    def create(self, resource: Resource, inputs: Properties, *, preview: bool, timeout: float) -> State:
        """See `lab.providers.base.Instance`."""
        _require_record(resource)
        if preview:
            return State("", {**inputs, **dict.fromkeys(_COMPUTED, UNKNOWN)}, inputs)
        body = {_INPUTS[name]: _to_api(name, value) for name, value in inputs.items() if name != "zoneId"}
        try:
            answer = self._api().call("POST", f"/zones/{inputs['zoneId']}/dns_records", body=body)
        except ProviderError as error:
            if refused_code(error) == _IDENTICAL_RECORD:
                raise ProviderError(
                    f"{error}; to manage the one that exists, import it as zone_id/record_id", error.code
                ) from error
            raise
        return State(str(answer["id"]), _outputs(answer, inputs), inputs)

    def update(
        self, resource: Resource, old: State, inputs: Properties, *, preview: bool, timeout: float
    ) -> Properties:
        """See `lab.providers.base.Instance`. Sends just what changed."""
        if preview or has_unknown(inputs):
            return {**old.outputs, **inputs, "modifiedOn": UNKNOWN}
        changed = {
            name: value for name, value in inputs.items() if not compare.same(value, old.inputs.get(name))
        }
        removed = {
            name: _WHEN_REMOVED[name] for name in _WHEN_REMOVED if name in old.inputs and name not in inputs
        }
        body = {_INPUTS[name]: _to_api(name, value) for name, value in {**removed, **changed}.items()}
        answer = self._api().call("PATCH", f"/zones/{inputs['zoneId']}/dns_records/{old.id}", body=body)
        return _outputs(answer, inputs)

    def delete(self, resource: Resource, old: State, *, timeout: float) -> None:
        """See `lab.providers.base.Instance`."""
        zone = (old.inputs or old.outputs)["zoneId"]
        try:
            self._api().call("DELETE", f"/zones/{zone}/dns_records/{old.id}")
        except ProviderError as error:
            if refused_code(error) != _UNKNOWN_RECORD:
                raise

    def read(self, resource: Resource, old: State) -> State | None:
        """See `lab.providers.base.Instance`. An import's id is ``zone_id/record_id``."""
        _require_record(resource)
        zone, _, record = old.id.rpartition("/")
        zone = zone or (old.inputs or old.outputs).get("zoneId", "")
        if not zone:
            raise ProviderError(
                f"{resource.type} {resource.name}: to import a record, the id must be zone_id/record_id,"
                f" got {old.id!r}",
                StatusCode.INVALID_ARGUMENT,
            )
        try:
            answer = self._api().call("GET", f"/zones/{zone}/dns_records/{record}")
        except ProviderError as error:
            if refused_code(error) == _UNKNOWN_RECORD:
                return None
            raise
        live = _outputs({**answer, "zone_id": zone}, old.inputs or {"zoneId": zone, "name": answer["name"]})
        inputs = compare.overlay(old.inputs, live) if old.inputs else _stated(live)
        return State(str(answer["id"]), live, inputs)

    def invoke(self, token: str, arguments: Properties) -> Properties:
        """See `lab.providers.base.Instance`: ``getZone`` by id or by filter.name."""
        if token != "cloudflare:index/getZone:getZone":
            raise ProviderError(
                f"the lab's cloudflare provider has no function {token}", StatusCode.UNIMPLEMENTED
            )
        if identifier := arguments.get("zoneId"):
            zone = self._api().call("GET", f"/zones/{identifier}")
        else:
            name = (arguments.get("filter") or {}).get("name", "")
            zones = self._api().call("GET", "/zones", query={"name": name})
            if len(zones) != 1:
                raise ProviderError(
                    f"{len(zones)} zones are named {name!r}, expected one", StatusCode.NOT_FOUND
                )
            zone = zones[0]
        shown = {"zoneId": zone["id"], "id": zone["id"], "name": zone["name"], "status": zone.get("status")}
        return {**shown, "nameServers": zone.get("name_servers", [])}

    def _api(self) -> CloudflareApi:
        if not self._token or has_unknown([self._token, self._url]):
            raise ProviderError(
                "cloudflare provider: no API token: set CLOUDFLARE_API_TOKEN or the provider's apiToken",
                StatusCode.UNAUTHENTICATED,
            )
        return CloudflareApi(self._url, self._token)


def _require_record(resource: Resource) -> None:
    if resource.type != DNS_RECORD:
        raise ProviderError(
            f"{resource.type} is not supported by the lab's cloudflare provider, only {DNS_RECORD}",
            StatusCode.UNIMPLEMENTED,
        )


def _to_api(name: str, value: Any) -> Any:
    if name == "settings":
        return {_SETTINGS.get(key, key): item for key, item in value.items()}
    return value


def _from_api(record: Mapping[str, Any]) -> Properties:
    live = {name: record.get(theirs) for name, theirs in {**_INPUTS, **_COMPUTED}.items()}
    names = {theirs: ours for ours, theirs in _SETTINGS.items()}
    live["settings"] = {names.get(key, key): value for key, value in (record.get("settings") or {}).items()}
    return {name: value for name, value in live.items() if value is not None}


def _stated(live: Properties) -> Properties:
    """The inputs that a program would state for a live record: without what is at its default."""
    return {name: live[name] for name in _INPUTS if live.get(name) not in (None, False, [], {})}


def _outputs(answer: Mapping[str, Any], inputs: Properties) -> Properties:
    """A record's outputs; what means the same as an input (``Bill`` and ``bill.example.com``) has the input's
    form."""
    live = _from_api({"zone_id": inputs["zoneId"], **answer})
    if not compare.same(live["name"], inputs["name"]) and _is_short_for(
        str(inputs["name"]), str(live["name"])
    ):
        live["name"] = inputs["name"]
    return live


def _is_short_for(stated: str, full: str) -> bool:
    lower = stated.rstrip(".").lower()
    return lower in (full, "@") or full.startswith(f"{lower}.")
