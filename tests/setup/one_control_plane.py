"""Run in a world by test_control_plane: starts a control plane and prints what a Deployment became."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from lab import topology
from lab.kubernetes.control_plane import ClusterSpec, ControlPlane, write_kubeconfig
from lab.setup import Tools, find_tools
from lab.supervisor import Supervisor
from lab.world import World

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "hello", "namespace": "default"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "hello"}},
        "template": {
            "metadata": {"labels": {"app": "hello"}},
            "spec": {"containers": [{"name": "hello", "image": "registry.example/hello:1"}]},
        },
    },
}
NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "huawei"}}
ADDRESSES = {"status": {"addresses": [{"type": "InternalIP", "address": topology.HUAWEI.node}]}}


class Cluster:
    """kubectl against the cluster, from inside its host."""

    def __init__(self, world: World, tools: Tools, kubeconfig: Path) -> None:
        self.world, self.tools, self.config = world, tools, kubeconfig

    def run(self, argv: list[str], *, stdin: str = "", check: bool = True) -> str:
        command = self.world.command("huawei", argv)
        result = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=60)
        if check and result.returncode != 0:
            raise RuntimeError(result.stderr)
        return result.stdout

    def kubectl(self, *arguments: str, stdin: str = "", check: bool = True) -> str:
        return self.run(
            [str(self.tools.kubectl), f"--kubeconfig={self.config}", *arguments], stdin=stdin, check=check
        )

    def items(self, kind: str, *arguments: str) -> list[Any]:
        found: list[Any] = json.loads(self.kubectl("get", kind, "-o", "json", *arguments))["items"]
        return found


def main(folder: Path) -> None:
    world = World(folder)
    topology.build(world)
    supervisor = Supervisor(world)
    tools = find_tools()
    place = topology.HUAWEI
    plane = ControlPlane(
        ClusterSpec("huawei", place.host, place.node, place.api), tools, world, supervisor, folder
    )
    try:
        plane.start()
        write_kubeconfig(folder / "kubeconfig", [plane])
        print(json.dumps(scenario(Cluster(world, tools, folder / "kubeconfig"), folder)))
        supervisor.check()
    finally:
        supervisor.stop_all()


def scenario(cluster: Cluster, folder: Path) -> dict[str, Any]:
    for manifest in (DEPLOYMENT, NODE):
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(manifest))
    cluster.kubectl("patch", "node", "huawei", "--subresource=status", "-p", json.dumps(ADDRESSES))
    deadline = time.monotonic() + 60
    while len(cluster.items("pods")) < 2 or "192.0.2.138" not in proxied(cluster):
        if time.monotonic() > deadline:
            raise RuntimeError(
                f"no pods or no rules of kube-proxy: {cluster.items('pods')}\n{proxied(cluster)}"
            )
        time.sleep(0.2)
    endpoints = cluster.items("endpointslices", "-l", "kubernetes.io/service-name=kubernetes")
    delete = ["auth", "can-i", "delete", "secrets", "--as=landfall:node"]
    return {
        "replica_sets": [item["spec"]["replicas"] for item in cluster.items("replicasets")],
        "pods": [item["status"]["phase"] for item in cluster.items("pods")],
        "kube_dns": cluster.items("services", "-n", "kube-system")[0]["spec"]["clusterIP"],
        "api_addresses": endpoints[0]["endpoints"][0]["addresses"],
        "contexts": [
            entry["name"] for entry in yaml.safe_load((folder / "kubeconfig").read_text())["contexts"]
        ],
        "proxied": proxied(cluster),
        "node_may_delete_secrets": cluster.kubectl(*delete, check=False).strip() == "yes",
    }


def proxied(cluster: Cluster) -> str:
    return cluster.run([str(cluster.tools.nft), "list", "ruleset"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
