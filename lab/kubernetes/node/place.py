"""What a pod offers its containers once its network and volumes are there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from lab.kubernetes.node.api import Object
from lab.kubernetes.node.images import Images
from lab.kubernetes.node.volumes import Mount

_CLUSTER_DOMAIN = "cluster.local"


@dataclass(frozen=True)
class Place:
    """Where the containers of one pod run.

    `network` is the descriptor of their network namespace, None for the node's own; `files` are written
    into each container (resolv.conf, hosts); `file_systems` are mounts of this machine, besides `/`, that
    containers see; `backoff` is the first pause, in seconds, before what failed is tried again.
    """

    title: str
    folder: Path
    logs: Path
    address: str
    network: int | None
    hostname: str
    files: Mapping[str, str]
    file_systems: Sequence[str]
    applets: Path
    images: Images
    backoff: float
    session: aiohttp.ClientSession
    environment: Callable[[Object], Awaitable[dict[str, str]]]
    mounts: Callable[[Object, Mapping[str, str]], list[Mount]]


def name_files(pod: Object, address: str, hostname: str, cluster_dns: str) -> Mapping[str, str]:
    """resolv.conf, hosts and hostname of a pod's containers, by path."""
    spec, namespace = pod["spec"], pod["metadata"]["namespace"]
    configured = spec.get("dnsConfig") or {}
    servers, search, options = [], [], {}
    if spec.get("dnsPolicy", "ClusterFirst") != "None":
        servers = [cluster_dns]
        search = [f"{namespace}.svc.{_CLUSTER_DOMAIN}", f"svc.{_CLUSTER_DOMAIN}", _CLUSTER_DOMAIN]
        options = {"ndots": "5"}
    servers += configured.get("nameservers") or []
    search += configured.get("searches") or []
    options |= {item["name"]: item.get("value", "") for item in configured.get("options") or []}
    lines = [f"nameserver {server}" for server in servers]
    if search:
        lines.append(f"search {' '.join(search)}")
    if options:
        lines.append("options " + " ".join(f"{k}:{v}" if v else k for k, v in options.items()))
    hosts = ["127.0.0.1\tlocalhost", f"{address}\t{hostname}"]
    aliases = spec.get("hostAliases") or []
    hosts += [f"{alias['ip']}\t{' '.join(alias.get('hostnames') or [])}" for alias in aliases]
    return {
        "/etc/resolv.conf": "\n".join([*lines, ""]),
        "/etc/hosts": "\n".join([*hosts, ""]),
        "/etc/hostname": f"{hostname}\n",
    }
