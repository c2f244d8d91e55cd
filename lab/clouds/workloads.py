"""What runs on the clusters before anything has moved: the manifests, and what differs in each lab."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from lab.clouds.cluster import Cluster
from lab.clouds.internet import DOMAINS
from lab.database import HuaweiDatabase
from lab.kubernetes.certificates import Authority
from lab.topology import AUTOMATA, HUAWEI, TRUEWATCH_1, TRUEWATCH_2, Place

SERVICES_NAMESPACE = "billing-guance-intl"
CORESTONE_NAMESPACE = "guance-basis"
USERS = 100
"""How many accounts there are for users, `user-0` and so on."""
INNER_APP = "inner-app"
_MANIFESTS = Path(__file__).parents[1] / "manifests"
_PULL_SECRET = "default-secret"
_FIRST = ("Namespace", "Secret", "ConfigMap")

Object = Mapping[str, object]


@dataclass(frozen=True)
class Deployed:
    """What a cluster is given: manifests by file name, and the workloads to wait for (namespace, name)."""

    manifests: tuple[str, ...]
    workloads: tuple[tuple[str, str], ...]


DEPLOYED: Mapping[Place, Deployed] = {
    HUAWEI: Deployed(
        ("middleware.yaml", "boss.yaml", "corestone.yaml", "ops-tools.yaml"),
        (
            ("middleware", "redis-basis"),
            ("middleware", "redis-cache"),
            (SERVICES_NAMESPACE, "boss"),
            (CORESTONE_NAMESPACE, "corestone"),
            ("ops-tools", "invoice-exporter"),
        ),
    ),
    AUTOMATA: Deployed(("automata.yaml",), (("automata", "automata"),)),
    TRUEWATCH_1: Deployed(("inner-app.yaml", "kodo.yaml"), (("forethought-inner-app", "inner-app"),)),
    TRUEWATCH_2: Deployed(("inner-app.yaml",), (("forethought-inner-app", "inner-app"),)),
}


class Workloads:
    """Deploys the services. Passwords, certificates and accounts are new in each lab."""

    def __init__(self, database: HuaweiDatabase, web_authority: Authority, database_ca: bytes) -> None:
        self._database = database
        self._web_authority = web_authority
        self._database_ca = database_ca.decode()
        self.accounts = {
            name: secrets.token_urlsafe(12) for name in (*(f"user-{n}" for n in range(USERS)), INNER_APP)
        }
        """Passwords of BOSS's and Corestone's accounts, by user."""

    def deploy(self, cluster: Cluster) -> None:
        """Apply everything to a cluster, and return once its workloads are ready. Raises LabError."""
        deployed = DEPLOYED[cluster.place]
        texts = [(_MANIFESTS / name).read_text() for name in deployed.manifests]
        declared = [item for text in texts for item in yaml.safe_load_all(text)]
        # what pods refer to stands before them
        objects = [*declared, *self._made(cluster.place)]
        cluster.apply(sorted(objects, key=lambda item: _order(str(item["kind"]))))
        for namespace, name in deployed.workloads:
            cluster.rolled_out(namespace, f"deployment/{name}")

    def certificate(self, domain: str, *, days: float | None = None) -> Mapping[str, str]:
        """The data of a TLS Secret for a domain; `days` from now it expires, if that is given."""
        pair = self._web_authority.server(domain, [domain], days=days)
        return {"tls.crt": pair.certificate.decode(), "tls.key": pair.key.decode()}

    def _made(self, place: Place) -> Iterable[Object]:
        if place is HUAWEI:
            boss, corestone = self._database.application, self._database.corestone
            for namespace, login, name, domain in (
                (SERVICES_NAMESPACE, boss, "boss", DOMAINS[0]),
                (CORESTONE_NAMESPACE, corestone, "corestone", DOMAINS[1]),
            ):
                login_data = {"DATABASE_USER": login.user, "DATABASE_PASSWORD": login.password}
                yield secret(namespace, f"{name}-database", login_data)
                tls = f"{domain.replace('.', '-')}-tls"
                yield secret(namespace, tls, self.certificate(domain), "kubernetes.io/tls")
                yield config_map(namespace, "database-ca", {"ca.pem": self._database_ca})
            yield secret("middleware", "mq-password", {"password": secrets.token_urlsafe(18)})
            for namespace in (SERVICES_NAMESPACE, CORESTONE_NAMESPACE, "middleware"):
                yield _pull_secret(namespace)
        if place in (TRUEWATCH_1, TRUEWATCH_2):
            account = {"CORESTONE_USER": INNER_APP, "CORESTONE_PASSWORD": self.accounts[INNER_APP]}
            yield secret("forethought-inner-app", "inner-app-account", account)


def _order(kind: str) -> int:
    return _FIRST.index(kind) if kind in _FIRST else len(_FIRST)


def secret(namespace: str, name: str, values: Mapping[str, str], kind: str = "Opaque") -> Object:
    """A Secret."""
    metadata = {"name": name, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": metadata,
        "stringData": dict(values),
    }


def config_map(namespace: str, name: str, values: Mapping[str, str]) -> Object:
    """A ConfigMap."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(values)}


def _pull_secret(namespace: str) -> Object:
    """What the old cloud's clusters put into each namespace, for their own registry."""
    login = base64.b64encode(f"lab:{secrets.token_urlsafe(12)}".encode()).decode()
    content = json.dumps({"auths": {"registry.example": {"auth": login}}})
    values = {".dockerconfigjson": content}
    return secret(namespace, _PULL_SECRET, values, "kubernetes.io/dockerconfigjson")
