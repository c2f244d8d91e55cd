"""DNS records as Cloudflare keeps them, and what it accepts as one."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import dns.exception
import dns.name

from lab.cloudflare.errors import ApiError, invalid, invalid_ttl

AUTOMATIC_TTL = 1
AUTOMATIC_TTL_SECONDS = 300
MINIMUM_TTL, MAXIMUM_TTL = 60, 86_400
TYPES = ("A", "AAAA", "CNAME", "MX", "NS", "TXT")
PROXIABLE = ("A", "AAAA", "CNAME")
_FIELDS = ("name", "type", "content", "ttl", "proxied", "comment", "tags", "priority", "settings")
_READ_ONLY = (
    "id", "zone_id", "zone_name", "created_on", "modified_on", "comment_modified_on", "tags_modified_on",
    "meta", "proxiable",
)  # fmt: skip


@dataclass(frozen=True)
class Record:
    """One DNS record. `ttl` in seconds, 1 for automatic; `priority` for MX only."""

    id: str
    name: str
    type: str
    content: str
    ttl: int
    proxied: bool
    comment: str | None
    tags: tuple[str, ...]
    priority: int | None
    created_on: datetime
    modified_on: datetime

    @property
    def served_ttl(self) -> int:
        """The TTL that DNS answers with, in seconds, before the lab divides it."""
        return AUTOMATIC_TTL_SECONDS if self.ttl == AUTOMATIC_TTL else self.ttl

    def as_json(self) -> dict[str, object]:
        """The record as the API shows it."""
        shown: dict[str, object] = {
            "id": self.id,
            "name": self.name,
            "type": self.type,
            "content": self.content,
            "proxiable": self.type in PROXIABLE,
            "proxied": self.proxied,
            "ttl": self.ttl,
            "settings": {},
            "meta": {},
            "comment": self.comment,
            "tags": list(self.tags),
            "created_on": timestamp(self.created_on),
            "modified_on": timestamp(self.modified_on),
        }
        if self.priority is not None:
            shown["priority"] = self.priority
        return shown


def timestamp(moment: datetime) -> str:
    """A moment as the API writes it, with microseconds and Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def complete_name(name: str, zone: str) -> str:
    """A record's name with the zone's: `@`, `bill` and `bill.<zone>` are all accepted, in any case."""
    lower = name.rstrip(".").lower()
    if lower in ("@", zone):
        return zone
    return lower if lower.endswith(f".{zone}") else f"{lower}.{zone}"


def new_record(identifier: str, zone: str, body: Mapping[str, object], now: datetime) -> Record:
    """A record from the body of a POST. Raises ApiError for what Cloudflare would refuse."""
    for required in ("type", "name", "content"):
        if required not in body:
            raise invalid(9005 if required == "content" else 9000, f"DNS record {required} is required.")
    blank = Record(identifier, "", "", "", AUTOMATIC_TTL, False, None, (), None, now, now)
    return _with(blank, zone, body, now)


def patched_record(record: Record, zone: str, body: Mapping[str, object], now: datetime) -> Record:
    """The record with the fields of a PATCH's body. Raises ApiError for what Cloudflare would refuse."""
    changed = _with(record, zone, body, now)
    if changed.type != record.type:
        raise invalid(
            1004, "DNS Validation Error: a record's type cannot be changed; delete it and create anew."
        )
    return changed if replace(changed, modified_on=record.modified_on) != record else record


def replaced_record(record: Record, zone: str, body: Mapping[str, object], now: datetime) -> Record:
    """The record that a PUT's body describes whole, under the identifier and creation time of the old one."""
    changed = replace(new_record(record.id, zone, body, now), created_on=record.created_on)
    return patched_record(record, zone, _settable(changed), now)


def _settable(record: Record) -> dict[str, object]:
    return {
        "name": record.name,
        "type": record.type,
        "content": record.content,
        "ttl": record.ttl,
        "proxied": record.proxied,
        "comment": record.comment,
        "tags": list(record.tags),
        "priority": record.priority,
    }


