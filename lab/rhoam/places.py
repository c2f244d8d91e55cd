"""Where everything stands in the lab of the second plan.

The ranges are those of `lab.topology`. Three clusters, each linked to the internet and to the data stores
beside it; the migration VPC also holds the workspace instance. The destination's databases answer that
cluster's own pods and nobody else, as a VPC without a way in does; its Redis answers the migration VPC too.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab import topology
from lab.topology import INTERNET_GATEWAY, Place
from lab.world import WORLD, World

ZONE = "example.com"
API_NAME, API_ADDRESS = "api-backend.example.com", "203.0.113.130"
"""The customer's own API, which 3scale stands before."""


@dataclass(frozen=True)
class Site:
    """A cluster with its router, and the host of its data stores."""

    place: Place
    nat: str
    router: str
    apps: str
    """Its wildcard domain."""
    data: str
    """The host of its data stores, and the host's address."""
    data_address: str
    gateway: str
    """The cluster's own end of the link to its data stores."""


SOURCE = Site(
    Place("rhoam-source", node="198.51.100.10", api="203.0.113.12"),
    nat="203.0.113.11",
    router="203.0.113.10",
    apps="apps.source.example.com",
    data="source-data",
    data_address="198.51.100.12",
    gateway="198.51.100.11",
)
MIGRATION = Site(
    Place("rhoam-migration", node="198.51.100.50", api="203.0.113.22"),
    nat="203.0.113.21",
    router="203.0.113.20",
    apps="apps.migration.example.com",
    data="migration-vpc",
    data_address="198.51.100.140",
    gateway="198.51.100.51",
)
DESTINATION = Site(
    Place("rhoam-destination", node="198.51.100.90", api="203.0.113.42"),
    nat="203.0.113.41",
    router="203.0.113.40",
    apps="apps.rhoam.example.com",
    data="destination-vpc",
    data_address="198.51.100.200",
    gateway="198.51.100.91",
)
SITES = (SOURCE, MIGRATION, DESTINATION)
WORKSPACE = MIGRATION.data
"""The host of the workspace instance."""

SOURCE_DATABASE, SOURCE_BACKEND, SOURCE_SYSTEM = "198.51.100.30", "198.51.100.31", "198.51.100.32"
SOURCE_NAMES = {
    "mysql.source.example.com": SOURCE_DATABASE,
    "backend-redis.source.example.com": SOURCE_BACKEND,
    "system-redis.source.example.com": SOURCE_SYSTEM,
}
REGION = "eu-west-1"
_RDS, _CACHE = f"aaaaaaaaaa.{REGION}.rds.amazonaws.com", f"cache.{REGION}.amazonaws.com"
STORES = {
    f"rhoam-migration-system-database.{_RDS}": "198.51.100.141",
    f"rhoam-migration-conversion-database.{_RDS}": "198.51.100.142",
    f"master.rhoam-migration-backend-redis.{_CACHE}": "198.51.100.143",
    f"master.rhoam-migration-system-redis.{_CACHE}": "198.51.100.144",
    f"rhoam-system-database.{_RDS}": "198.51.100.201",
    f"master.rhoam-backend-redis.{_CACHE}": "198.51.100.202",
    f"master.rhoam-system-redis.{_CACHE}": "198.51.100.203",
}
"""Addresses of the managed stores, by the names that AWS's APIs give them."""
_DESTINATION_DATABASE = STORES[f"rhoam-system-database.{_RDS}"]


def build(world: World) -> None:
    """Make the hosts and connect them."""
    for address in (
        topology.AWS_API,
        topology.CLOUDFLARE_API,
        topology.PUBLIC_DNS,
        topology.USERS,
        API_ADDRESS,
    ):
        world.address(WORLD, address)
    world.resolver(WORLD, topology.PUBLIC_DNS)
    for site in SITES:
        _site(world, site)
    for address in SOURCE_NAMES.values():
        world.address(SOURCE.data, address)
    for address in STORES.values():
        host = MIGRATION.data if address.startswith("198.51.100.14") else DESTINATION.data
        world.address(host, address)
    _connect(world, MIGRATION.data, "203.0.113.23")
    # the customer lets the migration's workspace instance into what is to be dumped
    world.link(MIGRATION.data, SOURCE.data, "198.51.100.145", "198.51.100.33")
    for address in SOURCE_NAMES.values():
        world.route(MIGRATION.data, address, "198.51.100.33")
    world.link(MIGRATION.data, DESTINATION.data, "198.51.100.146", "198.51.100.204")
    for name, address in STORES.items():
        if name.endswith((f"rhoam-backend-redis.{_CACHE}", f"rhoam-system-redis.{_CACHE}")):
            world.route(MIGRATION.data, address, "198.51.100.204")
    world.nft(DESTINATION.data, _SECURITY_GROUP)


_SECURITY_GROUP = f"""
table ip security_group {{
    chain input {{
        type filter hook input priority filter; policy accept;
        ip daddr {_DESTINATION_DATABASE} ip saddr {{ {DESTINATION.gateway}, {_DESTINATION_DATABASE} }} accept
        ip daddr {_DESTINATION_DATABASE} iif != lo drop
    }}
}}
"""


def _site(world: World, site: Site) -> None:
    place = site.place
    world.add_host(place.host, nameserver=topology.PUBLIC_DNS)
    _connect(world, place.host, site.nat, (place.node, site.router, place.api))
    for address in (site.router, place.api):
        world.route(WORLD, address, site.nat)
    topology.masquerade_pods(world, place.host)
    world.add_host(site.data, nameserver=topology.PUBLIC_DNS)
    world.link(place.host, site.data, site.gateway, site.data_address)
    for address in SOURCE_NAMES.values() if site is SOURCE else STORES.values():
        world.route(place.host, address, site.data_address)


def _connect(world: World, host: str, nat: str, addresses: tuple[str, ...] = ()) -> None:
    """Link a host to the internet."""
    world.link(WORLD, host, INTERNET_GATEWAY, nat)
    world.route(host, "default", INTERNET_GATEWAY, source=nat)
    for address in addresses:
        world.address(host, address)
