"""The ingress under traffic: what changes behind it, no client notices."""

from __future__ import annotations

import pytest

from tests.node import objects
from tests.node.cluster import INGRESS, Cluster
from tests.node.traffic import Traffic

pytestmark = pytest.mark.lab

HOST = "bill.example"


def serve(cluster: Cluster, namespace: str, host: str, replicas: int = 2, **env: str) -> None:
    """A deployment behind an ingress with TLS, up and routed."""
    pair = cluster.authority.server(host, [host])
    cluster.apply(
        objects.secret(
            "tls",
            namespace,
            "kubernetes.io/tls",
            tls__crt=pair.certificate.decode(),
            tls__key=pair.key.decode(),
        ),
        objects.deployment("app", namespace, replicas, env),
        objects.service("app", namespace, "app"),
        objects.ingress("app", namespace, host, "app", tls="tls"),
    )
    cluster.kubectl("rollout", "status", "-n", namespace, "deployment/app", "--timeout=60s")
    cluster.wait_for("ingress", "app", namespace, lambda item: item["status"]["loadBalancer"].get("ingress"))


def test_a_rolling_update_refuses_nobody(cluster: Cluster, namespace: str) -> None:
    host = f"{namespace}.example"
    serve(cluster, namespace, host, WORK_SECONDS="0.03")
    with Traffic(f"https://{host}/work", INGRESS, authority=cluster.authority.certificate) as traffic:
        traffic.wait_for(100)
        for _ in range(2):
            cluster.kubectl("rollout", "restart", "-n", namespace, "deployment/app")
            cluster.kubectl("rollout", "status", "-n", namespace, "deployment/app", "--timeout=90s")
            traffic.wait_for(200)
    assert traffic.errors == []
    assert set(traffic.answers) == {200}
    assert len(traffic.pods) >= 5
