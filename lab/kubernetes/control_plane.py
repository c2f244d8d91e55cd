"""A real Kubernetes control plane for one cluster of the lab, in that cluster's host.

etcd, kube-apiserver and kube-controller-manager, and kube-proxy for the cluster's one node. There is no
scheduler: a cluster has one node, whose agent (`lab.kubernetes.node`) binds pods to itself.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import yaml

from lab.kubernetes.certificates import Authority, KeyPair, write_private
from lab.kubernetes.manifests import bootstrap_objects
from lab.setup import Tools
from lab.supervisor import Supervisor
from lab.topology import CLUSTER_DNS, POD_RANGE, SERVICE_RANGE
from lab.world import LabError, World

API_PORT = 6443
_ETCD_URL = "http://127.0.0.1:2379"
_START_TIMEOUT_SECONDS = 120.0
_PROBE_TIMEOUT_SECONDS = 5.0
_COMMAND_TIMEOUT_SECONDS = 90.0
_PROBE_PAUSE_SECONDS = 0.2

# Asked from inside the cluster's host, because an API need not be reachable from anywhere else.
_PROBE = """
import ssl, sys, urllib.request
url, authority, certificate, key = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
context.load_cert_chain(certificate, key)
handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
urllib.request.build_opener(*handlers).open(url, timeout=3)
"""

USERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "admin": ("landfall:admin", ("system:masters",)),
    "node": ("landfall:node", ()),
    "ingress": ("landfall:ingress", ()),
    "cluster-dns": ("landfall:cluster-dns", ()),
    # Velero runs beside the cluster as the service account that its own installer gives its rights to
    "velero": ("system:serviceaccount:velero:velero", ("system:serviceaccounts",)),
    "controller-manager": ("system:kube-controller-manager", ()),
    "proxy": ("system:kube-proxy", ()),
}
"""Kubeconfigs that a control plane writes: the user and the groups by which the API knows its bearer."""


@dataclass(frozen=True)
class ClusterSpec:
    """One cluster: `name` is also its node's name and its kubeconfig context.

    `node_address` and `api_address` exist in `host`; the API listens on `api_address`, and its certificate
    holds for `public_names` too (names or addresses).
    """

    name: str
    host: str
    node_address: str
    api_address: str
    public_names: tuple[str, ...] = ()

    @property
    def server(self) -> str:
        """The URL of the cluster's API."""
        return f"https://{self.api_address}:{API_PORT}"


