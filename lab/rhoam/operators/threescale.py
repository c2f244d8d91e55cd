"""The 3scale operator: keeps a namespace's 3scale as its APIManager says.

While it runs, what somebody changes in the Secrets and Deployments that it made is put back: what it found
when it started counts as right. Secrets of what is plugged in from outside are not its own.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from lab.rhoam.operators import loop
from lab.rhoam.operators.components import (
    COMPONENTS,
    INTERNAL,
    LABELS,
    ZYNC_ACCOUNT,
    Component,
    components,
    deployment,
    internal_components,
    services,
)
from lab.rhoam.operators.loop import Cluster
from lab.rhoam.threescale.kubernetes import Kubernetes, Object

log = logging.getLogger(__name__)

MANAGER = "3scale-operator"
VERSION = "apps.3scale.net/apimanager-threescale-version"
OPERATOR_VERSION = "apps.3scale.net/threescale-operator-version"
EXTERNAL = {"system-database": "database", "system-redis": "redis", "backend-redis": "backend"}
"""Secrets that belong to people where their store is plugged in from outside."""


class Operator:
    """One pod of it; `version`: the 3scale that it installs."""

    def __init__(self, api: Kubernetes, namespace: str, version: str) -> None:
        self._cluster = Cluster(api)
        self._api = api
        self._namespace = namespace
        self._version = version
        self._right: dict[str, Mapping[str, str]] = {}
        """The data of Secrets as they are to be."""
        self._route = ""
        self._managers = f"/apis/apps.3scale.net/v1alpha1/namespaces/{namespace}/apimanagers"

    def reconcile(self) -> None:
        """One look."""
        managers = self._api.list(self._managers)
        if not managers:
            return
        manager = {"apiVersion": "apps.3scale.net/v1alpha1", "kind": "APIManager", **managers[0]}
        external = _external(manager)
        self._keep_secrets(manager, external)
        self._keep_accounts()
        self._keep_route(manager)
        wanted = list(components(manager["spec"]["wildcardDomain"]))
        internal = [found for found in internal_components() if found.name not in external]
        there = self._cluster.deployments(self._namespace)
        owner = loop.reference(manager)
        for component in internal:
            self._keep(component, there, owner)
        if all(_ready(there.get(component.name)) for component in internal):
            for component in wanted:
                self._keep(component, there, owner)
        for name in INTERNAL:
            if name in there and name in external:
                self._api.delete(f"/apis/apps/v1/namespaces/{self._namespace}/deployments/{name}")
                self._api.delete(f"/api/v1/namespaces/{self._namespace}/services/{name}")
        self._report(manager, there)

    def _keep_secrets(self, manager: Object, external: frozenset[str]) -> None:
        there = self._cluster.secrets(self._namespace)
        wildcard = manager["spec"]["wildcardDomain"]
        for name, values in _defaults(wildcard):
            if name in EXTERNAL and _store(name) in external:
                self._right.pop(name, None)
                continue
            found = there.get(name)
            data = None if found is None else found.get("data") or {}
            if data is None:
                body = loop.secret(self._namespace, name, values, manager)
                self._cluster.apply_secret(body, MANAGER)
                self._right[name] = body["data"]
            elif name not in self._right:
                missing = {key: value for key, value in values.items() if key not in data}
                if missing:
                    body = loop.secret(self._namespace, name, missing)
                    self._api.merge(self._secret(name), {"data": body["data"]})
                    data = {**data, **body["data"]}
                self._right[name] = data
            elif data != self._right[name]:
                log.info("somebody changed Secret %s: put back", name)
                removed = dict.fromkeys(data.keys() - self._right[name].keys())
                self._api.merge(self._secret(name), {"data": {**removed, **self._right[name]}})

    def _secret(self, name: str) -> str:
        return f"/api/v1/namespaces/{self._namespace}/secrets/{name}"

    def _keep_accounts(self) -> None:
        namespace = self._namespace
        rules = [{"apiGroups": ["route.openshift.io"], "resources": ["routes"], "verbs": ["*"]}]
        group = "rbac.authorization.k8s.io"
        named = {"name": ZYNC_ACCOUNT, "namespace": namespace, "labels": dict(LABELS)}
        role = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": named, "rules": rules}
        binding = {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": named,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": ZYNC_ACCOUNT},
            "subjects": [{"kind": "ServiceAccount", "name": ZYNC_ACCOUNT, "namespace": namespace}],
        }
        if ZYNC_ACCOUNT in self._right:
            return
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named}
        self._cluster.apply(f"/api/v1/namespaces/{namespace}/serviceaccounts", account, MANAGER)
        self._cluster.apply(f"/apis/{group}/v1/namespaces/{namespace}/roles", role, MANAGER)
        self._cluster.apply(f"/apis/{group}/v1/namespaces/{namespace}/rolebindings", binding, MANAGER)
        self._right[ZYNC_ACCOUNT] = {}

    def _keep_route(self, manager: Object) -> None:
        """The backend's own Route; all others are zync's."""
        host = f"backend-3scale.{manager['spec']['wildcardDomain']}"
        if self._route == host:
            return
        body: Object = {
            "apiVersion": "route.openshift.io/v1",
            "kind": "Route",
            "metadata": {
                "name": "backend",
                "labels": dict(LABELS),
                "ownerReferences": [loop.reference(manager)],
            },
            "spec": {
                "host": host,
                "to": {"kind": "Service", "name": "backend-listener", "weight": 100},
                "port": {"targetPort": "http"},
                "tls": {"termination": "edge", "insecureEdgeTerminationPolicy": "Allow"},
            },
        }
        path = f"/apis/route.openshift.io/v1/namespaces/{self._namespace}/routes"
        self._cluster.apply(path, body, MANAGER)
        self._route = host

    def _keep(self, component: Component, there: Mapping[str, Object], owner: Object) -> None:
        wanted = deployment(component, self._namespace, self._version, owner)
        found = there.get(component.name)
        if found is not None and _alike(wanted, found):
            return
        log.info("%s %s", "create" if found is None else "update", component.name)
        if found is None:
            for service in services(component, self._namespace, owner):
                self._cluster.apply(f"/api/v1/namespaces/{self._namespace}/services", service, MANAGER)
        self._cluster.apply(f"/apis/apps/v1/namespaces/{self._namespace}/deployments", wanted, MANAGER)

    def _report(self, manager: Object, there: Mapping[str, Object]) -> None:
        path = f"{self._managers}/{manager['metadata']['name']}"
        ready = sorted(name for name in COMPONENTS if _ready(there.get(name)))
        stopped = sorted(name for name in COMPONENTS if name in there and not there[name]["spec"]["replicas"])
        starting = sorted(set(COMPONENTS) - {*ready, *stopped})
        available = ready == sorted(COMPONENTS) and all(
            _release(there[name]) == self._version for name in COMPONENTS
        )
        annotations = manager["metadata"].get("annotations") or {}
        own = {VERSION: self._version, OPERATOR_VERSION: f"0.{int(self._version.partition('.')[2]) - 2}.0"}
        if available and any(annotations.get(key) != value for key, value in own.items()):
            self._api.merge(path, {"metadata": {"annotations": own}})
        before = (manager.get("status") or {}).get("conditions") or []
        state = "True" if available else "False"
        deployments = {"ready": ready, "starting": starting, "stopped": stopped}
        same = any(c["type"] == "Available" and c["status"] == state for c in before)
        if same and (manager.get("status") or {}).get("deployments") == deployments:
            return
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {"type": "Available", "status": state, "lastTransitionTime": now}
        self._api.merge(f"{path}/status", {"status": {"conditions": [condition], "deployments": deployments}})


def _external(manager: Object) -> frozenset[str]:
    """The internal components in whose place something is plugged in from outside."""
    given = manager["spec"].get("externalComponents") or {}
    system, backend = given.get("system") or {}, given.get("backend") or {}
    found = {
        "system-mysql": system.get("database"),
        "system-redis": system.get("redis"),
        "backend-redis": backend.get("redis"),
    }
    return frozenset(name for name, plugged in found.items() if plugged)


def _store(secret: str) -> str:
    return "system-mysql" if secret == "system-database" else secret


def _defaults(wildcard: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The Secrets that the operator makes where they are absent."""
    word = secrets.token_urlsafe
    token = word(16)
    yield (
        "system-seed",
        {
            "MASTER_DOMAIN": "master",
            "MASTER_USER": "master",
            "MASTER_PASSWORD": word(9),
            "MASTER_ACCESS_TOKEN": word(12),
            "TENANT_NAME": "3scale",
            "ADMIN_USER": "admin",
            "ADMIN_PASSWORD": word(9),
            "ADMIN_ACCESS_TOKEN": word(12),
            "ADMIN_EMAIL": "",
        },
    )
    gateway = word(12).replace("_", "x").replace("-", "x")
    yield (
        "system-master-apicast",
        {
            "ACCESS_TOKEN": gateway,
            "BASE_URL": f"http://{gateway}@system-master:3000",
            "PROXY_CONFIGS_ENDPOINT": f"http://{gateway}@system-master:3000/master/api/proxy/configs",
        },
    )
    yield "system-events-hook", {"URL": "http://system-master:3000/master/events/import", "PASSWORD": word(9)}
    yield "system-app", {"SECRET_KEY_BASE": secrets.token_hex(64), "USER_SESSION_TTL": ""}
    yield "system-recaptcha", {"PRIVATE_KEY": "", "PUBLIC_KEY": ""}
    yield "system-memcache", {"SERVERS": "system-memcache:11211"}
    yield "backend-internal-api", {"username": "3scale_api_user", "password": word(9)}
    yield (
        "backend-listener",
        {
            "service_endpoint": "http://backend-listener:3000",
            "route_endpoint": f"https://backend-3scale.{wildcard}",
        },
    )
    yield "zync", {"SECRET_KEY_BASE": secrets.token_hex(32), "ZYNC_AUTHENTICATION_TOKEN": token}
    password = word(12)
    yield (
        "system-database",
        {
            "URL": f"mysql2://mysql:{password}@system-mysql/system",
            "DB_USER": "mysql",
            "DB_PASSWORD": password,
        },
    )
    yield "system-redis", {"URL": "redis://system-redis:6379/1"}
    yield (
        "backend-redis",
        {
            "REDIS_STORAGE_URL": "redis://backend-redis:6379/0",
            "REDIS_QUEUES_URL": "redis://backend-redis:6379/1",
        },
    )


