"""EC2: networks, security groups, instances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from policy.control import Control, Rule, Stack, StackRule, accompanied
from policy.judgement import (
    ABSENT,
    UNKNOWN,
    Failed,
    Finding,
    NotEvaluated,
    Resource,
    has_unknown,
    is_empty,
    is_false,
    is_one_of,
)

VPC = "aws:ec2/vpc:Vpc"
DEFAULT_GROUP = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
FLOW_LOG = "aws:ec2/flowLog:FlowLog"
SUBNET = "aws:ec2/subnet:Subnet"
INSTANCE = "aws:ec2/instance:Instance"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
OLD_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
ACL = "aws:ec2/networkAcl:NetworkAcl"
ACL_RULE = "aws:ec2/networkAclRule:NetworkAclRule"
PROTECTED = {
    "aws:rds/instance:Instance": "vpcSecurityGroupIds",
    "aws:elasticache/replicationGroup:ReplicationGroup": "securityGroupIds",
    "aws:dms/replicationInstance:ReplicationInstance": "vpcSecurityGroupIds",
}
"""What is never open to the world, and where it names its security groups."""
CLUSTER = "aws:eks/cluster:Cluster"
PUBLIC_PORTS = {80, 443}
"""All that may be open to the world."""
RISKY_PORTS = (
    *(range(20, 24), range(25, 26), range(110, 111), range(135, 136), range(143, 144), range(445, 446)),
    *(range(1433, 1435), range(3000, 3001), range(3306, 3307), range(3389, 3390), range(4333, 4334)),
    *(range(5000, 5001), range(5432, 5433), range(5500, 5501), range(5601, 5602), range(6379, 6380)),
    *(range(6443, 6444), range(8080, 8081), range(8088, 8089), range(8888, 8889), range(9200, 9301)),
)
"""The list of EC2.19, with Redis and the Kubernetes API."""
ADMINISTRATION = (range(22, 23), range(3389, 3390))
_SOURCES = ("cidrIpv4", "cidrIpv6", "referencedSecurityGroupId", "prefixListId")
_OLD_SOURCES = ("cidrBlocks", "ipv6CidrBlocks", "sourceSecurityGroupId", "prefixListIds", "self")


class _Opening:
    """What one rule lets in: from where, and to which ports."""

    def __init__(self, given: Mapping[str, Any], sources: tuple[str, ...], protocol: str) -> None:
        found = [given.get(name) for name in sources]
        # Groups and prefix lists are never the whole world.
        networks = [item for value in found[:2] for item in (value if isinstance(value, list) else [value])]
        self.missing = all(value in (None, [], False, "") for value in found)
        self.open = any(network in {"0.0.0.0/0", "::/0"} for network in networks if isinstance(network, str))
        self.unknown = has_unknown(networks) and not self.open
        low, high, name = given.get("fromPort"), given.get("toPort"), given.get(protocol)
        every = name in (-1, "-1", "all")
        self.ports_unknown = has_unknown([low, high, name])
        self.ports_missing = name is None or (not every and (low is None or high is None))
        self.tcp = name in ("tcp", "6", 6)
        self.ports = range(65536)
        if not (every or self.ports_unknown or self.ports_missing):
            self.ports = range(int(low), int(high) + 1)  # type: ignore[arg-type]

    def problems(self) -> Iterator[Finding]:
        """Why it cannot be judged."""
        if self.missing:
            yield Failed("its source is absent; expected a network, a security group or a prefix list")
        elif self.unknown:
            yield NotEvaluated("its source is not known yet")
        elif self.open and self.ports_unknown:
            yield NotEvaluated("its ports are not known yet")
        elif self.open and self.ports_missing:
            yield Failed("its ports are absent; expected protocol and ports")

    @property
    def judged(self) -> bool:
        """Whether it is open to the world, to ports that are known."""
        return self.open and not self.ports_unknown and not self.ports_missing


def _openings(resource: Resource) -> Iterator[_Opening | Finding]:
    given = resource.properties
    if resource.type == INGRESS:
        yield _Opening(given, _SOURCES, "ipProtocol")
    elif resource.type == OLD_RULE:
        if given.get("type") != "egress":
            yield _Opening(given, _OLD_SOURCES, "protocol")
    elif isinstance(inline := given.get("ingress"), list):
        names = tuple(name.replace("sourceSecurityGroupId", "securityGroups") for name in _OLD_SOURCES)
        for item in inline:
            if isinstance(item, Mapping):
                yield _Opening(item, names, "protocol")
            else:
                yield NotEvaluated("ingress is not known yet")
    elif inline is UNKNOWN:
        yield NotEvaluated("ingress is not known yet")


def _only_public_ports(resource: Resource) -> Iterator[Finding]:
    for opening in _openings(resource):
        if not isinstance(opening, _Opening):
            yield opening
            continue
        yield from opening.problems()
        if opening.judged and not (opening.tcp and {*opening.ports} <= PUBLIC_PORTS):
            yield Failed(f"{_named(opening.ports)} open to the world; expected 80 and 443 of TCP alone")


def _no_risky_ports(resource: Resource) -> Iterator[Finding]:
    for opening in _openings(resource):
        if not isinstance(opening, _Opening):
            yield opening
            continue
        yield from opening.problems()
        if opening.judged and any(_overlap(opening.ports, risky) for risky in RISKY_PORTS):
            yield Failed(f"{_named(opening.ports)} open to the world")


def _overlap(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop


def _named(ports: range) -> str:
    single = len(ports) == 1
    return f"port {ports.start} is" if single else f"ports {ports.start} to {ports.stop - 1} are"


def _never_open(resource: Resource, stack: Stack) -> Iterator[Finding]:
    """A rule of a security group that a database, a cache or an API server has."""
    groups = stack.sources(resource, "securityGroupId")
    users = [group for group in groups if group.type == CLUSTER]
    users += [
        user
        for group in groups
        for kind, path in PROTECTED.items()
        for user in stack.users(group, kind, path)
    ]
    if not users:
        return
    for opening in _openings(resource):
        if not isinstance(opening, _Opening):
            yield opening
        elif opening.open:
            yield Failed(f"{users[0].name} is open to the world")
        elif opening.unknown:
            yield NotEvaluated("its source is not known yet")


def _narrow_acl(resource: Resource) -> Iterator[Finding]:
    if resource.type == ACL:
        entries = resource.properties.get("ingress") or []
        if not isinstance(entries, list) or has_unknown(entries):
            yield NotEvaluated("ingress is not known yet")
            return
        found = [(entry, "action", "protocol") for entry in entries]
    else:
        found = [(resource.properties, "ruleAction", "protocol")]
    for given, action, protocol in found:
        if given.get("egress") is True or given.get(action) == "deny":
            continue
        opening = _Opening(given, ("cidrBlock", "ipv6CidrBlock"), protocol)
        yield from opening.problems()
        if opening.judged and any(_overlap(opening.ports, one) for one in ADMINISTRATION):
            yield Failed(f"{_named(opening.ports)} open to the world")


def _imds(resource: Resource) -> Iterator[Finding]:
    yield from is_one_of("metadataOptions.httpTokens", "required")(resource)


def _template_addresses(resource: Resource) -> Iterator[Finding]:
    """A launch template need not speak of addresses: then the subnet decides, which EC2.15 judges."""
    interfaces = resource.value("networkInterfaces")
    if interfaces is ABSENT:
        return
    if has_unknown(interfaces):
        yield NotEvaluated("networkInterfaces is not known yet")
    elif any(item.get("associatePublicIpAddress") not in (False, "false") for item in interfaces):
        yield Failed("networkInterfaces has one whose associatePublicIpAddress is not false")


CONTROLS = (
    Control(
        "EC2.2",
        "A VPC's default security group lets nothing through.",
        "ec2.DefaultSecurityGroup: vpcId, ingress, egress",
        (Rule((DEFAULT_GROUP,), (is_empty("ingress"), is_empty("egress"))),),
        (StackRule((VPC,), (accompanied(DEFAULT_GROUP, "vpcId", "DefaultSecurityGroup"),)),),
    ),
    Control(
        "EC2.6",
        "A VPC's connections are logged, refused ones at least.",
        "ec2.FlowLog: vpcId, trafficType",
        (Rule((FLOW_LOG,), (is_one_of("trafficType", "ALL", "REJECT"),)),),
        (StackRule((VPC,), (accompanied(FLOW_LOG, "vpcId", "FlowLog"),)),),
    ),
    Control(
        "EC2.8",
        "Instances take IMDSv2 alone.",
        "metadataOptions.httpTokens",
        (Rule((INSTANCE, TEMPLATE), (_imds,)),),
    ),
    Control(
        "EC2.9",
        "Instances have no public address.",
        "associatePublicIpAddress, networkInterfaces",
        (
            Rule((INSTANCE,), (is_false("associatePublicIpAddress"),)),
            Rule((TEMPLATE,), (_template_addresses,)),
        ),
    ),
    Control(
        "EC2.15",
        "Subnets give no public addresses by themselves.",
        "mapPublicIpOnLaunch",
        (Rule((SUBNET,), (is_false("mapPublicIpOnLaunch"),)),),
    ),
    Control(
        "EC2.18",
        "What is open to the world is 80 and 443 alone.",
        "vpc.SecurityGroupIngressRule, ec2.SecurityGroup, ec2.SecurityGroupRule: source and ports",
        (Rule((INGRESS, GROUP, OLD_RULE), (_only_public_ports,)),),
    ),
    Control(
        "EC2.19",
        "No port of administration, of a database, a cache or an API server is open to the world.",
        "vpc.SecurityGroupIngressRule, ec2.SecurityGroup, ec2.SecurityGroupRule: source and ports",
        (Rule((INGRESS, GROUP, OLD_RULE), (_no_risky_ports,)),),
        (StackRule((INGRESS, OLD_RULE), (_never_open,)),),
    ),
    Control(
        "EC2.21",
        "Network ACLs do not open 22 and 3389 to the world.",
        "ec2.NetworkAcl, ec2.NetworkAclRule: source and ports",
        (Rule((ACL, ACL_RULE), (_narrow_acl,)),),
    ),
)
