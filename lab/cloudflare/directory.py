"""The zones and records of the lab's Cloudflare, in memory."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lab.cloudflare import records
from lab.cloudflare.errors import ApiError, alias_exists, host_exists, identical_record, unknown_record
from lab.cloudflare.records import Record, timestamp
from lab.dns.records import Entry, RecordTable

NAME_SERVERS = ("ada.ns.cloudflare.com", "bob.ns.cloudflare.com")


class ZonesError(ValueError):
    """A zones file that cannot be used; the text names the file and the place."""


class _RecordEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$")
    name: str
    type: str
    content: str
    ttl: int = records.AUTOMATIC_TTL
    proxied: bool = False
    comment: str | None = None
    priority: int | None = None


class _ZoneEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$")
    name: str
    records: tuple[_RecordEntry, ...] = ()


class ZonesFile(BaseModel):
    """What Cloudflare holds before anybody calls it, and further public names that DNS answers.

    An `id` that is left out is made from the names, the same in every lab (`identifier`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    account: str = "truewatch"
    zones: tuple[_ZoneEntry, ...]
    names: tuple[Entry, ...] = ()


def load_zones(path: Path) -> ZonesFile:
    """Reads a zones file. Raises ZonesError that names the file and each wrong key."""
    try:
        return ZonesFile.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ZonesError(f"{path}: {problems}") from error
    except (OSError, ValueError) as error:
        raise ZonesError(f"{path}: {error}") from error


def identifier(*parts: str) -> str:
    """The identifier of what exists from the start: 32 hex digits made from its names.

    A zone's is `identifier(name)`, a record's `identifier(zone, type, name)`.
    """
    return hashlib.sha256("\n".join(("landfall lab", *parts)).encode()).hexdigest()[:32]


@dataclass
class Zone:
    """A zone. `records` is replaced whole by each change, so a change is all or nothing."""

    id: str
    name: str
    created_on: datetime
    modified_on: datetime
    serial: int = 1
    records: dict[str, Record] = field(default_factory=dict)

    def get(self, record_id: str) -> Record:
        """A record by its identifier. Raises ApiError 81044."""
        if record_id not in self.records:
            raise unknown_record()
        return self.records[record_id]

    def as_json(self, account: str) -> dict[str, object]:
        """The zone as the API shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "status": "active",
            "paused": False,
            "type": "full",
            "development_mode": 0,
            "name_servers": list(NAME_SERVERS),
            "original_name_servers": None,
            "original_registrar": None,
            "original_dnshost": None,
            "created_on": timestamp(self.created_on),
            "modified_on": timestamp(self.modified_on),
            "activated_on": timestamp(self.created_on),
            "meta": {
                "step": 2,
                "custom_certificate_quota": 0,
                "page_rule_quota": 3,
                "phishing_detected": False,
            },
            "owner": {"id": None, "type": "user", "email": None},
            "account": {"id": identifier("account", account), "name": account},
            "plan": {"id": identifier("plan"), "name": "Business Website", "is_subscribed": True},
            "permissions": ["#dns_records:edit", "#dns_records:read", "#zone:read"],
        }


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Directory:
    """All zones, and every way to change them; `version` grows with each change."""

    def __init__(self, start: ZonesFile, now: Callable[[], datetime] = _utc_now) -> None:
        """Raises ZonesError for a record or a name that Cloudflare or DNS would not hold."""
        self._now = now
        self.account = start.account
        self.version = 0
        self.zones: dict[str, Zone] = {}
        self.names = RecordTable(())
        self._entries: list[Entry] = []
        moment = now()
        for entry in start.zones:
            zone = Zone(entry.id or identifier(entry.name), entry.name, moment, moment)
            self.zones[zone.id] = zone
            for given in entry.records:
                record_id = given.id or identifier(zone.name, given.type, given.name)
                body = given.model_dump(exclude={"id"}, exclude_none=True)
                try:
                    _insert(zone.records, records.new_record(record_id, zone.name, body, moment))
                except ApiError as error:
                    raise ZonesError(f"zone {zone.name}, record {given.name}: {error.message}") from error
        for name in start.names:
            self.add_name(name)

    def add_name(self, entry: Entry) -> None:
        """Adds a public name outside the zones. Raises ZonesError."""
        try:
            self.names.add(entry)
        except ValueError as error:
            raise ZonesError(f"names: {error}") from error
        self._entries.append(entry)
        self.version += 1

    def zone_named(self, name: str) -> Zone | None:
        """The zone of that name."""
        return next((zone for zone in self.zones.values() if zone.name == name), None)

    def create(self, zone: Zone, body: Mapping[str, object]) -> Record:
        """POST: a new record. Raises ApiError."""
        return self.batch(zone, posts=[body])["posts"][0]

    def patch(self, zone: Zone, record_id: str, body: Mapping[str, object]) -> Record:
        """PATCH: some fields of a record. Raises ApiError."""
        return self.batch(zone, patches=[{**body, "id": record_id}])["patches"][0]

    def put(self, zone: Zone, record_id: str, body: Mapping[str, object]) -> Record:
        """PUT: a record described whole. Raises ApiError."""
        return self.batch(zone, puts=[{**body, "id": record_id}])["puts"][0]

    def delete(self, zone: Zone, record_id: str) -> Record:
        """DELETE: the record that was there. Raises ApiError 81044."""
        return self.batch(zone, deletes=[{"id": record_id}])["deletes"][0]

    def batch(
        self,
        zone: Zone,
        deletes: list[Mapping[str, object]] | None = None,
        patches: list[Mapping[str, object]] | None = None,
        puts: list[Mapping[str, object]] | None = None,
        posts: list[Mapping[str, object]] | None = None,
    ) -> dict[str, list[Record]]:
        """All changes or none, in Cloudflare's order: deletes, patches, puts, posts. Raises ApiError."""
        moment = self._now()
        changed = dict(zone.records)
        done: dict[str, list[Record]] = {"deletes": [], "patches": [], "puts": [], "posts": []}
        for body in deletes or []:
            done["deletes"].append(_take(changed, body))
        for kind, bodies, change in (
            ("patches", patches, records.patched_record),
            ("puts", puts, records.replaced_record),
        ):
            for body in bodies or []:
                record = change(_take(changed, body), zone.name, body, moment)
                done[kind].append(_insert(changed, record))
        for body in posts or []:
            record = records.new_record(uuid.uuid4().hex, zone.name, body, moment)
            done["posts"].append(_insert(changed, record))
        if changed != zone.records:
            zone.records = changed
            zone.serial += 1
            zone.modified_on = moment
            self.version += 1
        return done

    def snapshot(self) -> dict[str, object]:
        """Everything that is held, for a person or a test to read."""
        return {
            "zones": [
                {
                    "id": zone.id,
                    "name": zone.name,
                    "serial": zone.serial,
                    "records": [record.as_json() for record in zone.records.values()],
                }
                for zone in self.zones.values()
            ],
            "names": [entry.model_dump() for entry in self._entries],
        }


def _take(held: dict[str, Record], body: Mapping[str, object]) -> Record:
    record = held.pop(str(body.get("id")), None)
    if record is None:
        raise unknown_record()
    return record


def _insert(held: dict[str, Record], record: Record) -> Record:
    others = [other for other in held.values() if other.name == record.name]
    if any((other.type, other.content) == (record.type, record.content) for other in others):
        raise identical_record()
    types = {other.type for other in others}
    if record.type == "CNAME" and types & {"A", "AAAA", "CNAME"}:
        raise host_exists()
    if record.type in {"A", "AAAA"} and "CNAME" in types:
        raise alias_exists()
    held[record.id] = record
    return record