def _ready(found: Object | None) -> bool:
    """Whether a Deployment is rolled out and ready."""
    if found is None or not found["spec"]["replicas"]:
        return False
    status, wanted = found.get("status") or {}, found["spec"]["replicas"]
    if status.get("observedGeneration", 0) < found["metadata"]["generation"]:
        return False
    return all(status.get(name, 0) == wanted for name in ("replicas", "updatedReplicas", "readyReplicas"))


def _release(found: Object) -> str:
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"]).rpartition(":")[2]


def _alike(wanted: Object, found: Object) -> bool:
    """Whether a Deployment is as the operator wants it, in what it states."""
    if found["spec"]["replicas"] != wanted["spec"]["replicas"]:
        return False
    (mine,), others = (
        wanted["spec"]["template"]["spec"]["containers"],
        found["spec"]["template"]["spec"]["containers"],
    )
    return len(others) == 1 and all(others[0].get(key) == mine[key] for key in ("image", "env"))


def main() -> int:
    """Run the operator; the version is that of its own image."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    api = Kubernetes()
    version = os.environ["THREESCALE_VERSION"]
    namespace = os.environ.get("WATCH_NAMESPACE") or api.namespace
    return loop.run(Operator(api, namespace, version).reconcile)


if __name__ == "__main__":
    sys.exit(main())
