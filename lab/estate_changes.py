"""What is changed in an estate: behind Pulumi's back, and by a line of settings."""

# ruff: noqa: ARG001 - every change has the signature of `Outside.apply`
from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lab.estate_world import SOURCE_INGRESS, EstateWorld
from lab.inventory import Client

_TIMEOUT_SECONDS = 20.0
Apply = Callable[[EstateWorld, Client, Mapping[str, Any]], None]
"""Changes something, given the world, boto3 clients, and the stack's outputs."""


@dataclass(frozen=True)
class Outside:
    """Somebody's change by hand, and what refresh is to say of it."""

    title: str
    apply: Apply
    found: str


@dataclass(frozen=True)
class Change:
    """A change of an environment's settings, and all that a preview may show of it."""

    title: str
    stack: str
    path: tuple[str | int, ...]
    """Below `landfall:environment`; behind a list's last item, it is added."""
    value: object
    touches: tuple[str, ...]


def _show_subnet(world: EstateWorld, client: Client, outputs: Mapping[str, Any]) -> None:
    client("ec2").modify_subnet_attribute(
        SubnetId=outputs["public_subnet_ids"][0], MapPublicIpOnLaunch={"Value": True}
    )


def _stop_upgrades(world: EstateWorld, client: Client, outputs: Mapping[str, Any]) -> None:
    client("dms").modify_replication_instance(
        ReplicationInstanceArn=outputs["instance_arn"], AutoMinorVersionUpgrade=False
    )


def _shorten_backups(world: EstateWorld, client: Client, outputs: Mapping[str, Any]) -> None:
    client("rds").modify_db_instance(
        DBInstanceIdentifier="rhoam-system-database", BackupRetentionPeriod=1, ApplyImmediately=True
    )


def _shorten_snapshots(world: EstateWorld, client: Client, outputs: Mapping[str, Any]) -> None:
    client("elasticache").modify_replication_group(
        ReplicationGroupId="rhoam-migration-backend-redis", SnapshotRetentionLimit=1, ApplyImmediately=True
    )


def _record(zone: str, name: str) -> Apply:
    def change(world: EstateWorld, client: Client, outputs: Mapping[str, Any]) -> None:
        record = f"{world.cloudflare_url}/zones/{world.zone_ids[zone]}/dns_records/{world.record_ids[name]}"
        request = urllib.request.Request(  # noqa: S310 - the lab's own API
            record,
            data=json.dumps({"ttl": 120}).encode(),
            method="PATCH",
            headers={
                "Authorization": f"Bearer {world.cloudflare_token}",
                "Content-Type": "application/json",
            },
        )
        urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS).close()  # noqa: S310

    return change


def _patch(context: str, what: str, namespace: str, patch: Mapping[str, Any]) -> Apply:
    def change(world: EstateWorld, client: Client, outputs: Mapping[str, Any]) -> None:
        world.kubectl(context, "patch", what, "-n", namespace, "--type=merge", "-p", json.dumps(patch))

    return change


OUTSIDE: dict[str, Outside] = {
    "prod": Outside(
        "a public subnet gives public addresses",
        _show_subnet,
        "update ec2/subnet:Subnet prod-public-ap-southeast-1a: mapPublicIpOnLaunch",
    ),
    "prod-replication": Outside(
        "the DMS instance takes no minor upgrades",
        _stop_upgrades,
        "update dms/replicationInstance:ReplicationInstance prod: autoMinorVersionUpgrade",
    ),
    "prod-edge": Outside(
        "a record's TTL is 120 s",
        _record("truewatch.com", "bill.truewatch.com"),
        "update index/dnsRecord:DnsRecord bill.truewatch.com: ttl",
    ),
    "prod-source": Outside(
        "a Service sends elsewhere",
        _patch("huawei", "service/webportal", "billing-guance-intl", {"spec": {"selector": {"app": "x"}}}),
        "update core/v1:ServicePatch billing-guance-intl/webportal: spec.selector.app",
    ),
    "prod-target": Outside(
        "BOSS is told of another database",
        _patch("aws", "configmap/boss-config", "billing-guance-intl", {"data": {"DATABASE_HOST": "x"}}),
        "update core/v1:ConfigMapPatch billing-guance-intl/boss-config: data.DATABASE_HOST",
    ),
    "prod-automata": Outside(
        "Automata is told of another BOSS",
        _patch("huawei", "configmap/automata-config", "automata", {"data": {"BOSS_HOST": "x"}}),
        "update core/v1:ConfigMapPatch automata/automata-config: data.BOSS_HOST",
    ),
    "rhoam-migration": Outside(
        "a cache keeps snapshots for a day",
        _shorten_snapshots,
        "update elasticache/replicationGroup:ReplicationGroup rhoam-migration-backend-redis: "
        "snapshotRetentionLimit",
    ),
    "rhoam": Outside(
        "the database keeps backups for a day",
        _shorten_backups,
        "update rds/instance:Instance rhoam-system-database: backupRetentionPeriod",
    ),
    "rhoam-edge": Outside(
        "a record's TTL is 120 s",
        _record("example.com", "api.example.com"),
        "update index/dnsRecord:DnsRecord api.example.com: ttl",
    ),
}
"""By stack."""

DAY_TWO: dict[str, tuple[Change, ...]] = {
    "prod": (
        Change(
            "one more node",
            "prod",
            ("cluster", "node_group", "desired"),
            4,
            ("update eks/nodeGroup:NodeGroup prod-default",),
        ),
        Change(
            "one more replica of the cache",
            "prod",
            ("cache", "replicas"),
            2,
            ("update elasticache/replicationGroup:ReplicationGroup prod-cache",),
        ),
        Change(
            "one more domain",
            "prod-edge",
            ("domains", -1),
            {
                "name": "pay.truewatch.com",
                "zone": "truewatch.com",
                "source": SOURCE_INGRESS,
                "service": "billing-guance-intl/webportal",
            },
            ("create index/dnsRecord:DnsRecord pay.truewatch.com",),
        ),
    ),
}
"""By environment; none is applied."""
