"""RHSSO's operator: a KeycloakClient gets its Secret and becomes ready; the server's own Route is there."""

from __future__ import annotations

import logging
import secrets
import sys

from lab.rhoam.operators import loop
from lab.rhoam.operators.loop import Cluster
from lab.rhoam.threescale.kubernetes import Kubernetes

log = logging.getLogger(__name__)

MANAGER = "rhsso-operator"


class Operator:
    """One pod of it, for the namespace that it is in."""

    def __init__(self, api: Kubernetes) -> None:
        self._api = api
        self._cluster = Cluster(api)
        self._clients = f"/apis/keycloak.org/v1alpha1/namespaces/{api.namespace}/keycloakclients"

    def reconcile(self) -> None:
        """One look."""
        self._keep_route()
        for client in self._api.list(self._clients):
            if (client.get("status") or {}).get("ready"):
                continue
            name = client["metadata"]["name"]
            spec = client["spec"].get("client") or {}
            values = {
                "CLIENT_ID": spec.get("clientId") or name,
                "CLIENT_SECRET": spec.get("secret") or secrets.token_urlsafe(18),
            }
            owner = {"apiVersion": "keycloak.org/v1alpha1", "kind": "KeycloakClient", **client}
            body = loop.secret(self._api.namespace, f"keycloak-client-secret-{name}", values, owner)
            self._cluster.apply_secret(body, MANAGER)
            self._api.merge(f"{self._clients}/{name}/status", {"status": {"ready": True}})
            log.info("client %s is ready", name)

    def _keep_route(self) -> None:
        path = f"/apis/route.openshift.io/v1/namespaces/{self._api.namespace}/routes"
        if self._api.find(f"{path}/keycloak-edge") is not None:
            return
        found = self._api.list("/apis/integreatly.org/v1alpha1/rhmis")
        if not found:
            return
        subdomain = found[0]["spec"]["routingSubdomain"]
        body = {
            "apiVersion": "route.openshift.io/v1",
            "kind": "Route",
            "metadata": {"name": "keycloak-edge", "namespace": self._api.namespace},
            "spec": {
                "host": f"keycloak-{self._api.namespace}.{subdomain}",
                "to": {"kind": "Service", "name": "keycloak", "weight": 100},
                "port": {"targetPort": "keycloak"},
                "tls": {"termination": "edge"},
            },
        }
        self._cluster.apply(path, body, MANAGER)


def main() -> int:
    """Run the operator."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    return loop.run(Operator(Kubernetes()).reconcile)


if __name__ == "__main__":
    sys.exit(main())
