"""The cluster under test: by kubectl, and by its processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from lab.kubernetes.certificates import Authority
from lab.kubernetes.control_plane import ControlPlane
from lab.supervisor import Supervisor
from lab.topology import CLUSTER_DNS, POD_RANGE
from lab.world import World

HOST = "cluster"
NODE = "198.51.100.10"
INGRESS = "203.0.113.10"
UPSTREAM = "203.0.113.53"
SERVER = Path(__file__).with_name("server.py")
Object = dict[str, Any]


class Cluster:
    """The cluster under test, by kubectl."""

    def __init__(
        self, world: World, supervisor: Supervisor, control_plane: ControlPlane, kubectl: Path
    ) -> None:
        self.world = world
        self.supervisor = supervisor
        self.control_plane = control_plane
        self.node_folder = control_plane.folder / "node"
        self.images = control_plane.folder / "images.json"
        self.authority = Authority("test web")
        self._kubectl = str(kubectl)

    def kubectl_result(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        options = [f"--kubeconfig={self.control_plane.kubeconfig('admin')}", "--request-timeout=20s"]
        return self.execute(self._kubectl, *options, *arguments, stdin=stdin)

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        result = self.kubectl_result(*arguments, stdin=stdin)
        if check and result.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {result.stderr}")
        return result.stdout

    def execute(self, *argv: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """A command on the cluster's host."""
        return subprocess.run(
            self.world.command(HOST, argv),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )

    def apply(self, *objects: Object) -> None:
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(objects))

    def get(self, kind: str, name: str, namespace: str) -> Object:
        found: Object = json.loads(self.kubectl("get", kind, name, "-n", namespace, "-o", "json"))
        return found

    def wait_for(
        self, kind: str, name: str, namespace: str, holds: Callable[[Object], Any], timeout: float = 40.0
    ) -> Object:
        """Poll an object until `holds` is true of it."""
        deadline = time.monotonic() + timeout
        while True:
            found = self.get(kind, name, namespace)
            if holds(found):
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{kind} {name}: {json.dumps(found.get('status'), indent=1)}")
            time.sleep(0.1)

    def poll(self, holds: Callable[[], Any], problem: str, timeout: float = 40.0) -> None:
        """Wait until `holds()` is true."""
        deadline = time.monotonic() + timeout
        while not holds():
            assert time.monotonic() < deadline, problem
            time.sleep(0.1)

    def wait_gone(self, kind: str, name: str, namespace: str) -> None:
        self.kubectl("wait", "--for=delete", kind, name, "-n", namespace, "--timeout=40s")

    def log(self, namespace: str, pod: str, container: str) -> str:
        return (self.node_folder / "logs" / f"{namespace}_{pod}_{container}.log").read_text()

    def make_namespace(self, name: str) -> None:
        """A namespace in which pods can be made."""
        self.kubectl("create", "namespace", name)
        account = ("get", "serviceaccount", "default", "-n", name, "-o", "name")
        self.poll(lambda: self.kubectl(*account, check=False), f"namespace {name} got no service account")

    def nginx_workers(self) -> list[str]:
        """Process ids of the ingress's workers."""
        (master,) = self.execute("cat", str(self.control_plane.folder / "ingress/nginx.pid")).stdout.split()
        return self.execute("pgrep", "-P", master).stdout.split()

    def start_node(self) -> None:
        certificate, key = self.control_plane.node_certificate
        self._start(
            "node",
            "lab.kubernetes.node",
            *("--node", HOST, "--address", NODE, "--pods", POD_RANGE, "--cluster-dns", CLUSTER_DNS),
            *("--images", str(self.images), "--folder", str(self.node_folder), "--backoff", "1"),
            *("--certificate", str(certificate), "--key", str(key)),
            *("--authority", str(self.control_plane.authority)),
        )

    def start_ingress(self) -> None:
        self._start(
            "ingress",
            "lab.kubernetes.ingress",
            *(
                "--class",
                "nginx",
                "--listen",
                INGRESS,
                "--folder",
                str(self.control_plane.folder / "ingress"),
            ),
        )

    def start_dns(self) -> None:
        self._start("cluster-dns", "lab.kubernetes.cluster_dns", *("--listen", NODE, "--upstream", UPSTREAM))

    def _start(self, name: str, module: str, *arguments: str) -> None:
        kubeconfig = str(self.control_plane.kubeconfig(name))
        argv = [sys.executable, "-m", module, "--kubeconfig", kubeconfig, *arguments]
        self.supervisor.start(name, argv, host=HOST)