def _with(record: Record, zone: str, body: Mapping[str, object], now: datetime) -> Record:
    unknown = sorted(set(body) - set(_FIELDS) - set(_READ_ONLY))
    if unknown:
        raise invalid(9207, f"Request body is invalid: unknown fields {', '.join(unknown)}.")
    rtype = _text(body.get("type", record.type), "type").upper()
    if rtype not in TYPES:
        raise invalid(9006, f"DNS record type {rtype} is not known to the lab; it knows {', '.join(TYPES)}.")
    proxied = _flag(body.get("proxied", record.proxied), "proxied")
    if proxied and rtype not in PROXIABLE:
        raise invalid(9004, f"A {rtype} record cannot be proxied.")
    content = _content(rtype, _text(body.get("content", record.content), "content"))
    name = complete_name(_text(body.get("name", record.name), "name"), zone)
    _check_name(name)
    if rtype == "CNAME" and content == name:
        raise invalid(9039, "CNAME content cannot reference itself.")
    comment = body.get("comment", record.comment)
    tags = body.get("tags", list(record.tags))
    return Record(
        id=record.id,
        name=name,
        type=rtype,
        content=content,
        ttl=AUTOMATIC_TTL if proxied else _ttl(body.get("ttl", record.ttl)),
        proxied=proxied,
        comment=None if comment is None else _text(comment, "comment"),
        tags=tuple(_text(tag, "tags") for tag in tags) if isinstance(tags, list) else (),
        priority=_priority(rtype, body.get("priority", record.priority)),
        created_on=record.created_on,
        modified_on=now,
    )


def _text(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise invalid(9207, f"Request body is invalid: {field} must be a string.")
    return value


def _flag(value: object, field: str) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise invalid(9207, f"Request body is invalid: {field} must be true or false.")
    return value


def _ttl(value: object) -> int:
    """Whole seconds; a number such as 60.0 is one, as it is for Cloudflare and for Pulumi's own numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise invalid_ttl()
    ttl = int(value)
    if ttl != AUTOMATIC_TTL and not MINIMUM_TTL <= ttl <= MAXIMUM_TTL:
        raise invalid_ttl()
    return ttl


def _priority(rtype: str, value: object) -> int | None:
    if rtype != "MX":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 65_535:
        raise invalid(9101, "priority is a required data field and must be between 0 and 65535.")
    return int(value)


def _check_name(name: str) -> None:
    try:
        dns.name.from_text(name)
    except dns.exception.DNSException as error:
        raise invalid(9000, f"DNS name is invalid: {error}") from error


def _content(rtype: str, content: str) -> str:
    """The content in the form that Cloudflare keeps. Raises ApiError if it does not fit the type."""
    check = {"A": _ipv4, "AAAA": _ipv6, "TXT": _txt}.get(rtype, _host)
    return check(rtype, content)


def _ipv4(rtype: str, content: str) -> str:
    try:
        return str(ipaddress.IPv4Address(content))
    except ValueError as error:
        raise _bad_content(rtype, "a valid IPv4 address") from error


def _ipv6(rtype: str, content: str) -> str:
    try:
        return str(ipaddress.IPv6Address(content))
    except ValueError as error:
        raise _bad_content(rtype, "a valid IPv6 address") from error


def _txt(rtype: str, content: str) -> str:
    if not content:
        raise _bad_content(rtype, "a text that is not empty")
    return content


def _host(rtype: str, content: str) -> str:
    host = content.rstrip(".").lower()
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass  # as it should be: a host's name, not an address
    else:
        raise _bad_content(rtype, "a hostname and not an address")
    try:
        dns.name.from_text(host)
    except dns.exception.DNSException as error:
        raise _bad_content(rtype, "a valid hostname") from error
    if not host:
        raise _bad_content(rtype, "a valid hostname")
    return host


def _bad_content(rtype: str, expected: str) -> ApiError:
    return invalid(9005, f"Content for {rtype} record must be {expected}.")
