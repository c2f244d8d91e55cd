"""A world with what the estate's stacks talk to and nothing else: no services, no databases, no traffic."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from lab.cloudflare.directory import NAME_SERVERS
from lab.engine.launcher import write_launcher
from lab.inventory import Client, clients
from lab.kubernetes.certificates import write_private
from lab.kubernetes.control_plane import ClusterSpec, ControlPlane, write_kubeconfig
from lab.kubernetes.node.images import BUILT_IN
from lab.setup import Tools
from lab.supervisor import Supervisor
from lab.topology import CLUSTER_DNS, POD_RANGE
from lab.world import WORLD, LabError, World
from stacks.settings import Environment

AWS_PORT = 5000
CLOUDFLARE_PORT = 8080
LOOPBACK = "127.0.0.1"
ELASTIC_IPS = "203.0.113.64/26"
SOURCE_INGRESS = "203.0.113.10"
CLUSTERS = {"huawei": ("198.51.100.1", "198.51.100.10"), "aws": ("198.51.100.129", "198.51.100.138")}
"""By kubeconfig context: the world's end of the link to the cluster's host, and the host's."""
SHARED = "huawei"
"""The context of the cluster that stands for all further ones."""
_TIMEOUT_SECONDS = 600.0
_FOUND_LINES = 20

Progress = Callable[[str], None]


