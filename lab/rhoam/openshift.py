"""`python -m lab.rhoam.openshift`: what OpenShift itself does in a cluster of the lab; a stand-in.

The router (a Route becomes an Ingress that nginx serves, and is then admitted), the domains operator (a
CustomDomain becomes ready), and OLM (a Subscription gets its operator, of the version of its channel).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import logging
import re
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.kubernetes.node.api import Api, ApiError, Informer, Object, load_kubeconfig

log = logging.getLogger(__name__)

OPERATOR = "threescale-operator-controller-manager-v2"
OPERATOR_IMAGE = "registry.example/3scale-amp2/3scale-operator"
ROUTER_SECRET = "router-certs-default"
CHANNEL = re.compile(r"^threescale-(?:(\d+\.\d+)-)?mas$|^threescale-(\d+\.\d+)$")
LATEST = "2.15"
"""The 3scale of the channel that names no version."""
UPGRADE_SECONDS = 2.0
SETTLE_SECONDS = 0.1
AGAIN_SECONDS = 1.0
_ROUTES, _DOMAINS = "/apis/route.openshift.io/v1", "/apis/managed.openshift.io/v1alpha1/customdomains"
_OLM = "/apis/operators.coreos.com/v1alpha1"


def version_of(channel: str) -> str | None:
    """The version of 3scale that a channel brings; None for a channel that there is not."""
    found = CHANNEL.match(channel)
    return None if found is None else found[1] or found[2] or LATEST


class OpenShift:
    """Keeps what is stated and what there is alike, over and over."""

    def __init__(self, api: Api, certificate: bytes, key: bytes, router: str) -> None:
        """`certificate` and `key` are the router's, PEM; `router`: its canonical name."""
        self._api = api
        self._tls = {
            "tls.crt": base64.b64encode(certificate).decode(),
            "tls.key": base64.b64encode(key).decode(),
        }
        self._router = router
        self._changed = asyncio.Event()
        self._routes = self._informer(f"{_ROUTES}/routes")
        self._domains = self._informer(_DOMAINS)
        self._subscriptions = self._informer(f"{_OLM}/subscriptions")
        self._upgrades: dict[tuple[str, str], asyncio.Task[None]] = {}

    def _informer(self, path: str) -> Informer:
        return Informer(self._api, path, lambda _old, _new: self._changed.set())

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for informer in (self._routes, self._domains, self._subscriptions):
                group.create_task(informer.run())
            while True:
                await self._changed.wait()
                await asyncio.sleep(SETTLE_SECONDS)
                self._changed.clear()
                try:
                    await self._reconcile(group.create_task)
                except ApiError as error:
                    log.warning("%s", error)
                    await asyncio.sleep(AGAIN_SECONDS)
                    self._changed.set()

    async def _reconcile(self, start: Callable[[Any], asyncio.Task[None]]) -> None:
        for route in list(self._routes.objects.values()):
            if not _looked_at(route, self._router) or (self._rival(route) is None) != _admitted(route):
                await self._admit(route)
        for domain in list(self._domains.objects.values()):
            if (domain.get("status") or {}).get("state") != "Ready":
                status = {"state": "Ready", "dnsRecord": f"*.{domain['spec']['domain']}"}
                await self._api.merge(f"{_DOMAINS}/{domain['metadata']['name']}/status", {"status": status})
        for key, subscription in list(self._subscriptions.objects.items()):
            running = self._upgrades.get(key)
            wanted = subscription["spec"].get("channel", "")
            if _installed(subscription) != wanted and (running is None or running.done()):
                self._upgrades[key] = start(self._upgrade(subscription, wanted))

    async def _admit(self, route: Object) -> None:
        metadata, spec = route["metadata"], route["spec"]
        namespace = metadata["namespace"]
        rival = self._rival(route)
        if rival is None:
            secret = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": ROUTER_SECRET, "namespace": namespace},
                "type": "kubernetes.io/tls",
                "data": self._tls,
            }
            await self._api.apply(f"/api/v1/namespaces/{namespace}/secrets/{ROUTER_SECRET}", secret, "router")
            path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses/route-{metadata['name']}"
            await self._api.apply(path, _ingress(route), "router")
        condition = {
            "type": "Admitted",
            "status": "True" if rival is None else "False",
            "lastTransitionTime": _now(),
            **({} if rival is None else {"reason": "HostAlreadyClaimed", "message": f"by {rival}"}),
        }
        entry = {"host": spec["host"], "routerName": "default", "routerCanonicalHostname": self._router}
        status = {"ingress": [{**entry, "wildcardPolicy": "None", "conditions": [condition]}]}
        path = f"{_ROUTES}/namespaces/{namespace}/routes/{metadata['name']}/status"
        await self._api.merge(path, {"status": status})

    def _rival(self, route: Object) -> str | None:
        """An older Route of another namespace that has the host already."""
        for (namespace, name), other in self._routes.objects.items():
            older = other["metadata"]["creationTimestamp"] < route["metadata"]["creationTimestamp"]
            if (
                other["spec"]["host"] == route["spec"]["host"]
                and namespace != route["metadata"]["namespace"]
                and older
            ):
                return f"{namespace}/{name}"
        return None

    async def _upgrade(self, subscription: Object, channel: str) -> None:
        """Gives a Subscription the operator of its channel; takes its time, as OLM does."""
        metadata = subscription["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        path = f"{_OLM}/namespaces/{namespace}/subscriptions/{name}/status"
        version = version_of(channel)
        if version is None:
            text = f"no package in channel {channel!r}"
            conditions = [{"type": "ResolutionFailed", "status": "True", "message": text}]
            await self._api.merge(path, {"status": {"conditions": conditions, "lastUpdated": _now()}})
            return
        csv = f"3scale-operator.v{version}.0-mas"
        await self._api.merge(
            path, {"status": {"state": "UpgradePending", "currentCSV": csv, "lastUpdated": _now()}}
        )
        await asyncio.sleep(UPGRADE_SECONDS)
        deployment = f"/apis/apps/v1/namespaces/{namespace}/deployments/{OPERATOR}"
        there = await self._api.find(deployment)
        container = _container(version, (subscription["spec"].get("config") or {}).get("env") or [])
        if there is None:
            for kind, body in operator_objects(namespace, container):
                await self._api.apply(f"{kind}/{body['metadata']['name']}", body, "olm")
        else:
            # how many there are is left to people, who pause an operator by it
            containers = [{**there["spec"]["template"]["spec"]["containers"][0], **container}]
            spec = {"template": {"spec": {"containers": containers}}}
            await self._api.merge(deployment, {"spec": spec})
        done = {
            "state": "AtLatestKnown",
            "installedCSV": csv,
            "installedChannel": channel,
            "lastUpdated": _now(),
        }
        await self._api.merge(path, {"status": done})


def _container(version: str, env: list[Object]) -> Object:
    own = {"name": "THREESCALE_VERSION", "value": version}
    return {"name": "manager", "image": f"{OPERATOR_IMAGE}:{version}", "env": [own, *env]}


def operator_objects(namespace: str, container: Object) -> list[tuple[str, Object]]:
    """The 3scale operator as OLM installs it: the path of each object's collection, and the object."""
    labels = {"app": "3scale-api-management", "control-plane": "controller-manager"}
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "3scale-operator", "namespace": namespace},
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"3scale-operator-{namespace}"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "landfall:operator",
        },
        "subjects": [{"kind": "ServiceAccount", "name": "3scale-operator", "namespace": namespace}],
    }
    spec = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "serviceAccountName": "3scale-operator",
                "terminationGracePeriodSeconds": 3,
                "containers": [container],
            },
        },
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": OPERATOR, "namespace": namespace, "labels": labels},
        "spec": spec,
    }
    return [
        (f"/api/v1/namespaces/{namespace}/serviceaccounts", account),
        ("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding),
        (f"/apis/apps/v1/namespaces/{namespace}/deployments", deployment),
    ]


def _installed(subscription: Object) -> str:
    status = subscription.get("status") or {}
    failed = [c for c in status.get("conditions") or [] if c["type"] == "ResolutionFailed"]
    if failed and repr(subscription["spec"].get("channel", "")) in failed[0].get("message", ""):
        return str(subscription["spec"]["channel"])  # told already
    return str(status.get("installedChannel", ""))


def _admitted(route: Object) -> bool:
    """Whether a Route is served."""
    entries = (route.get("status") or {}).get("ingress") or []
    return any(c["type"] == "Admitted" and c["status"] == "True" for e in entries for c in e["conditions"])


def _looked_at(route: Object, router: str) -> bool:
    """Whether the router has said what it thinks of a Route as it stands."""
    entries = (route.get("status") or {}).get("ingress") or []
    return any(
        entry.get("host") == route["spec"]["host"] and entry.get("routerCanonicalHostname") == router
        for entry in entries
    )


def _ingress(route: Object) -> Object:
    """What serves a Route: it ends with it."""
    metadata, spec = route["metadata"], route["spec"]
    port = (spec.get("port") or {}).get("targetPort", "http")
    named = {"number": port} if isinstance(port, int) else {"name": port}
    backend = {"service": {"name": spec["to"]["name"], "port": named}}
    rule = {
        "host": spec["host"],
        "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]},
    }
    owner = {
        "apiVersion": "route.openshift.io/v1",
        "kind": "Route",
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": f"route-{metadata['name']}",
            "namespace": metadata["namespace"],
            "ownerReferences": [owner],
        },
        "spec": {
            "ingressClassName": "nginx",
            "tls": [{"hosts": [spec["host"]], "secretName": ROUTER_SECRET}],
            "rules": [rule],
        },
    }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def _serve(options: argparse.Namespace) -> None:
    async with Api(load_kubeconfig(options.kubeconfig)) as api:
        certificate, key = options.certificate.read_bytes(), options.key.read_bytes()
        main = asyncio.ensure_future(OpenShift(api, certificate, key, options.router).run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, main.cancel)
        try:
            await main
        except asyncio.CancelledError:
            log.info("stopped")


def main() -> int:
    """Reads the command line and serves until SIGTERM."""
    parser = argparse.ArgumentParser(prog="lab.rhoam.openshift", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--certificate", type=Path, required=True, help="of the router, PEM")
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--router", required=True, help="the router's canonical name")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(_serve(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
