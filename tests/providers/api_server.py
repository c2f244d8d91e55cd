"""A real API server with etcd and the controllers, on loopback ports of its own, for one test process."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab.kubernetes.certificates import Authority, KeyPair
from lab.setup import find_tools

START_TIMEOUT = 120.0  # seconds; the machine may be busy
Object = dict[str, Any]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@dataclass
class ApiServer:
    """Start with `start`, end with `stop`."""

    folder: Path
    port: int = 0
    _authority: Authority = field(default_factory=lambda: Authority("provider tests"))
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _context: ssl.SSLContext | None = None

    def start(self) -> None:
        """Start all of it, and return when the API answers."""
        tools = find_tools()
        client, peer, self.port, manager_port = _free_ports(4)
        (self.folder / "ca.crt").write_bytes(self._authority.certificate)
        self._authority.server("kube-apiserver", ["127.0.0.1", "localhost"]).write(self.folder, "apiserver")
        self._authority.client("service-accounts").write(self.folder, "service-accounts")
        admin = self._authority.client("admin", ["system:masters"])
        admin.write(self.folder, "admin")
        (self.folder / "kubeconfig").write_text(yaml.safe_dump(self.kubeconfig(admin)))
        self._context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        self._context.load_cert_chain(self.folder / "admin.crt", self.folder / "admin.key")
        etcd = f"http://127.0.0.1:{client}"
        self._run(
            str(tools.etcd),
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
            "--log-level=error",
        )
        self._run(
            str(tools.kube_apiserver),
            f"--etcd-servers={etcd}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            "--service-cluster-ip-range=192.0.2.128/25",
            f"--tls-cert-file={self.folder / 'apiserver.crt'}",
            f"--tls-private-key-file={self.folder / 'apiserver.key'}",
            f"--client-ca-file={self.folder / 'ca.crt'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self.folder / 'service-accounts.crt'}",
            f"--service-account-signing-key-file={self.folder / 'service-accounts.key'}",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
            "--endpoint-reconciler-type=none",
        )
        self._run(
            str(tools.kube_controller_manager),
            f"--kubeconfig={self.folder / 'kubeconfig'}",
            "--bind-address=127.0.0.1",
            f"--secure-port={manager_port}",
            f"--cert-dir={self.folder}",
            "--leader-elect=false",
            "--controllers=deployment-controller,replicaset-controller,endpointslice-controller,"
            "garbage-collector-controller,namespace-controller",
        )
        self._wait(lambda: self.request("GET", "/readyz") is not None, "the API server")
        threading.Thread(target=self._make_pods_ready, name="pods", daemon=True).start()

    def stop(self) -> None:
        """End every process."""
        self._stopping.set()
        for process in reversed(self._processes):
            process.terminate()
        for process in reversed(self._processes):
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)

    def kubeconfig(self, user: KeyPair, namespace: str = "default") -> Object:
        """A kubeconfig with the context `test`."""
        context = {"cluster": "test", "user": "test", "namespace": namespace}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": context}],
            "clusters": [
                {
                    "name": "test",
                    "cluster": {
                        "server": f"https://127.0.0.1:{self.port}",
                        "certificate-authority-data": b64encode(self._authority.certificate).decode(),
                    },
                }
            ],
            "users": [
                {
                    "name": "test",
                    "user": {
                        "client-certificate-data": b64encode(user.certificate).decode(),
                        "client-key-data": b64encode(user.key).decode(),
                    },
                }
            ],
        }

    def user(self, name: str) -> Object:
        """A kubeconfig for a user without any right."""
        return self.kubeconfig(self._authority.client(name))

    def request(
        self, method: str, path: str, body: Object | None = None, kind: str = "application/json"
    ) -> Any:
        """A call as cluster administrator; None for a 404."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.port}{path}", data, {"Content-Type": kind}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._context) as answer:  # noqa: S310
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404:
                    return None
                raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error
        return json.loads(text) if text.startswith(b"{") else text.decode()

    def apply(self, path: str, body: Object, manager: str = "somebody-else") -> Object:
        """Server-side apply by another manager."""
        query = f"?fieldManager={manager}&force=true"
        applied: Object = self.request("PATCH", path + query, body, "application/apply-patch+yaml")
        return applied

    def _run(self, *argv: str) -> None:
        name = Path(argv[0]).name
        with (self.folder / f"{name}.log").open("wb") as log:
            environment = {**os.environ, "GOMAXPROCS": "2"}
            self._processes.append(
                subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, env=environment)
            )

    def _wait(self, holds: Any, what: str) -> None:
        end = time.monotonic() + START_TIMEOUT
        while True:
            try:
                if holds():
                    return
            except (AssertionError, OSError):
                pass  # not listening yet, or not ready: both are waited for
            for process in self._processes:
                name = Path(str(process.args[0])).name  # type: ignore[index]
                text = (self.folder / f"{name}.log").read_text()[-2000:]
                assert process.poll() is None, f"{name} ended: {text}"
            assert time.monotonic() < end, f"{what} did not start in {START_TIMEOUT:g} s"
            time.sleep(0.1)

    def _make_pods_ready(self) -> None:
        """In the place of a node: every pod is ready at once, unless it is labelled `ready: "no"`."""
        self.request("POST", "/api/v1/nodes", {"metadata": {"name": "node"}})
        while not self._stopping.wait(0.1):
            try:
                pods = self.request("GET", "/api/v1/pods")["items"]
                for pod in pods:
                    self._attend(pod)
            except (AssertionError, OSError):
                continue  # a pod that changed meanwhile, or the end of the tests

    def _attend(self, pod: Object) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        if metadata.get("deletionTimestamp"):
            self.request("DELETE", path, {"gracePeriodSeconds": 0})
        elif not pod["spec"].get("nodeName"):
            target = {"kind": "Node", "name": "node"}
            self.request(
                "POST", f"{path}/binding", {"metadata": {"name": metadata["name"]}, "target": target}
            )
        elif pod["status"].get("phase") != "Running" and metadata.get("labels", {}).get("ready") != "no":
            number = sum(metadata["name"].encode()) % 120 + 1
            status = {
                "phase": "Running",
                "podIP": f"192.0.2.{number}",
                "podIPs": [{"ip": f"192.0.2.{number}"}],
                "conditions": [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady")],
            }
            self.request("PATCH", f"{path}/status", {"status": status}, "application/merge-patch+json")
