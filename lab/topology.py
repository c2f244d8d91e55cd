"""Where everything in a lab stands: hosts, addresses and the links between them.

The ranges are those kept for documentation (RFC 5737): 203.0.113.0/24 is the internet, 198.51.100.0/24 holds
the private networks, 192.0.2.0/24 the pods and services inside each cluster.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.world import WORLD, World

AWS_API = "203.0.113.2"
AWS_API_PORT = 5000
CLOUDFLARE_API = "203.0.113.3"
CLOUDFLARE_PORT = 8080
PUBLIC_DNS = "203.0.113.53"
USERS = "203.0.113.100"
INTERNET_GATEWAY = "203.0.113.1"
ELASTIC_IPS = "203.0.113.64/26"

POD_RANGE = "192.0.2.0/25"
SERVICE_RANGE = "192.0.2.128/25"
CLUSTER_DNS = "192.0.2.138"

DATABASE_HOST = "huawei-rds"
DATABASE_NAME = "rds.boss.huawei.internal"
DATABASE_INTERNAL = "198.51.100.30"
DATABASE_EIP = "203.0.113.30"

TARGET_DATABASE = "198.51.100.140"
"""The private address of the database on RDS."""
TARGET_DATABASE_NAME = "prod-database.aaaaaaaaaa.ap-southeast-1.rds.amazonaws.com"
"""As the lab's RDS API names it."""

AWS_GATEWAY = "198.51.100.129"


@dataclass(frozen=True)
class Place:
    """Where a cluster stands: its host (also its node's name and kubeconfig context) and its addresses."""

    host: str
    node: str
    api: str


HUAWEI = Place("huawei", node="198.51.100.10", api="203.0.113.12")
HUAWEI_INGRESS = "203.0.113.10"
HUAWEI_NAT = "203.0.113.11"
AWS = Place("aws", node="198.51.100.138", api="198.51.100.138")
# clusters of others, whose workloads call the services; the first has a private link to Huawei's network
AUTOMATA = Place("automata", node="198.51.100.50", api="203.0.113.14")
TRUEWATCH_1 = Place("truewatch-1", node="198.51.100.60", api="203.0.113.16")
TRUEWATCH_2 = Place("truewatch-2", node="198.51.100.70", api="203.0.113.18")
PLACES = (HUAWEI, AWS, AUTOMATA, TRUEWATCH_1, TRUEWATCH_2)
CALLERS_NAT = {AUTOMATA: "203.0.113.13", TRUEWATCH_1: "203.0.113.15", TRUEWATCH_2: "203.0.113.17"}


def build(world: World) -> None:
    """Make the hosts of all clusters and connect them; `attach_aws` gives AWS its public addresses."""
    for address in (AWS_API, CLOUDFLARE_API, PUBLIC_DNS, USERS):
        world.address(WORLD, address)
    world.resolver(WORLD, PUBLIC_DNS)

    world.add_host(HUAWEI.host, nameserver=HUAWEI.node)
    _connect(world, HUAWEI, HUAWEI_NAT, [HUAWEI_INGRESS, HUAWEI.api])
    world.add_host(DATABASE_HOST)
    world.link(HUAWEI.host, DATABASE_HOST, HUAWEI.node, DATABASE_INTERNAL)

    world.add_host(AWS.host, nameserver=PUBLIC_DNS)
    world.link(WORLD, AWS.host, AWS_GATEWAY, AWS.node)
    world.route(AWS.host, "default", AWS_GATEWAY)

    for place, nat in CALLERS_NAT.items():
        world.add_host(place.host, nameserver=PUBLIC_DNS)
        _connect(world, place, nat, [place.api])
    world.link(HUAWEI.host, AUTOMATA.host, HUAWEI.node, AUTOMATA.node)
    for place in (TRUEWATCH_1, TRUEWATCH_2):
        world.address(place.host, place.node)


def _connect(world: World, place: Place, nat: str, addresses: list[str]) -> None:
    """Link a cluster's host to the internet, where it also has these addresses."""
    world.link(WORLD, place.host, INTERNET_GATEWAY, nat)
    world.route(place.host, "default", INTERNET_GATEWAY, source=nat)
    for address in addresses:
        world.address(place.host, address)
        world.route(WORLD, address, nat)
    masquerade_pods(world, place.host)


def masquerade_pods(world: World, host: str) -> None:
    """Pods leave a cluster under the address of the device by which they leave: the NAT's, or the node's."""
    world.nft(
        host,
        f"""
        table ip cluster_edge {{
            chain postrouting {{
                type nat hook postrouting priority srcnat + 10;
                ip saddr {POD_RANGE} ip daddr != 192.0.2.0/24 masquerade
            }}
        }}
        """,
    )


def attach_aws(world: World, nat_address: str, ingress_addresses: list[str]) -> None:
    """Give the AWS side the Elastic IPs that `pulumi up` obtained, for its NAT and its ingress."""
    for address in (nat_address, *ingress_addresses):
        world.address(AWS.host, address)
        world.route(WORLD, address, AWS.node)
    world.route(AWS.host, "default", AWS_GATEWAY, source=nat_address)
    world.nft(
        AWS.host,
        f"""
        table ip nat_gateway {{
            chain postrouting {{
                type nat hook postrouting priority srcnat - 10;
                ip daddr 203.0.113.0/24 ip saddr {{ {POD_RANGE}, 198.51.100.128/25 }} snat to {nat_address}
            }}
        }}
        """,
    )
