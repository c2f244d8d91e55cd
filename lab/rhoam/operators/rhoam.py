"""RHOAM's operator: installs what an RHMI asks for, stage by stage, and keeps it so while it runs."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from lab.rhoam.operators import loop
from lab.rhoam.operators.loop import Cluster, secret_values
from lab.rhoam.threescale.kubernetes import Kubernetes, Object

log = logging.getLogger(__name__)

MANAGER = "rhmi-operator"
NAMESPACE = "redhat-rhoam-operator"
THREESCALE = "redhat-rhoam-3scale"
THREESCALE_OPERATOR = "redhat-rhoam-3scale-operator"
SSO = "redhat-rhoam-rhsso"
VERSION = "1.43.0"
CHANNEL = "threescale-2.15-mas"
PARAMETERS = "addon-managed-api-service-parameters"
STORES = ("threescale-postgres-rhoam", "threescale-backend-redis-rhoam", "threescale-redis-rhoam")
"""What the cloud's resources answer: Secrets with addresses and logins, in the operator's own namespace."""
COPIED = ("system-seed", "system-master-apicast")
"""Secrets that 3scale gets as they are in the operator's namespace, where they are there."""
STAGE_SECONDS = 1.5
_RHMI = f"/apis/integreatly.org/v1alpha1/namespaces/{NAMESPACE}/rhmis"
_MANAGERS = f"/apis/apps.3scale.net/v1alpha1/namespaces/{THREESCALE}/apimanagers"
_SUBSCRIPTIONS = f"/apis/operators.coreos.com/v1alpha1/namespaces/{THREESCALE_OPERATOR}/subscriptions"
_OPERATOR = "threescale-operator-controller-manager-v2"
_SSO_OPERATOR = "rhsso-operator"


class Operator:
    """One pod of it."""

    def __init__(self, api: Kubernetes) -> None:
        self._api = api
        self._cluster = Cluster(api)
        self._since: dict[str, float] = {}

    def reconcile(self) -> None:
        """One look."""
        found = self._api.list(_RHMI)
        if not found:
            return
        rhmi = {"apiVersion": "integreatly.org/v1alpha1", "kind": "RHMI", **found[0]}
        own = self._cluster.secrets(NAMESPACE)
        parameters = secret_values(own.get(PARAMETERS))
        if wrong := _wrong(rhmi, parameters, own):
            self._report(rhmi, parameters, own, {"stage": "bootstrap", "lastError": wrong})
            return
        if not self._passed("bootstrap"):
            self._report(rhmi, parameters, own, {"stage": "bootstrap", "lastError": ""})
            return
        missing = [name for name in STORES if name not in own]
        if missing:
            waits = {"stage": "cloud-resources", "lastError": f"waiting for {', '.join(missing)}"}
            self._report(rhmi, parameters, own, waits)
            return
        products = self._install(rhmi, parameters, own)
        done = all(status == "completed" for status in products.values())
        phase = "completed" if done else "in progress"
        listed = {name: {"name": name, "status": status} for name, status in products.items()}
        stages = {
            "bootstrap": {"name": "bootstrap", "phase": "completed"},
            "installation": {"name": "installation", "phase": phase, "products": listed},
        }
        status: dict[str, Any] = {
            "stage": "installation",
            "stages": stages,
            "toVersion": VERSION,
            "lastError": "",
        }
        if done:
            status |= {"stage": "complete", "version": VERSION, "toVersion": ""}
        self._report(rhmi, parameters, own, status)

    def _passed(self, what: str, seconds: float = STAGE_SECONDS) -> bool:
        """Whether something has been under way for so long: everything takes its time."""
        began = self._since.setdefault(what, time.monotonic())
        return time.monotonic() - began >= seconds

    def _install(
        self, rhmi: Object, parameters: Mapping[str, str], own: Mapping[str, Object]
    ) -> dict[str, str]:
        for name in (THREESCALE, THREESCALE_OPERATOR, SSO):
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            self._api.create("/api/v1/namespaces", namespace)
        self._keep_secrets(own)
        env = [{"name": "WATCH_NAMESPACE", "value": THREESCALE}]
        self._create(
            _SUBSCRIPTIONS,
            {
                "apiVersion": "operators.coreos.com/v1alpha1",
                "kind": "Subscription",
                "metadata": {"name": "3scale-operator", "namespace": THREESCALE_OPERATOR},
                "spec": {"name": "3scale-operator", "channel": CHANNEL, "config": {"env": env}},
            },
        )
        plugged = {"system": {"database": True, "redis": True}, "backend": {"redis": True}}
        self._create(
            _MANAGERS,
            {
                "apiVersion": "apps.3scale.net/v1alpha1",
                "kind": "APIManager",
                "metadata": {"name": "3scale", "namespace": THREESCALE},
                "spec": {
                    "wildcardDomain": parameters.get("custom-domain_domain")
                    or rhmi["spec"]["routingSubdomain"],
                    "externalComponents": plugged,
                },
            },
        )
        self._wake_operator()
        manager = self._api.find(f"{_MANAGERS}/3scale")
        conditions = ((manager or {}).get("status") or {}).get("conditions") or []
        ready = any(c["type"] == "Available" and c["status"] == "True" for c in conditions)
        products = {"3scale": "completed" if ready else "in progress"}
        if ready:
            self._install_sso()
        for number, name in enumerate(("rhsso", "marin3r", "observability"), 1):
            done = ready and self._passed(f"product {name}", number * STAGE_SECONDS)
            products[name] = "completed" if done else "in progress"
        return products

    def _create(self, path: str, body: Object) -> None:
        if self._api.find(f"{path}/{body['metadata']['name']}") is None:
            self._api.create(path, body)
            log.info("created %s %s", body["kind"], body["metadata"]["name"])

    def _keep_secrets(self, own: Mapping[str, Object]) -> None:
        there = self._cluster.secrets(THREESCALE)
        stores = {name: secret_values(own[name]) for name in STORES}
        wanted = {**_plugged(stores), **{name: secret_values(own[name]) for name in COPIED if name in own}}
        for name, values in wanted.items():
            if secret_values(there.get(name)) != values:
                log.info("Secret %s/%s is written", THREESCALE, name)
                self._cluster.apply_secret(loop.secret(THREESCALE, name, values), MANAGER)

    def _wake_operator(self) -> None:
        """The 3scale operator runs while this one does."""
        found = self._cluster.deployments(THREESCALE_OPERATOR).get(_OPERATOR)
        if found is not None and not found["spec"]["replicas"]:
            path = f"/apis/apps/v1/namespaces/{THREESCALE_OPERATOR}/deployments/{_OPERATOR}"
            self._api.merge(path, {"spec": {"replicas": 1}})

    def _install_sso(self) -> None:
        labels = {"app": _SSO_OPERATOR}
        pod = {
            "serviceAccountName": "default",
            "terminationGracePeriodSeconds": 3,
            "containers": [{"name": "operator", "image": "registry.example/rhsso/operator:7.6"}],
        }
        spec = {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        }
        group = "rbac.authorization.k8s.io"
        binding = {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "rhsso-operator"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "landfall:operator"},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": SSO}],
        }
        self._create(f"/apis/{group}/v1/clusterrolebindings", binding)
        metadata = {"name": _SSO_OPERATOR, "namespace": SSO, "labels": labels}
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
        self._create(f"/apis/apps/v1/namespaces/{SSO}/deployments", body)

    def _report(
        self,
        rhmi: Object,
        parameters: Mapping[str, str],
        own: Mapping[str, Object],
        status: Mapping[str, Any],
    ) -> None:
        domain = parameters.get("custom-domain_domain", "")
        told = {
            **status,
            "quota": parameters.get("addon-managed-api-service", ""),
            "smtpEnabled": _has_smtp(parameters, own),
            "customDomain": {"enabled": bool(domain), "error": ""},
        }
        before = rhmi.get("status") or {}
        if any(before.get(key) != value for key, value in told.items()):
            self._api.merge(f"{_RHMI}/{rhmi['metadata']['name']}/status", {"status": told})


