"""The kinds of objects that OpenShift, 3scale, RHOAM and RHSSO bring, and what is there beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of object, with the names of its group."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True


KINDS = (
    Kind("route.openshift.io", "v1", "Route", "routes"),
    Kind("config.openshift.io", "v1", "OAuth", "oauths", namespaced=False),
    Kind("managed.openshift.io", "v1alpha1", "CustomDomain", "customdomains", namespaced=False),
    Kind("operators.coreos.com", "v1alpha1", "Subscription", "subscriptions"),
    Kind("apps.3scale.net", "v1alpha1", "APIManager", "apimanagers"),
    Kind("integreatly.org", "v1alpha1", "RHMI", "rhmis"),
    Kind("keycloak.org", "v1alpha1", "KeycloakClient", "keycloakclients"),
)


def definitions() -> Iterator[Object]:
    """All of them; they take any fields."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    for kind in KINDS:
        names = {"kind": kind.kind, "plural": kind.plural, "singular": kind.kind.lower()}
        version = {
            "name": kind.version,
            "served": True,
            "storage": True,
            "subresources": {"status": {}},
            "schema": {
                "openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}
            },
        }
        yield {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{kind.plural}.{kind.group}"},
            "spec": {
                "group": kind.group,
                "names": {**names, "listKind": f"{kind.kind}List"},
                "scope": "Namespaced" if kind.namespaced else "Cluster",
                "versions": [version],
            },
        }


def operator_role() -> Object:
    """What the stand-in operators may do: everything, as the real ones' many rules come to here."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "landfall:operator"},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
    }


def namespace(name: str) -> Object:
    """A namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def subscription(name: str, channel: str) -> Object:
    """3scale's operator, asked for in a namespace."""
    return {
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "Subscription",
        "metadata": {"name": "3scale-operator", "namespace": name},
        "spec": {"name": "3scale-operator", "channel": channel, "source": "redhat-operators"},
    }


def api_manager(name: str, wildcard: str, *, external: bool) -> Object:
    """A 3scale in a namespace; `external`: on data stores that are plugged in."""
    plugged = {"system": {"database": True, "redis": True}, "backend": {"redis": True}}
    return {
        "apiVersion": "apps.3scale.net/v1alpha1",
        "kind": "APIManager",
        "metadata": {"name": "3scale", "namespace": name},
        "spec": {"wildcardDomain": wildcard, **({"externalComponents": plugged} if external else {})},
    }


def rhoam_operator(name: str) -> list[Object]:
    """RHOAM's operator as the add-on's installation leaves it, waiting for an RHMI."""
    labels = {"name": "rhmi-operator"}
    group = "rbac.authorization.k8s.io"
    pod = {
        "serviceAccountName": "rhmi-operator",
        "terminationGracePeriodSeconds": 3,
        "containers": [{"name": "rhmi-operator", "image": "registry.example/integreatly/rhmi-operator:1.43"}],
    }
    metadata = {"name": "rhmi-operator", "namespace": name, "labels": labels}
    return [
        namespace(name),
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "rhmi-operator", "namespace": name},
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "rhmi-operator"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "landfall:operator"},
            "subjects": [{"kind": "ServiceAccount", "name": "rhmi-operator", "namespace": name}],
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
    ]
