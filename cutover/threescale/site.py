"""One 3scale on one cluster: where it is, and how its objects are read."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cutover.context import Context
from cutover.errors import StepError
from cutover.ports import Cluster, ObjectKind
from cutover.threescale.controllers import Named

APPS = "apps.3scale.net/v1alpha1"
OPERATOR = "threescale-operator-controller-manager-v2"
"""The Deployment of 3scale's operator."""
OLDER_NAMES: Mapping[str, tuple[str, ...]] = {"system-searchd": ("system-sphinx",)}
"""What a Deployment was called in versions from which one moves."""
VERSION_ANNOTATION = "apps.3scale.net/apimanager-threescale-version"
ROUTES = ObjectKind("route.openshift.io/v1", "Route", "routes")
ROUTE_TO = "zync.3scale.net/route-to"
"""The label by which zync says what a route leads to."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """A 3scale. Reading raises StepError, which names the cluster and the object."""

    title: str
    """What people call it, such as `the source`."""
    cluster: str
    """The settings' name of the cluster."""
    namespace: str
    operator_namespace: str
    api_manager: str
    subscription: str
    components: tuple[str, ...]
    """Its Deployments, in the order in which they are started."""
    router: str | None
    """Where its routes answer; None: their names are resolved."""

    @property
    def operator(self) -> Named:
        """The Deployment of its operator."""
        return Named(namespace=self.operator_namespace, names=(OPERATOR,))

    def component(self, name: str) -> Named:
        """One of its Deployments, by the name that it has in this version or had in an older one."""
        return Named(namespace=self.namespace, names=(name, *OLDER_NAMES.get(name, ())))

    def on(self, context: Context) -> Cluster:
        """Its cluster."""
        return context.cluster(self.cluster)

    def manager(self, context: Context) -> dict[str, Any]:
        """Its APIManager."""
        found = self.on(context).get(APPS, "apimanagers", self.namespace, self.api_manager)
        if found is None:
            raise StepError(
                f"{self.title} has no APIManager {self.namespace}/{self.api_manager} "
                f"(cluster {self.on(context).context}): 3scale is not installed there, or under another name"
            )
        return found

    def wildcard(self, context: Context) -> str:
        """The domain below which its routes are."""
        domain = self.manager(context).get("spec", {}).get("wildcardDomain")
        if not domain:
            raise StepError(f"the APIManager of {self.title} has no spec.wildcardDomain")
        return str(domain)

    def version(self, context: Context) -> str:
        """Its version as major.minor; empty where its operator has not said one yet."""
        annotations = self.manager(context)["metadata"].get("annotations") or {}
        return ".".join(str(annotations.get(VERSION_ANNOTATION, "")).split(".")[:2])

    def secret(self, context: Context, name: str, *, namespace: str = "") -> dict[str, bytes]:
        """A Secret's values."""
        found = find_secret(self.on(context), namespace or self.namespace, name)
        if found is None:
            raise StepError(f"{self.title} has no Secret {namespace or self.namespace}/{name}")
        return found

    def secret_text(self, context: Context, name: str, key: str) -> str:
        """One value of a Secret."""
        value = self.secret(context, name).get(key, b"").decode("utf-8", "replace")
        if not value:
            raise StepError(f"Secret {self.namespace}/{name} of {self.title} has no {key}")
        return value

    def routes(self, context: Context, leads_to: str = "") -> list[dict[str, Any]]:
        """Its routes; `leads_to`: those that zync made for that part alone."""
        return [
            route
            for route in self.on(context).list(ROUTES, self.namespace)
            if not leads_to or (route["metadata"].get("labels") or {}).get(ROUTE_TO) == leads_to
        ]

    def hosts(self, context: Context, leads_to: str = "") -> list[str]:
        """The hosts of its routes, each once, in order."""
        return sorted({str(route["spec"].get("host", "")) for route in self.routes(context, leads_to)} - {""})


def find_secret(cluster: Cluster, namespace: str, name: str) -> dict[str, bytes] | None:
    """A Secret's values; None where it is absent. Raises StepError."""
    found = cluster.get("v1", "secrets", namespace, name)
    if found is None:
        return None
    try:
        return {key: base64.b64decode(text, validate=True) for key, text in (found.get("data") or {}).items()}
    except (binascii.Error, ValueError, TypeError) as error:
        raise StepError(f"Secret {namespace}/{name} on {cluster.context} is not in base64") from error


def encoded(values: Mapping[str, bytes]) -> dict[str, str]:
    """Values as a Secret's `data` has them."""
    return {key: base64.b64encode(value).decode() for key, value in values.items()}


def write_secret(
    cluster: Cluster, namespace: str, name: str, values: Mapping[str, bytes], *, exists: bool
) -> None:
    """Writes these keys of a Secret, whose other keys stay, or makes it. Raises StepError."""
    data = {"data": encoded(values)}
    if exists:
        cluster.merge_patch("v1", "secrets", namespace, name, data)
        return
    metadata = {"namespace": namespace, "name": name}
    kind = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque"}
    cluster.create("secrets", {**kind, "metadata": metadata, **data})


def admitted(route: Mapping[str, Any]) -> bool:
    """Whether a router serves a route."""
    return any(
        condition.get("type") == "Admitted" and condition.get("status") == "True"
        for ingress in (route.get("status") or {}).get("ingress") or ()
        for condition in ingress.get("conditions") or ()
    )


def why_not_admitted(route: Mapping[str, Any]) -> str:
    """What the routers say of a route that they do not serve; empty: nothing yet."""
    said = [
        f"{condition.get('reason', '')}: {condition.get('message', '')}".strip(": ")
        for ingress in (route.get("status") or {}).get("ingress") or ()
        for condition in ingress.get("conditions") or ()
        if condition.get("type") == "Admitted" and condition.get("status") != "True"
    ]
    return "; ".join(text for text in said if text)