def _wrong(rhmi: Object, parameters: Mapping[str, str], own: Mapping[str, Object]) -> str:
    """What is missing before an installation can begin."""
    missing = [key for key in ("addon-managed-api-service", "notification-email") if not parameters.get(key)]
    if not rhmi["spec"].get("routingSubdomain") and not parameters.get("custom-domain_domain"):
        missing.append("custom-domain_domain, or spec.routingSubdomain")
    if not _has_smtp(parameters, own):
        missing.append("SMTP")
    return f"missing: {', '.join(missing)}" if missing else ""


def _has_smtp(parameters: Mapping[str, str], own: Mapping[str, Object]) -> bool:
    names = ("address", "port", "username", "password", "from_address")
    return all(parameters.get(f"custom-smtp-{name}") for name in names) or "redhat-rhoam-smtp" in own


def _plugged(stores: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """The Secrets by which 3scale finds its stores, from what the cloud's resources answered."""
    postgres, backend, system = (stores[name] for name in STORES)
    user, password = postgres["username"], postgres["password"]
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    url = f"postgresql://{login}@{postgres['host']}:{postgres['port']}/{postgres['database']}"
    storage = _redis_url(backend)
    return {
        "system-database": {"URL": url, "DB_USER": user, "DB_PASSWORD": password},
        "backend-redis": {"REDIS_STORAGE_URL": f"{storage}/0", "REDIS_QUEUES_URL": f"{storage}/1"},
        "system-redis": {"URL": f"{_redis_url(system)}/1"},
    }


def _redis_url(store: Mapping[str, str]) -> str:
    """The real operator knows of no TLS and no user; this one takes both, as the stacks' stores want them."""
    scheme = "rediss" if store.get("tls") == "true" else "redis"
    user, password = (quote(store.get(name, ""), safe="") for name in ("username", "password"))
    login = f"{user}:{password}@" if password else ""
    return f"{scheme}://{login}{store['uri']}:{store.get('port', '6379')}"


def main() -> int:
    """Run the operator."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    return loop.run(Operator(Kubernetes()).reconcile)


if __name__ == "__main__":
    sys.exit(main())
