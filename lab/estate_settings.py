"""The estate's copy of the settings: what only owners of real environments know is the lab's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from lab.estate_world import CLUSTERS, SOURCE_INGRESS, EstateWorld
from lab.kubernetes.certificates import Authority
from lab.options import REPOSITORY
from lab.project import copy_project
from lab.world import LabError
from stacks.settings import Environment, load_any_environment

DATABASE_EIP = "203.0.113.30"
ACCOUNT = "123456789012"
"""moto's."""
PEER_NETWORKS = {"migration": "10.70.0.0/16", "destination": "10.80.0.0/16"}
"""Of the VPCs of the OpenShift clusters, which are there before."""
CUSTOMER_DOMAIN = {"name": "api.example.com", "zone": "example.com", "target": "203.0.113.20"}
"""Of the second environment, whose settings name none: its customer does."""
FLIPS: dict[str, dict[str, object]] = {
    "prod-source": {
        "landfall:replicas": {"billing-guance-intl/boss": 0},
        "landfall:stragglers": "standby",
    },
    "prod-target": {"landfall:database": "eip", "landfall:replicas": {"billing-guance-intl/boss": 0}},
    "prod-automata": {"landfall:callers": {"automata/automata": "source"}},
}
"""What the small stacks hold that hold nothing before a cutover."""
KeyPath = tuple[str | int, ...]


def declared(environments: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """The zones of the settings with their domains' names, and the contexts of their further clusters."""
    zones: dict[str, list[str]] = {}
    contexts: list[str] = []
    for name in environments:
        settings = tracked(name)
        for zone in settings["cloudflare"]["zones"]:
            zones.setdefault(zone, [])
        for domain in settings["domains"] or [CUSTOMER_DOMAIN]:
            zones[domain["zone"]].append(domain["name"])
        contexts += [side["context"] for side in settings.get("clusters", {}).values()]
    return zones, [context for context in contexts if context not in CLUSTERS]


def prepare(world: EstateWorld, project: Path, environments: Sequence[str]) -> None:
    """Copy the project, fill in the settings, and make what they say is there already."""
    for name in environments:
        settings = tracked(name)
        overlay: dict[KeyPath, object] = {}
        if not settings["domains"]:
            overlay["domains",] = [
                {
                    **CUSTOMER_DOMAIN,
                    "source": SOURCE_INGRESS,
                    "record_id": world.record_ids["api.example.com"],
                }
            ]
        peers = _peers(world, settings)
        for path in placeholders(settings, ()):
            overlay[path] = peers[path] if path in peers else _fact(world, settings, path)
        copy_project(REPOSITORY, project, name, overlay)
        environment = load_any_environment(project, name)
        if isinstance(environment, Environment):
            world.populate(environment)
    certificates = project / "certificates"
    certificates.mkdir()
    for end in ("source", "target"):
        (certificates / f"{end}.pem").write_bytes(Authority(f"landfall lab {end}").certificate)
    for stack, flips in FLIPS.items():
        (project / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump({"config": flips}))


def tracked(environment: str) -> dict[str, Any]:
    """The settings of an environment, as they stand in the repository."""
    text = (REPOSITORY / f"Pulumi.{environment}.yaml").read_text()
    found: dict[str, Any] = yaml.safe_load(text)["config"]["landfall:environment"]
    return found


def placeholders(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    """The places that an environment's owner is to fill in."""
    if isinstance(value, dict):
        if "placeholder" in value:
            yield path
            return
        for key, item in value.items():
            yield from placeholders(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from placeholders(item, (*path, index))


def _fact(world: EstateWorld, settings: dict[str, Any], path: KeyPath) -> object:
    """What stands for a fact that its owner knows."""
    found: object = None
    match path:
        case ("cloudflare", "zones", str(zone)):
            found = world.zone_ids[zone]
        case ("domains", int(index), "record_id"):
            found = world.record_ids[settings["domains"][index]["name"]]
        case ("domains", int(), "source"):
            found = SOURCE_INGRESS
        case ("database", "source", "eip"):
            found = DATABASE_EIP
        case (*_, "account"):
            found = ACCOUNT
        case ("notifications", "emails", int()) | ("threescale", "default_tenant", "email"):
            found = "alarms@example.com"
        case ("threescale", "destination", "custom_domain"):
            found = "apps.rhoam.example.com"
        case ("threescale", "bucket"):
            found = "customer-secrets"
        case ("replication", "certificates", str(end)):
            found = f"certificates/{end}.pem"
    if found is None:
        raise LabError(f"the estate has nothing for the placeholder at {'.'.join(map(str, path))}")
    return found


def _peers(world: EstateWorld, settings: dict[str, Any]) -> dict[KeyPath, object]:
    made: dict[KeyPath, object] = {}
    for section in PEER_NETWORKS:
        if section in settings:
            region = settings[section]["network"]["zones"][0][:-1]
            made |= peer(world.client(region)("ec2"), section)
    return made


def peer(ec2: Any, section: str) -> dict[KeyPath, object]:
    """The VPC that a section of the settings wants to be connected with, made as its owner made it."""
    network = PEER_NETWORKS[section]
    vpc = ec2.create_vpc(CidrBlock=network)["Vpc"]["VpcId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    return {
        (section, "peer", "vpc_id"): vpc,
        (section, "peer", "cidr"): network,
        (section, "peer", "route_table_ids", 0): table,
    }
