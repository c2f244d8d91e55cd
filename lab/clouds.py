"""Both clouds of a lab: brings them up, deploys the services on the source, says how to reach it all."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import boto3
import yaml

from lab import topology
from lab.cloudflare.directory import NAME_SERVERS
from lab.database import HuaweiDatabase
from lab.engine.launcher import write_launcher
from lab.kubernetes.certificates import Authority, write_private
from lab.kubernetes.control_plane import ClusterSpec, ControlPlane, write_kubeconfig
from lab.kubernetes.node.images import BUILT_IN
from lab.services.images import images
from lab.setup import Tools
from lab.supervisor import Supervisor
from lab.topology import AWS, HUAWEI, Place
from lab.world import WORLD, LabError, World

REGION = "ap-southeast-1"
ZONE = "truewatch.com"
DOMAIN = "bill.truewatch.com"
SERVICES_NAMESPACE = "billing-guance-intl"
_TRUSTED = "/etc/ssl/certs/ca-certificates.crt"
_MANIFESTS = Path(__file__).parent / "manifests"
_KUBECTL_TIMEOUT_SECONDS = 90.0
_OPERATOR_TIMEOUT_SECONDS = 900.0

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Cluster:
    """A cluster with the processes that belong to it."""

    place: Place
    control_plane: ControlPlane


class Clouds:
    """The source cloud, the target cloud, Cloudflare, and an operator's place from which to reach them.

    `folder` is the lab's own; `ttl_divisor` shortens the TTLs that DNS answers.
    """

    def __init__(self, folder: Path, tools: Tools, *, ttl_divisor: int, progress: Progress) -> None:
        self.folder = folder
        self.tools = tools
        self.world = World(folder)
        self.supervisor = Supervisor(self.world)
        self._progress = progress
        self._ttl_divisor = ttl_divisor
        self._token = secrets.token_urlsafe(30)
        self._web_authority = Authority("landfall lab web")
        self.web_ca = folder / "web-ca.crt"
        self.kubeconfig = folder / "kubeconfig"
        self.bin = folder / "bin"
        self.database = HuaweiDatabase(self.world, self.supervisor, tools, folder / "huawei-rds")
        self.zone_id = secrets.token_hex(16)
        self.record_id = secrets.token_hex(16)
        self.nat_addresses: tuple[str, ...] = ()
        self.ingress_addresses: tuple[str, ...] = ()
        self._clusters: list[Cluster] = []
        self._passphrase = folder / "passphrase"

    def start(self) -> None:
        """Bring everything up; returns once BOSS serves on the source and the target is empty."""
        self._progress("network: hosts and links")
        topology.build(self.world)
        self.web_ca.write_bytes(self._web_authority.certificate)
        write_private(self._passphrase, secrets.token_urlsafe(32).encode())
        self._progress("AWS API, Cloudflare API and DNS, database, two Kubernetes control planes")
        with ThreadPoolExecutor() as pool:
            parts = [
                pool.submit(part) for part in (self._start_aws, self._start_cloudflare, self._start_database)
            ]
            parts += [pool.submit(self._start_cluster, place) for place in (HUAWEI, AWS)]
            for part in parts:
                part.result()
        self._clusters.sort(key=lambda cluster: cluster.place.host != HUAWEI.host)
        write_kubeconfig(self.kubeconfig, [cluster.control_plane for cluster in self._clusters])
        self._start_ingress(HUAWEI, [topology.HUAWEI_INGRESS])
        self._progress("BOSS and Redis on the source")
        self._deploy_services()
        self._start_providers()
        self.world.resolver(WORLD, topology.PUBLIC_DNS)

    def _start_aws(self) -> None:
        argv = [
            *_module("lab.aws"),
            *("--host", topology.AWS_API, "--port", str(topology.AWS_API_PORT)),
            *("--elastic-ips", topology.ELASTIC_IPS),
        ]
        self.supervisor.start(
            "aws-api", argv, ready=lambda: _listens(topology.AWS_API, topology.AWS_API_PORT)
        )

    def _start_cloudflare(self) -> None:
        zones = self.folder / "zones.json"
        record = {
            "id": self.record_id,
            "name": DOMAIN,
            "type": "A",
            "content": topology.HUAWEI_INGRESS,
            "ttl": 300,
            "proxied": False,
        }
        names = [{"name": server, "content": topology.PUBLIC_DNS, "ttl": 86400} for server in NAME_SERVERS]
        zone = {"id": self.zone_id, "name": ZONE, "records": [record]}
        zones.write_text(json.dumps({"zones": [zone], "names": names}))
        token = self.folder / "cloudflare-token"
        write_private(token, self._token.encode())
        argv = [
            *_module("lab.cloudflare"),
            *("--listen", topology.CLOUDFLARE_API, "--port", str(topology.CLOUDFLARE_PORT)),
            *("--dns", topology.PUBLIC_DNS, "--zones", str(zones)),
            *("--ttl-divisor", str(self._ttl_divisor), "--token-file", str(token)),
        ]
        ready = lambda: _listens(topology.CLOUDFLARE_API, topology.CLOUDFLARE_PORT)  # noqa: E731
        self.supervisor.start("cloudflare", argv, ready=ready)
        internal = self.folder / "huawei-names.json"
        internal.write_text(
            json.dumps({"records": [{"name": topology.DATABASE_NAME, "content": topology.DATABASE_INTERNAL}]})
        )
        resolver = [*_module("lab.dns"), "--listen", HUAWEI.node, "--records", str(internal)]
        self.supervisor.start(
            "huawei-resolver", [*resolver, "--upstream", topology.PUBLIC_DNS], host=HUAWEI.host
        )

    def _start_database(self) -> None:
        self.database.start()

    def _start_cluster(self, place: Place) -> None:
        spec = ClusterSpec(place.host, place.host, place.node, place.api)
        folder = self.folder / "clusters"
        control_plane = ControlPlane(spec, self.tools, self.world, self.supervisor, folder)
        control_plane.start()
        own = control_plane.folder
        images_file = own / "images.json"
        images_file.write_text(json.dumps({**images(), "nginx": self._nginx_image()}))
        certificate, key = control_plane.node_certificate
        node = [
            *_module("lab.kubernetes.node"),
            *("--kubeconfig", str(control_plane.kubeconfig("node")), "--node", place.host),
            *("--pods", topology.POD_RANGE, "--cluster-dns", topology.CLUSTER_DNS),
            *("--images", str(images_file), "--folder", str(own / "node"), "--address", place.node),
            *("--certificate", str(certificate), "--key", str(key)),
            *("--authority", str(control_plane.authority)),
        ]
        self.supervisor.start(f"{place.host}-node", node, host=place.host)
        upstream = HUAWEI.node if place is HUAWEI else topology.PUBLIC_DNS
        dns = [
            *_module("lab.kubernetes.cluster_dns"),
            *("--kubeconfig", str(control_plane.kubeconfig("cluster-dns"))),
            # the node's port 53 belongs to the VPC's resolver; the Service kube-dns points here
            *("--listen", place.node, "--port", "1053", "--upstream", upstream),
        ]
        self.supervisor.start(f"{place.host}-cluster-dns", dns, host=place.host)
        self._clusters.append(Cluster(place, control_plane))

    def _nginx_image(self) -> dict[str, object]:
        """nginx with the lab's authority among those it trusts, as a company's own base image has it."""
        image = BUILT_IN["nginx"].model_dump(mode="json")
        return {**image, "files": {**image["files"], _TRUSTED: self._web_authority.certificate.decode()}}

    def _start_ingress(self, place: Place, addresses: Sequence[str]) -> None:
        (cluster,) = (cluster for cluster in self._clusters if cluster.place is place)
        argv = [
            *_module("lab.kubernetes.ingress"),
            *("--kubeconfig", str(cluster.control_plane.kubeconfig("ingress")), "--class", "nginx"),
            *(word for address in addresses for word in ("--listen", address)),
            *("--folder", str(cluster.control_plane.folder / "ingress")),
        ]
        self.supervisor.start(
            f"{place.host}-ingress", argv, host=place.host, ready=lambda: _listens(addresses[0], 443)
        )

    def _deploy_services(self) -> None:
        login = self.database.application
        pair = self._web_authority.server(DOMAIN, [DOMAIN])
        made = [
            _secret("boss-database", {"DATABASE_USER": login.user, "DATABASE_PASSWORD": login.password}),
            _secret(
                "bill-truewatch-com-tls",
                {"tls.crt": pair.certificate.decode(), "tls.key": pair.key.decode()},
                kind="kubernetes.io/tls",
            ),
        ]
        manifests = [(_MANIFESTS / name).read_text() for name in ("boss.yaml", "redis-basis.yaml")]
        self.kubectl(HUAWEI, "apply", "-f", "-", stdin="\n---\n".join([*manifests, yaml.safe_dump_all(made)]))
        for namespace, name in (("middleware", "redis-basis"), (SERVICES_NAMESPACE, "boss")):
            self.kubectl(HUAWEI, "rollout", "status", "-n", namespace, f"deployment/{name}", "--timeout=60s")

    def _start_providers(self) -> None:
        ports = self.folder / "provider-ports"
        argv = [*_module("lab.providers"), "--write-ports", str(ports)]
        self.supervisor.start(
            "providers", argv, host=AWS.host, env=self._cloud_environment(), ready=ports.exists
        )
        self.bin.mkdir(exist_ok=True)

    def use_engine(self, engine: str) -> str:
        """Put `official` or the `lab`'s pulumi first on the operator's PATH; gives which one it is.

        An empty choice takes the official one where it is on PATH. Raises LabError where it is asked for
        and absent.
        """
        official = shutil.which("pulumi")
        if engine == "official" and official is None:
            raise LabError(
                "ENGINE=official, but no `pulumi` is on PATH: install the official CLI, or ENGINE=lab"
            )
        if engine == "official" or (engine == "" and official is not None):
            (self.bin / "pulumi").symlink_to(str(official))
            return "official"
        write_launcher(self.bin)
        return "lab"

    def attach_aws(self) -> None:
        """Give the AWS side the addresses that `pulumi up` obtained, and start its ingress on them."""
        ec2 = boto3.client(
            "ec2",
            endpoint_url=f"http://{topology.AWS_API}:{topology.AWS_API_PORT}",
            region_name=REGION,
            aws_access_key_id="lab",
            aws_secret_access_key="lab",
        )
        found: dict[str, list[str]] = {"nat": [], "ingress": []}
        for address in ec2.describe_addresses()["Addresses"]:
            tags = {tag["Key"]: tag["Value"] for tag in address.get("Tags", [])}
            if tags.get("landfall:role") in found:
                found[tags["landfall:role"]].append(address["PublicIp"])
        missing = [role for role, addresses in found.items() if not addresses]
        if missing:
            raise LabError(f"`pulumi up` made no Elastic IP tagged landfall:role={' or '.join(missing)}")
        self.nat_addresses, self.ingress_addresses = tuple(found["nat"]), tuple(found["ingress"])
        topology.attach_aws(self.world, found["nat"][0], found["ingress"])
        self._start_ingress(AWS, found["ingress"])

    def open_database(self) -> None:
        """What the owner of the Huawei account does: bind the EIP, let in the target's NAT addresses."""
        self.database.bind_eip()
        for address in self.nat_addresses:
            self.database.allow(address)

    def operator_environment(self) -> dict[str, str]:
        """The environment of someone at the workspace instance: standard variables, nothing of the lab."""
        # what a killed runner leaves behind goes with the lab
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        administrator = self.database.administrator
        debug_providers = (self.folder / "provider-ports").read_text().strip()
        return {
            **os.environ,
            **self._cloud_environment(),
            "PATH": os.pathsep.join(
                [
                    str(self.bin),
                    str(Path(sys.executable).parent),
                    str(self.tools.kubectl.parent),
                    os.environ["PATH"],
                ]
            ),
            "TMPDIR": str(temporary),
            "PULUMI_HOME": str(self.folder / "pulumi-home"),
            "PULUMI_BACKEND_URL": f"file://{self._backend()}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self._passphrase),
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DEBUG_PROVIDERS": debug_providers,
            "SSL_CERT_FILE": str(self.web_ca),
            "LANDFALL_SOURCE_DATABASE_USER": administrator.user,
            "LANDFALL_SOURCE_DATABASE_PASSWORD": administrator.password,
        }

    def _backend(self) -> Path:
        folder = self.folder / "state"
        folder.mkdir(exist_ok=True)
        return folder

    def _cloud_environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://{topology.AWS_API}:{topology.AWS_API_PORT}",
            "AWS_ACCESS_KEY_ID": "lab",
            "AWS_SECRET_ACCESS_KEY": "lab",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "CLOUDFLARE_BASE_URL": f"http://{topology.CLOUDFLARE_API}:{topology.CLOUDFLARE_PORT}/client/v4",
            "CLOUDFLARE_API_TOKEN": self._token,
            "KUBECONFIG": str(self.kubeconfig),
        }

    def operator(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        capture: bool = True,
        timeout: float = _OPERATOR_TIMEOUT_SECONDS,
        extra: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command at the workspace instance, in the AWS network. `timeout` in seconds."""
        command = self.world.command(AWS.host, argv)
        environment = {**self.operator_environment(), **(extra or {})}
        return subprocess.run(
            command, cwd=cwd, env=environment, capture_output=capture, text=True, check=False, timeout=timeout
        )

    def operator_process(
        self, argv: Sequence[str], *, cwd: Path, extra: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """Start a command at the workspace instance; it writes to this terminal."""
        environment = {**self.operator_environment(), **extra}
        return subprocess.Popen(self.world.command(AWS.host, argv), cwd=cwd, env=environment)

    def kubectl(self, place: Place, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl against a cluster; gives its output. Raises LabError."""
        argv = [str(self.tools.kubectl), f"--kubeconfig={self.kubeconfig}", f"--context={place.host}"]
        argv += [f"--cache-dir={self.folder / 'discovery'}", *arguments]
        result = subprocess.run(
            self.world.command(place.host, argv),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=_KUBECTL_TIMEOUT_SECONDS,
        )
        if result.returncode != 0:
            raise LabError(f"`kubectl {' '.join(arguments)}` on {place.host}: {result.stderr.strip()}")
        return result.stdout

    def stop(self) -> None:
        """End every process of the lab, last started first."""
        self.supervisor.stop_all()


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", name]


def _listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _secret(name: str, values: Mapping[str, str], kind: str = "Opaque") -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": {"name": name, "namespace": SERVICES_NAMESPACE},
        "stringData": dict(values),
    }
