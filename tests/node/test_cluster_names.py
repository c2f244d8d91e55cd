"""What pods find by name: Services, pods behind headless ones, and names outside the cluster."""

from __future__ import annotations

import pytest

from tests.node import objects
from tests.node.cluster import Cluster
from tests.node.test_pods import NEVER, container, ended

pytestmark = pytest.mark.lab

RESOLVE = """
import socket, sys
def addresses(name):
    try:
        return ",".join(sorted({item[4][0] for item in socket.getaddrinfo(name, None, socket.AF_INET)}))
    except socket.gaierror as error:
        return error.strerror
open("/dev/termination-log", "w").write("\\n".join(addresses(name) for name in sys.argv[1:]))
"""


def resolve(cluster: Cluster, namespace: str, *names: str) -> list[str]:
    """What a pod of the namespace resolves these names to."""
    command = {"command": ["python3", "-c", RESOLVE, *names]}
    cluster.apply(objects.pod("resolve", namespace, command, **NEVER))
    pod = cluster.wait_for("pod", "resolve", namespace, ended)
    message: str = container(pod)["state"]["terminated"]["message"]
    return message.split("\n")


def test_services_and_the_world_outside_have_names(cluster: Cluster, namespace: str) -> None:
    cluster.apply(
        objects.deployment("web", namespace, 2),
        objects.service("web", namespace, "web"),
        objects.service("headless", namespace, "web", clusterIP="None"),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "alias", "namespace": namespace},
            "spec": {"type": "ExternalName", "externalName": "outside.example"},
        },
    )
    cluster.kubectl("rollout", "status", "-n", namespace, "deployment/web", "--timeout=60s")
    address = cluster.get("service", "web", namespace)["spec"]["clusterIP"]
    pods = cluster.kubectl(
        "get", "pods", "-n", namespace, "-l", "app=web", "-o", "jsonpath={.items[*].status.podIP}"
    ).split()
    found = resolve(
        cluster,
        namespace,
        *("web", f"web.{namespace}", f"web.{namespace}.svc.cluster.local", "headless", "alias"),
        *("outside.example", f"absent.{namespace}.svc.cluster.local.", "kubernetes.default"),
    )
    behind = ",".join(sorted(pods))
    assert found[:6] == [address, address, address, behind, "203.0.113.77", "203.0.113.77"]
    assert found[6] == "Name or service not known"
    assert found[7] == "192.0.2.129"


def test_a_service_is_reached_by_its_name(cluster: Cluster, namespace: str) -> None:
    def probe(port: int) -> dict[str, object]:
        return {"readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1}}

    # a Service is reachable a moment after its first pod is ready: the callers try again
    page = "until wget -qO- -T 5 http://web:8000/ | grep -i nginx; do sleep 0.2; done >/dev/termination-log"
    length = "until redis-cli -h redis lpush list item; do sleep 0.2; done >/dev/termination-log"
    asks = {"image": "redis:7", "command": ["sh", "-c", length]}
    cluster.apply(
        objects.pod("web", namespace, {"image": "nginx:1.28", **probe(80)}),
        objects.service("web", namespace, "web", ports=[{"port": 8000, "targetPort": 80}]),
        objects.pod("redis", namespace, {"image": "redis:7", **probe(6379)}),
        objects.service("redis", namespace, "redis", ports=[{"port": 6379}]),
        objects.pod("get", namespace, objects.shell(page), **NEVER),
        objects.pod("ask", namespace, asks, **NEVER),
    )
    messages = [
        container(cluster.wait_for("pod", name, namespace, ended))["state"]["terminated"].get("message", "")
        for name in ("get", "ask")
    ]
    assert "nginx" in messages[0]
    assert messages[1] == "1\n"