class ControlPlane:
    """The control plane of one cluster. Its files (keys, kubeconfigs) lie in `<folder>/<cluster>`."""

    def __init__(
        self, spec: ClusterSpec, tools: Tools, world: World, supervisor: Supervisor, folder: Path
    ) -> None:
        self.spec = spec
        self.folder = folder.resolve() / spec.name
        self._tools = tools
        self._world = world
        self._supervisor = supervisor
        self._authority = Authority(f"landfall lab {spec.name}")
        self._pki = self.folder / "pki"
        self._users: dict[str, KeyPair] = {}

    def start(self) -> None:
        """Start all, and return once the API is ready and pods can be created.

        kube-proxy then waits for the node, which has 30 s to register. Raises LabError.
        """
        self._write_credentials()
        self._start_etcd()
        self._start_api_server()
        self._start_controller_manager()
        self._create_objects()
        self._wait_for("its default service account", self._can_create_pods)
        self._start_proxy()

    def stop(self) -> None:
        """End all, etcd last."""
        for name in ("kube-proxy", "kube-controller-manager", "kube-apiserver", "etcd"):
            self._supervisor.stop(self._process(name))

    def kubeconfig(self, user: str) -> Path:
        """The kubeconfig of one of `USERS`."""
        return self.folder / f"{user}.kubeconfig"

    @property
    def authority(self) -> Path:
        """The certificate of the cluster's authority, PEM."""
        return self._pki / "ca.crt"

    @property
    def node_certificate(self) -> tuple[Path, Path]:
        """Certificate and key with which the node agent serves the kubelet's API to the API server."""
        return self._pki / "kubelet.crt", self._pki / "kubelet.key"

    def entry(self) -> dict[str, Any]:
        """This cluster as an administrator's kubeconfig with one context."""
        return self._kubeconfig("admin")

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """The output of kubectl, as an administrator, in the cluster's host. Raises LabError if it fails."""
        options = [f"--kubeconfig={self.kubeconfig('admin')}", f"--cache-dir={self.folder / 'discovery'}"]
        return self.run([str(self._tools.kubectl), *options, *arguments], stdin=stdin)

    def run(self, argv: Sequence[str], *, stdin: str = "") -> str:
        """The output of a command in the cluster's host. Raises LabError if it fails."""
        command = self._world.command(self.spec.host, argv)
        what = f"`{shlex.join(argv)}` in cluster {self.spec.name}"
        try:
            result = subprocess.run(
                command,
                input=stdin,
                capture_output=True,
                text=True,
                check=False,
                timeout=_COMMAND_TIMEOUT_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{what} did not end within {_COMMAND_TIMEOUT_SECONDS:.0f} s") from error
        if result.returncode != 0:
            raise LabError(f"{what} failed: {result.stderr.strip()}")
        return result.stdout

    def _process(self, name: str) -> str:
        return f"{self.spec.name}-{name}"

    def _write_credentials(self) -> None:
        self._pki.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        spec, authority = self.spec, self._authority
        self.authority.write_bytes(authority.certificate)
        services = ip_network(SERVICE_RANGE)
        kubernetes = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
        names = [
            *kubernetes,
            "kubernetes.default.svc.cluster.local",
            str(services[1]),
            "localhost",
            "127.0.0.1",
        ]
        server = authority.server(
            "kube-apiserver", [*names, spec.api_address, spec.node_address, *spec.public_names]
        )
        server.write(self._pki, "apiserver")
        manager = authority.server("kube-controller-manager", ["localhost", "127.0.0.1"])
        manager.write(self._pki, "controller-manager-server")
        authority.server(f"system:node:{spec.name}", [spec.name, spec.node_address]).write(
            self._pki, "kubelet"
        )
        authority.client("kube-apiserver-kubelet-client", ["system:masters"]).write(
            self._pki, "kubelet-client"
        )
        authority.client("service-accounts").write(self._pki, "service-accounts")
        front_proxy = Authority(f"landfall lab {spec.name} front proxy")
        (self._pki / "front-proxy-ca.crt").write_bytes(front_proxy.certificate)
        front_proxy.client("front-proxy-client").write(self._pki, "front-proxy-client")
        for user, (common_name, groups) in USERS.items():
            self._users[user] = authority.client(common_name, groups)
            self._users[user].write(self._pki, user)
            write_private(self.kubeconfig(user), yaml.safe_dump(self._kubeconfig(user)).encode())

    def _kubeconfig(self, user: str) -> dict[str, Any]:
        name, pair = self.spec.name, self._users[user]
        bearer = {
            "client-certificate-data": b64encode(pair.certificate).decode(),
            "client-key-data": b64encode(pair.key).decode(),
        }
        cluster = {
            "server": self.spec.server,
            "certificate-authority-data": b64encode(self._authority.certificate).decode(),
        }
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": name, "user": f"{name}-{user}"}}],
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": f"{name}-{user}", "user": bearer}],
        }

    def _start_etcd(self) -> None:
        # The world's own /run is in memory and ends with it: nothing to sync, nothing to clean up.
        data = Path("/run") / self._process("etcd")
        self._supervisor.start(
            self._process("etcd"),
            [
                str(self._tools.etcd),
                f"--name={self.spec.name}",
                f"--data-dir={data}",
                f"--listen-client-urls={_ETCD_URL}",
                f"--advertise-client-urls={_ETCD_URL}",
                "--listen-peer-urls=http://127.0.0.1:2380",
                "--initial-advertise-peer-urls=http://127.0.0.1:2380",
                f"--initial-cluster={self.spec.name}=http://127.0.0.1:2380",
                "--logger=zap",
                "--log-level=warn",
            ],
            host=self.spec.host,
            env={"GOMAXPROCS": "2"},
        )

    def _start_api_server(self) -> None:
        pki, spec = self._pki, self.spec
        self._supervisor.start(
            self._process("kube-apiserver"),
            [
                str(self._tools.kube_apiserver),
                f"--etcd-servers={_ETCD_URL}",
                f"--bind-address={spec.api_address}",
                f"--advertise-address={spec.api_address}",
                f"--secure-port={API_PORT}",
                f"--service-cluster-ip-range={SERVICE_RANGE}",
                f"--tls-cert-file={pki / 'apiserver.crt'}",
                f"--tls-private-key-file={pki / 'apiserver.key'}",
                f"--client-ca-file={self.authority}",
                f"--kubelet-certificate-authority={self.authority}",
                f"--kubelet-client-certificate={pki / 'kubelet-client.crt'}",
                f"--kubelet-client-key={pki / 'kubelet-client.key'}",
                "--kubelet-preferred-address-types=InternalIP",
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                f"--service-account-key-file={pki / 'service-accounts.crt'}",
                f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
                f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
                "--requestheader-allowed-names=front-proxy-client",
                "--requestheader-extra-headers-prefix=X-Remote-Extra-",
                "--requestheader-group-headers=X-Remote-Group",
                "--requestheader-username-headers=X-Remote-User",
                f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
                f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
                "--authorization-mode=RBAC",
                "--allow-privileged=true",
                "--profiling=false",
                # one API server and few clients: nothing to share fairly
                "--enable-priority-and-fairness=false",
            ],
            host=spec.host,
            env={"GOMAXPROCS": "2"},
            ready=paced(lambda: self._answers(f"{spec.server}/readyz")),
            timeout=_START_TIMEOUT_SECONDS,
        )

    def _start_controller_manager(self) -> None:
        kubeconfig = self.kubeconfig("controller-manager")
        self._supervisor.start(
            self._process("kube-controller-manager"),
            [
                str(self._tools.kube_controller_manager),
                f"--kubeconfig={kubeconfig}",
                f"--authentication-kubeconfig={kubeconfig}",
                f"--authorization-kubeconfig={kubeconfig}",
                "--bind-address=127.0.0.1",
                f"--tls-cert-file={self._pki / 'controller-manager-server.crt'}",
                f"--tls-private-key-file={self._pki / 'controller-manager-server.key'}",
                f"--root-ca-file={self.authority}",
                f"--service-account-private-key-file={self._pki / 'service-accounts.key'}",
                "--use-service-account-credentials=true",
                "--leader-elect=false",
                "--controllers=*",
                # a busy machine must not pass for a dead node
                "--node-monitor-grace-period=5m",
                "--kube-api-qps=200",
                "--kube-api-burst=400",
                "--profiling=false",
            ],
            host=self.spec.host,
            env={"GOMAXPROCS": "2"},
        )

    def _start_proxy(self) -> None:
        # by flags: a configuration file would be watched, and the machine has few watches for all its labs
        self._supervisor.start(
            self._process("kube-proxy"),
            [
                str(self._tools.kube_proxy),
                f"--kubeconfig={self.kubeconfig('proxy')}",
                f"--hostname-override={self.spec.name}",
                "--proxy-mode=nftables",
                "--detect-local-mode=ClusterCIDR",
                f"--cluster-cidr={POD_RANGE}",
                "--healthz-bind-address=127.0.0.1:10256",
                "--metrics-bind-address=127.0.0.1:10249",
                # the size of the connection table belongs to the machine: zero leaves it alone
                "--conntrack-max-per-core=0",
                "--conntrack-min=0",
                "--conntrack-tcp-timeout-established=0",
                "--conntrack-tcp-timeout-close-wait=0",
            ],
            host=self.spec.host,
            env={"GOMAXPROCS": "1", "PATH": f"{self._tools.nft.parent}:/usr/sbin:/usr/bin:/sbin:/bin"},
        )

    def _create_objects(self) -> None:
        objects = yaml.safe_dump_all(bootstrap_objects(CLUSTER_DNS))
        self.kubectl("apply", "--server-side", "--field-manager=landfall-lab", "-f", "-", stdin=objects)

    def _can_create_pods(self) -> bool:
        accounts = self.kubectl("get", "serviceaccounts", "-n", "default", "-o", "name").split()
        return "serviceaccount/default" in accounts

    def _answers(self, url: str) -> bool:
        pair = [str(self._pki / f"admin.{suffix}") for suffix in ("crt", "key")]
        argv = [sys.executable, "-I", "-c", _PROBE, url, str(self.authority), *pair]
        command = self._world.command(self.spec.host, argv)
        try:
            result = subprocess.run(command, capture_output=True, check=False, timeout=_PROBE_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        return result.returncode == 0

    def _wait_for(self, what: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while not holds():
            self._supervisor.check()
            if time.monotonic() > deadline:
                raise LabError(
                    f"cluster {self.spec.name} did not get {what} within {_START_TIMEOUT_SECONDS:.0f} s; "
                    f"see {self._supervisor.log(self._process('kube-controller-manager'))}"
                )
            time.sleep(_PROBE_PAUSE_SECONDS)


def paced(holds: Callable[[], bool]) -> Callable[[], bool]:
    """`holds`, looked at a few times a second: for looks that start a process."""

    def look() -> bool:
        time.sleep(_PROBE_PAUSE_SECONDS)
        return holds()

    return look


def write_kubeconfig(path: Path, clusters: Sequence[ControlPlane]) -> None:
    """Write one kubeconfig with an administrator's context for each started cluster; the first is current."""
    entries = [cluster.entry() for cluster in clusters]
    merged = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": clusters[0].spec.name,
        **{key: [entry[key][0] for entry in entries] for key in ("contexts", "clusters", "users")},
    }
    write_private(path, yaml.safe_dump(merged).encode())
