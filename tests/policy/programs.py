"""The real programs, recorded: what they declare, and what becomes of it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from policy.judgement import Resource
from stacks import builder_for
from stacks.settings import CallerFlips, EdgeFlips, Flips, SourceFlips, TargetFlips
from tests.unit.recording import ACCOUNT, PROJECT, Recording, record

STACKS = ("prod", "prod-replication", "rhoam-migration", "rhoam")
"""Those that declare something in AWS."""
_BOSS = "billing-guance-intl/boss"
FLIPPED: dict[str, Flips] = {
    "prod-source": SourceFlips(replicas={_BOSS: 0}, stragglers="forward"),
    "prod-target": TargetFlips(database="target", replicas={_BOSS: 2}),
    "prod-automata": CallerFlips(callers={"automata/automata": "target"}),
    "prod-edge": EdgeFlips(records={"bill.truewatch.com": "target"}, ttl="lowered"),
    "rhoam-edge": EdgeFlips(),
}
"""The small stacks, each with all that a cutover declares in it."""
DAY = date(2026, 11, 1)
"""On which the tracked settings' exceptions count, and their versions are supported."""
_PEM = "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n"
_LANDING_ZONE = {
    "vpc_id": "vpc-1",
    "private_subnet_ids": ["subnet-1", "subnet-2"],
    "database_security_group_id": "sg-1",
    "database_address": "db.example.com",
    "ingress_addresses": ["203.0.113.70"],
    "notifications_topic_arn": f"arn:aws:sns:ap-southeast-1:{ACCOUNT}:alarms",
}
OUTPUTS: dict[str, Mapping[str, Any]] = {
    "organization/landfall/prod": _LANDING_ZONE,
    "organization/landfall/rhoam-migration": {"workspace_role_arn": f"arn:aws:iam::{ACCOUNT}:role/workspace"},
}
_FACTS: dict[str, object] = {
    "eip": "203.0.113.30",
    "source": "203.0.113.10",
    "record_id": "fedcba9876543210fedcba9876543210",
    "account": ACCOUNT,
    "vpc_id": "vpc-0123456789abcdef0",
    "cidr": "10.70.0.0/16",
    "custom_domain": "apps.rhoam.example.com",
    "bucket": "customer-secrets",
    "email": "admin@example.com",
}
"""What stands for a placeholder, by the last part of its place."""


@cache
def program(stack: str) -> tuple[Resource, ...]:
    """What a stack declares, with the tracked settings."""
    with TemporaryDirectory() as name:
        return resources(recorded(Path(name), stack))


def recorded(folder: Path, stack: str) -> Recording:
    """What a stack's program registers, in a copy of the project whose placeholders are filled in."""
    write_settings(folder)
    with warnings.catch_warnings():
        # The providers' packages warn of their own modules while they are imported.
        warnings.simplefilter("ignore", DeprecationWarning)
        return record(builder_for(stack, folder, FLIPPED.get(stack)), stack, stack_outputs=OUTPUTS)


def write_settings(folder: Path) -> None:
    """Write the tracked settings, with something in the place of each placeholder."""
    for file in PROJECT.glob("Pulumi.*.yaml"):
        document = yaml.safe_load(file.read_text())
        (folder / file.name).write_text(yaml.safe_dump(_filled(document, ()), sort_keys=False))
    for end in ("source", "target"):
        (folder / f"{end}.pem").write_text(_PEM)


def resources(recording: Recording) -> tuple[Resource, ...]:
    """Registrations as the pack gets them."""
    return tuple(
        Resource(found.type, found.name, found.urn, found.inputs, found.property_dependencies)
        for found in recording.resources
    )


def exceptions(environment: str) -> list[Mapping[str, Any]]:
    """The exceptions that the tracked settings name."""
    content = yaml.safe_load((PROJECT / f"Pulumi.{environment}.yaml").read_text())
    return list(content["config"]["landfall:environment"].get("exceptions", []))


def _filled(value: Any, path: tuple[str | int, ...]) -> Any:
    if isinstance(value, dict):
        if "placeholder" in value:
            return fact(path)
        return {key: _filled(item, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, (*path, index)) for index, item in enumerate(value)]
    return value


def fact(path: tuple[str | int, ...]) -> object:
    """What stands for the placeholder at a place of the settings."""
    if "certificates" in path:
        return f"{path[-1]}.pem"
    if "zones" in path:
        return "0123456789abcdef0123456789abcdef"
    if "emails" in path:
        return "alarms@example.com"
    if "route_table_ids" in path:
        return "rtb-0123456789abcdef0"
    return _FACTS[str(path[-1])]