class EstateWorld:
    """AWS's API, Cloudflare's, and two Kubernetes clusters; and `pulumi`, which works on them.

    Args:
        folder: the lab's own.
        zones: the Cloudflare zones, with the names of their A records.
        contexts: names of further clusters; one of the two stands for all of them.
    """

    def __init__(
        self,
        folder: Path,
        tools: Tools,
        zones: Mapping[str, Sequence[str]],
        contexts: Sequence[str],
        progress: Progress,
    ) -> None:
        self.folder = folder
        self.zone_ids = {zone: secrets.token_hex(16) for zone in zones}
        self.record_ids = {name: secrets.token_hex(16) for names in zones.values() for name in names}
        self.engine = ""
        self._zones = zones
        self._contexts = contexts
        self._tools = tools
        self._progress = progress
        self._world = World(folder)
        self._supervisor = Supervisor(self._world)
        self._token = secrets.token_urlsafe(30)
        self._kubeconfig = folder / "kubeconfig"
        self._bin = folder / "bin"
        self._passphrase = folder / "passphrase"
        self._clusters: dict[str, ControlPlane] = {}

    def start(self, engine: str) -> None:
        """Bring everything up.

        Args:
            engine: `official`, `lab`, or empty for the official `pulumi` where it is on PATH.
        """
        self._progress("AWS API, Cloudflare API, two Kubernetes clusters")
        write_private(self._passphrase, secrets.token_urlsafe(32).encode())
        for context, (near, far) in CLUSTERS.items():
            self._world.add_host(context)
            self._world.link(WORLD, context, near, far)
            self._world.route(context, "default", near)
        with ThreadPoolExecutor() as pool:
            parts = [pool.submit(self._start_aws), pool.submit(self._start_cloudflare)]
            parts += [pool.submit(self._start_cluster, context) for context in CLUSTERS]
            for part in parts:
                part.result()
        self._write_kubeconfig()
        self._start_providers()
        self.engine = self._use_engine(engine)

    def populate(self, environment: Environment) -> None:
        """Make what the settings say is there on the clusters, none of it running: the stacks change it."""
        for context in CLUSTERS:
            objects = yaml.safe_dump_all(_objects(environment, context))
            self.kubectl(context, "apply", "-f", "-", stdin=objects)

    def stop(self) -> None:
        """End every process, last started first."""
        self._supervisor.stop_all()

    def client(self, region: str) -> Client:
        """boto3 clients."""
        return clients(self.aws_url, region)

    @property
    def aws_url(self) -> str:
        """Where AWS's API answers."""
        return f"http://{LOOPBACK}:{AWS_PORT}"

    @property
    def cloudflare_url(self) -> str:
        """Where Cloudflare's API answers."""
        return f"http://{LOOPBACK}:{CLOUDFLARE_PORT}/client/v4"

    @property
    def cloudflare_token(self) -> str:
        """What Cloudflare's API lets in."""
        return self._token

    def kubectl(self, context: str, *arguments: str, stdin: str = "") -> str:
        """The output of kubectl on a cluster. Raises LabError."""
        return self._clusters[context].kubectl(*arguments, stdin=stdin)

    def pulumi(self, project: Path, *arguments: str) -> str:
        """The output of `pulumi`. Raises LabError with what it said where it fails."""
        result = self.try_pulumi(project, *arguments)
        if result.returncode != 0:
            lines = (result.stdout + result.stderr).splitlines()
            told = [line for line in lines if "error" in line.lower()] or lines
            text = "\n".join(told[-_FOUND_LINES:])
            raise LabError(f"`pulumi {' '.join(arguments)}` ended with code {result.returncode}:\n{text}")
        return result.stdout

    def try_pulumi(self, project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs `pulumi`, whatever comes of it."""
        return subprocess.run(
            ["pulumi", "--non-interactive", *arguments],
            cwd=project,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_SECONDS,
        )

    def environment(self) -> dict[str, str]:
        """The environment of whoever runs `pulumi`."""
        backend = self.folder / "state"
        backend.mkdir(exist_ok=True)
        path = [str(self._bin), str(Path(sys.executable).parent), os.environ["PATH"]]
        return {
            **os.environ,
            **self._clouds(),
            "PATH": os.pathsep.join(path),
            "PULUMI_HOME": str(self.folder / "pulumi-home"),
            "PULUMI_BACKEND_URL": f"file://{backend}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self._passphrase),
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DEBUG_PROVIDERS": (self.folder / "provider-ports").read_text().strip(),
        }

    def _clouds(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.aws_url,
            "AWS_ACCESS_KEY_ID": "lab",
            "AWS_SECRET_ACCESS_KEY": "lab",
            "CLOUDFLARE_BASE_URL": self.cloudflare_url,
            "CLOUDFLARE_API_TOKEN": self._token,
            "KUBECONFIG": str(self._kubeconfig),
        }

    def _start_aws(self) -> None:
        argv = [*_module("lab.aws"), "--port", str(AWS_PORT), "--elastic-ips", ELASTIC_IPS]
        self._supervisor.start("aws-api", argv, ready=lambda: _listens(AWS_PORT))

    def _start_cloudflare(self) -> None:
        described = []
        for zone, names in self._zones.items():
            records = [
                {"id": self.record_ids[name], "name": name, "type": "A", "content": SOURCE_INGRESS}
                | {"ttl": 300, "proxied": False}
                for name in names
            ]
            described.append({"id": self.zone_ids[zone], "name": zone, "records": records})
        servers = [{"name": server, "content": LOOPBACK, "ttl": 86400} for server in NAME_SERVERS]
        file = self.folder / "zones.json"
        file.write_text(json.dumps({"zones": described, "names": servers}))
        token = self.folder / "cloudflare-token"
        write_private(token, self._token.encode())
        argv = [
            *_module("lab.cloudflare"),
            *("--listen", LOOPBACK, "--port", str(CLOUDFLARE_PORT), "--dns", LOOPBACK),
            *("--zones", str(file), "--token-file", str(token)),
        ]
        self._supervisor.start("cloudflare", argv, ready=lambda: _listens(CLOUDFLARE_PORT))

    def _start_cluster(self, context: str) -> None:
        """A control plane with a node: what landfall itself runs there has to become ready."""
        address = CLUSTERS[context][1]
        spec = ClusterSpec(context, context, address, address)
        cluster = ControlPlane(spec, self._tools, self._world, self._supervisor, self.folder / "clusters")
        cluster.start()
        images = cluster.folder / "images.json"
        images.write_text(
            json.dumps({name: image.model_dump(mode="json") for name, image in BUILT_IN.items()})
        )
        certificate, key = cluster.node_certificate
        argv = [
            *_module("lab.kubernetes.node"),
            *("--kubeconfig", str(cluster.kubeconfig("node")), "--node", context),
            *("--pods", POD_RANGE, "--cluster-dns", CLUSTER_DNS),
            *("--images", str(images), "--folder", str(cluster.folder / "node"), "--address", address),
            *("--certificate", str(certificate), "--key", str(key), "--authority", str(cluster.authority)),
        ]
        self._supervisor.start(f"{context}-node", argv, host=context)
        self._clusters[context] = cluster

    def _write_kubeconfig(self) -> None:
        """The two clusters; the first one's address by the further clusters' names too."""
        write_kubeconfig(self._kubeconfig, [self._clusters[context] for context in CLUSTERS])
        document = yaml.safe_load(self._kubeconfig.read_text())
        shared = next(entry["context"] for entry in document["contexts"] if entry["name"] == SHARED)
        document["contexts"] += [{"name": name, "context": shared} for name in self._contexts]
        write_private(self._kubeconfig, yaml.safe_dump(document).encode())

    def _start_providers(self) -> None:
        ports = self.folder / "provider-ports"
        argv = [*_module("lab.providers"), "--write-ports", str(ports)]
        self._supervisor.start("providers", argv, env=self._clouds(), ready=ports.exists)

    def _use_engine(self, engine: str) -> str:
        official = shutil.which("pulumi")
        if engine == "official" and official is None:
            raise LabError("ENGINE=official, but no `pulumi` is on PATH: install it, or use ENGINE=lab")
        self._bin.mkdir()
        if official is not None and engine in ("", "official"):
            (self._bin / "pulumi").symlink_to(official)
            return "official"
        write_launcher(self._bin)
        return "lab"


def _objects(environment: Environment, context: str) -> Iterator[dict[str, Any]]:
    sides = {name for name in ("source", "target") if environment.contexts[name] == context}
    here = sides | (set(environment.clusters) if context == SHARED else set())
    maps: dict[tuple[str, str], dict[str, str]] = {}
    for caller in environment.callers:
        for entry in caller.entries if caller.cluster in here else ():
            maps.setdefault((caller.namespace, entry.config_map), {})[entry.key] = entry.source
    for config in environment.config_entries if sides else ():
        maps.setdefault((config.namespace, config.config_map), {})[config.key] = "to be stated"
    namespaces = {namespace for namespace, _ in maps} | set(environment.namespaces if sides else ())
    for namespace in sorted(namespaces):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    for (namespace, name), data in maps.items():
        yield _object("v1", "ConfigMap", namespace, name, data=data)
    if sides:
        yield from _workloads(environment)


def _workloads(environment: Environment) -> Iterator[dict[str, Any]]:
    selectors = {found.key: found.selector for found in environment.workloads}
    for workload in environment.all_workloads:
        labels = selectors.get(workload.key, {"app": workload.name})
        container = {"name": workload.name, "image": environment.probe_image}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec: dict[str, Any] = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
        if workload.kind == "StatefulSet":
            spec["serviceName"] = workload.name
        yield _object("apps/v1", workload.kind, workload.namespace, workload.name, spec=spec)
    for domain in environment.domains:
        namespace, _, name = domain.service.partition("/")
        ports = [{"port": 80, "targetPort": domain.target_port}]
        spec = {"selector": environment.selector(domain), "ports": ports}
        yield _object("v1", "Service", namespace, name, spec=spec)


def _object(version: str, kind: str, namespace: str, name: str, **content: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", name]


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1.0).close()
    except OSError:
        return False
    return True
