"""The ingress under traffic: what changes behind it, no client notices."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.node import objects
from tests.node.cluster import INGRESS, Cluster, Object
from tests.node.traffic import Traffic

CURL = Path(__file__).with_name("curl.py")

pytestmark = pytest.mark.lab


def tls(cluster: Cluster, namespace: str, host: str) -> Object:
    """A TLS Secret for a host, with a key of its own each time."""
    pair = cluster.authority.server(host, [host])
    certificate, key = pair.certificate.decode(), pair.key.decode()
    return objects.secret("tls", namespace, "kubernetes.io/tls", tls__crt=certificate, tls__key=key)


def serve(cluster: Cluster, namespace: str, replicas: int = 2, **env: str) -> str:
    """A deployment behind an ingress with TLS, up and routed; the host that it serves."""
    host = f"{namespace}.example"
    cluster.apply(
        tls(cluster, namespace, host),
        objects.deployment("app", namespace, replicas, env),
        objects.service("app", namespace, "app"),
        objects.ingress("app", namespace, host, "app", tls="tls"),
    )
    cluster.kubectl("rollout", "status", "-n", namespace, "deployment/app", "--timeout=60s")
    cluster.poll(lambda: curl(cluster, f"https://{host}/work")[0] == 200, "never routed")
    return host


def traffic(cluster: Cluster, host: str) -> Traffic:
    return Traffic(f"https://{host}/work", INGRESS, authority=cluster.authority.certificate)


def curl(cluster: Cluster, url: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    """Status and body of one request, from outside the cluster; the certificate is verified."""
    authority = cluster.control_plane.folder / "web-ca.crt"
    authority.write_bytes(cluster.authority.certificate)
    argv = [sys.executable, str(CURL), url, method, INGRESS, str(authority), json.dumps(headers)]
    result = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    if result.returncode != 0:
        return 0, result.stderr.strip().splitlines()[-1]
    status, _, body = result.stdout.partition(" ")
    return int(status), body


def test_a_rolling_update_refuses_nobody(cluster: Cluster, namespace: str) -> None:
    host = serve(cluster, namespace, WORK_SECONDS="0.03")
    with traffic(cluster, host) as clients:
        clients.wait_for(100)
        for _ in range(2):
            cluster.kubectl("rollout", "restart", "-n", namespace, "deployment/app")
            cluster.kubectl("rollout", "status", "-n", namespace, "deployment/app", "--timeout=90s")
            clients.wait_for(200)
    assert clients.errors == []
    assert set(clients.answers) == {200}
    assert len(clients.pods) >= 5


def test_scaling_and_deleting_pods_refuses_nobody(cluster: Cluster, namespace: str) -> None:
    host = serve(cluster, namespace, WORK_SECONDS="0.2", DRAIN_SECONDS="0.5")
    with traffic(cluster, host) as clients:
        for replicas in (4, 1, 3):
            cluster.kubectl("scale", "-n", namespace, "deployment/app", f"--replicas={replicas}")
            cluster.kubectl("rollout", "status", "-n", namespace, "deployment/app", "--timeout=90s")
            clients.wait_for(50)
        names = cluster.kubectl("get", "pods", "-n", namespace, "-o", "name", "-l", "app=app").split()
        cluster.kubectl("delete", "-n", namespace, names[0], "--timeout=60s")
        clients.wait_for(50)
    assert clients.errors == []
    assert set(clients.answers) == {200}


def test_other_ingresses_and_a_new_certificate_disturb_nobody(cluster: Cluster, namespace: str) -> None:
    host = serve(cluster, namespace)
    pid = cluster.nginx_workers()
    with traffic(cluster, host) as clients:
        clients.wait_for(50)
        for number in range(5):
            other = f"other{number}.{host}"
            cluster.apply(
                objects.ingress(f"other{number}", namespace, other, "app", tls="tls"),
                tls(cluster, namespace, host),
            )
            cluster.poll(lambda name=other: curl(cluster, f"http://{name}/")[0] == 308, "not routed")  # type: ignore[misc]
            clients.wait_for(50)
            cluster.kubectl("delete", "ingress", f"other{number}", "-n", namespace)
    assert clients.errors == []
    assert set(clients.answers) == {200}
    assert clients.connections == clients.clients
    assert cluster.nginx_workers() == pid


def test_requests_go_where_rules_say(cluster: Cluster, namespace: str) -> None:
    host = serve(cluster, namespace, replicas=1)
    assert curl(cluster, f"http://{host}/a") == (308, f"https://{host}/a")
    assert curl(cluster, f"http://nobody.{host}/")[0] == 404
    cluster.kubectl("scale", "-n", namespace, "deployment/app", "--replicas=0")
    cluster.poll(lambda: curl(cluster, f"https://{host}/")[0] == 503, "still served")
    status = cluster.get("ingress", "app", namespace)["status"]
    assert status["loadBalancer"]["ingress"] == [{"ip": INGRESS}]


def test_a_post_reaches_one_pod_once(cluster: Cluster, namespace: str) -> None:
    """A pod that breaks after it has read a request: a GET is tried elsewhere, a POST never."""
    host = serve(cluster, namespace, replicas=2)
    assert curl(cluster, f"https://{host}/drop", "POST")[0] == 502
    assert curl(cluster, f"https://{host}/drop", "GET")[0] == 502
    names = cluster.kubectl(
        "get", "pods", "-n", namespace, "-o", "jsonpath={.items[*].metadata.name}", "-l", "app=app"
    ).split()
    seen = " ".join(cluster.log(namespace, name, "main") for name in names)
    assert seen.count("dropped POST") == 1
    assert seen.count("dropped GET") >= 2


def slice_of(namespace: str, service: str, port: int, *addresses: str) -> Object:
    metadata = {
        "name": f"{service}-by-hand",
        "namespace": namespace,
        "labels": {"kubernetes.io/service-name": service},
    }
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        "ports": [{"name": "http", "port": port}],
    }


def test_a_pod_that_cannot_be_reached_costs_no_request(cluster: Cluster, namespace: str) -> None:
    host = serve(cluster, namespace, replicas=1)
    # an address of the pod range that nobody has, beside the pod of the same Service
    cluster.apply(slice_of(namespace, "app", 8080, "192.0.2.125"))
    answers = [curl(cluster, f"https://{host}/work", "POST")[0] for _ in range(8)]
    assert answers == [200] * 8
    assert any(
        "192.0.2.125" in line["upstream"] and line["status"] == 200 for line in requests(cluster, host)
    )


def requests(cluster: Cluster, host: str) -> list[dict[str, Any]]:
    """The access log's lines about a host."""
    log = cluster.control_plane.folder / "ingress" / "access.log"
    return [line for line in map(json.loads, log.read_text().splitlines()) if line["host"] == host]


def test_annotations_lead_to_another_ingress(cluster: Cluster, namespace: str) -> None:
    """What forwards stragglers: HTTPS to another ingress, under the name that this one serves."""
    host = serve(cluster, namespace, replicas=1)
    prefix = "nginx.ingress.kubernetes.io/"
    annotations = {prefix + "backend-protocol": "HTTPS", prefix + "upstream-vhost": host}
    old = f"old.{host}"
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "elsewhere", "namespace": namespace},
            "spec": {"ports": [{"name": "http", "port": 80}]},
        },
        slice_of(namespace, "elsewhere", 443, INGRESS),
        objects.ingress("old", namespace, old, "elsewhere", annotations=annotations),
    )
    cluster.poll(lambda: curl(cluster, f"http://{old}/work")[0] == 200, "not forwarded")
    assert json.loads(curl(cluster, f"http://{old}/work", "POST")[1])["host"] == host
    lines = requests(cluster, old)
    assert lines[-1]["service"] == f"{namespace}/elsewhere:80"
    assert lines[-1] | {"method": "POST", "path": "/work", "status": 200} == lines[-1]
