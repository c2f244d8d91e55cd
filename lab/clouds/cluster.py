"""One cluster of a lab with everything that belongs to it: control plane, node, cluster DNS, ingress."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import yaml

from lab import topology
from lab.clouds.internet import module
from lab.kubernetes.control_plane import ClusterSpec, ControlPlane
from lab.kubernetes.node.images import BUILT_IN
from lab.services.images import INGRESS_IMAGE, TRUSTED, images
from lab.setup import Tools
from lab.supervisor import Supervisor
from lab.topology import Place
from lab.velero import Storage, start_velero
from lab.world import LabError, World

INGRESS_NAMESPACE = "ingress-nginx"
INGRESS_LABELS = {"app.kubernetes.io/name": "ingress-nginx"}
_KUBECONFIG = "/etc/ingress-nginx"
_ROLLOUT_TRIES = 4  # of a minute each: a busy machine starts pods slowly


class Cluster:
    """A cluster at its place.

    `upstream`: the resolver that its cluster DNS asks for names of elsewhere; `further`: images of its own.
    """

    def __init__(
        self,
        place: Place,
        tools: Tools,
        world: World,
        supervisor: Supervisor,
        *,
        folder: Path,
        upstream: str,
        further: Mapping[str, Mapping[str, object]] = MappingProxyType({}),
    ) -> None:
        self.place = place
        self._tools = tools
        self._supervisor = supervisor
        self._upstream = upstream
        self._further = further
        spec = ClusterSpec(place.host, place.host, place.node, place.api)
        self.control_plane = ControlPlane(spec, tools, world, supervisor, folder)

    def start(self, web_authority: bytes) -> None:
        """Start all but the ingress; its images trust `web_authority`, a PEM. Raises LabError."""
        plane, place = self.control_plane, self.place
        plane.start()
        images_file = plane.folder / "images.json"
        images_file.write_text(json.dumps({**_images(web_authority.decode()), **self._further}))
        certificate, key = plane.node_certificate
        node = [
            *module("lab.kubernetes.node"),
            *("--kubeconfig", str(plane.kubeconfig("node")), "--node", place.host),
            *("--pods", topology.POD_RANGE, "--cluster-dns", topology.CLUSTER_DNS),
            *("--images", str(images_file), "--folder", str(plane.folder / "node"), "--address", place.node),
            *("--certificate", str(certificate), "--key", str(key), "--authority", str(plane.authority)),
        ]
        self._supervisor.start(f"{place.host}-node", node, host=place.host)
        dns = [
            *module("lab.kubernetes.cluster_dns"),
            *("--kubeconfig", str(plane.kubeconfig("cluster-dns"))),
            # the node's port 53 belongs to the VPC's resolver; the Service kube-dns points here
            *("--listen", place.node, "--port", "1053", "--upstream", self._upstream),
        ]
        self._supervisor.start(f"{place.host}-cluster-dns", dns, host=place.host)

    def start_ingress(self, addresses: Sequence[str]) -> None:
        """Run the ingress controller as a DaemonSet on these addresses of the host. Raises LabError.

        Its access log is what its pod prints: one JSON object a request, among lines of its own.
        """
        self.apply(_ingress_objects(self.control_plane.kubeconfig("ingress").read_text(), addresses))
        self.rolled_out(INGRESS_NAMESPACE, "daemonset/ingress-nginx-controller")

    def start_velero(self, storage: Storage) -> None:
        """Run Velero beside the cluster. Raises LabError."""
        start_velero(self.control_plane, self._tools, self._supervisor, storage)

    def apply(self, objects: Sequence[Mapping[str, object]] | str) -> None:
        """`kubectl apply` of objects, or of a YAML text. Raises LabError."""
        text = objects if isinstance(objects, str) else yaml.safe_dump_all(objects)
        self.control_plane.kubectl("apply", "-f", "-", stdin=text)

    def rolled_out(self, namespace: str, workload: str) -> None:
        """Wait until a workload (`deployment/boss`) is up and ready. Raises LabError."""
        look = ("rollout", "status", "-n", namespace, workload, "--timeout=60s")
        for attempt in range(_ROLLOUT_TRIES):
            try:
                self.control_plane.kubectl(*look)
            except LabError:
                self._supervisor.check()  # a process that ended says better what is wrong
                if attempt == _ROLLOUT_TRIES - 1:
                    raise
            else:
                return


def _images(authority: str) -> dict[str, Mapping[str, object]]:
    """All images; nginx with the lab's authority among those it trusts, as a company's base image has it."""
    nginx = BUILT_IN["nginx"].model_dump(mode="json")
    return {**images(authority), "nginx": {**nginx, "files": {**nginx["files"], TRUSTED: authority}}}


def _ingress_objects(kubeconfig: str, addresses: Sequence[str]) -> list[dict[str, object]]:
    named = {"namespace": INGRESS_NAMESPACE, "labels": dict(INGRESS_LABELS)}
    listen = [word for address in addresses for word in ("--listen", address)]
    container = {
        "name": "controller",
        "image": f"{INGRESS_IMAGE}:v1",
        "args": [
            *("--kubeconfig", f"{_KUBECONFIG}/kubeconfig", "--class", "nginx", *listen),
            *("--folder", "/run/ingress-nginx", "--access-log", "/dev/stdout"),
        ],
        "readinessProbe": {
            "tcpSocket": {"host": addresses[0], "port": 443},
            "periodSeconds": 1,
        },
        "volumeMounts": [{"name": "kubeconfig", "mountPath": _KUBECONFIG, "readOnly": True}],
    }
    pod = {
        "hostNetwork": True,
        "terminationGracePeriodSeconds": 10,
        "tolerations": [{"operator": "Exists"}],
        "volumes": [{"name": "kubeconfig", "secret": {"secretName": "ingress-nginx-kubeconfig"}}],
        "containers": [container],
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": INGRESS_NAMESPACE}},
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "ingress-nginx-kubeconfig", **named},
            "stringData": {"kubeconfig": kubeconfig},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": "ingress-nginx-controller", **named},
            "spec": {
                "selector": {"matchLabels": dict(INGRESS_LABELS)},
                "template": {"metadata": {"labels": dict(INGRESS_LABELS)}, "spec": pod},
            },
        },
    ]
