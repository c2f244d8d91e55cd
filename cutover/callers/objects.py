"""What Kubernetes objects say about whom they call."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cutover.callers.names import Name, mentions
from cutover.ports import ObjectKind

Item = Mapping[str, Any]

CONFIG_MAPS = ObjectKind("v1", "ConfigMap", "configmaps")
SECRETS = ObjectKind("v1", "Secret", "secrets")
SERVICES = ObjectKind("v1", "Service", "services")
NODES = ObjectKind("v1", "Node", "nodes")
PODS = ObjectKind("v1", "Pod", "pods")
SLICES = ObjectKind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
INGRESSES = ObjectKind("networking.k8s.io/v1", "Ingress", "ingresses")
WORKLOADS = (
    ObjectKind("apps/v1", "Deployment", "deployments"),
    ObjectKind("apps/v1", "StatefulSet", "statefulsets"),
    ObjectKind("apps/v1", "DaemonSet", "daemonsets"),
    ObjectKind("batch/v1", "CronJob", "cronjobs"),
)
_SERVICE_LABEL = "kubernetes.io/service-name"
_OWN_LABELS = ("app.kubernetes.io/name", "app.kubernetes.io/managed-by")


@dataclass(frozen=True)
class Source:
    """A place that holds texts a workload reads: a ConfigMap, a Secret, or its own template."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Place:
    """Where a name stands."""

    source: Source
    key: str

    def __str__(self) -> str:
        return f"{self.source}, {self.key}"


def is_own(item: Item) -> bool:
    """Whether landfall made it."""
    labels = item["metadata"].get("labels") or {}
    return any(str(labels.get(label, "")).startswith("landfall") for label in _OWN_LABELS)


def texts(item: Item) -> Iterator[tuple[str, str]]:
    """The texts of a ConfigMap or a Secret, by key."""
    for key, value in (item.get("data") or {}).items():
        if item["kind"] != "Secret":
            yield key, str(value)
            continue
        try:
            yield key, base64.b64decode(value).decode()
        except (binascii.Error, UnicodeDecodeError):  # a key or certificate in binary names nobody
            continue


def pod_template(item: Item) -> Item:
    """What a workload's pods are made from."""
    spec = item.get("spec") or {}
    found: Item = spec["jobTemplate"]["spec"]["template"] if item["kind"] == "CronJob" else spec["template"]
    return found


def template_texts(template: Item) -> Iterator[tuple[str, str]]:
    """The values of environments, and the arguments, of a pod's containers."""
    for container in _containers(template):
        for entry in container.get("env") or ():
            if "value" in entry:
                yield f"environment {entry['name']}", str(entry["value"])
        for word in (*(container.get("command") or ()), *(container.get("args") or ())):
            yield "arguments", str(word)


def read_by(template: Item) -> frozenset[Source]:
    """The ConfigMaps and Secrets that a pod reads, as environment or as files."""
    found: set[Source] = set()
    spec = template.get("spec") or {}
    for volume in spec.get("volumes") or ():
        parts = [volume, *((volume.get("projected") or {}).get("sources") or ())]
        for part in parts:
            for key, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
                named = part.get(key) or {}
                if name := named.get("name") or named.get("secretName"):
                    found.add(Source(kind, name))
    for container in _containers(template):
        sources = [*(container.get("envFrom") or ())]
        sources += [entry.get("valueFrom") or {} for entry in container.get("env") or ()]
        for source in sources:
            for key, kind in (("configMapRef", "ConfigMap"), ("configMapKeyRef", "ConfigMap"),
                              ("secretRef", "Secret"), ("secretKeyRef", "Secret")):  # fmt: skip
                if name := (source.get(key) or {}).get("name"):
                    found.add(Source(kind, name))
    return frozenset(found)


def _containers(template: Item) -> Iterator[Item]:
    spec = template.get("spec") or {}
    yield from spec.get("initContainers") or ()
    yield from spec.get("containers") or ()


def led_on(
    services: Sequence[Item], slices: Sequence[Item], names: tuple[Name, ...], addresses: Mapping[str, Name]
) -> Iterator[tuple[Name, str]]:
    """Services that lead on to what moves, by an external name or by endpoints written by hand.

    Yields the name that the Service gives, and how it leads on. `addresses`: those of the source at which
    what moves answers.
    """
    for service in services:
        metadata, spec = service["metadata"], service.get("spec") or {}
        key = f"{metadata['namespace']}/{metadata['name']}"
        if external := spec.get("externalName"):
            for mention in mentions(str(external), names, metadata["namespace"]):
                yield (
                    Name(mention.name.way, mention.name.leads_to, key),
                    f"Service {key} is another name for {mention.text}",
                )
        elif not spec.get("selector"):
            for address in _endpoints(slices, metadata["namespace"], metadata["name"]):
                if name := addresses.get(address):
                    yield Name(name.way, name.leads_to, key), f"Service {key} sends to {address}"
                    break


def _endpoints(slices: Sequence[Item], namespace: str, service: str) -> Iterator[str]:
    for item in slices:
        metadata = item["metadata"]
        labels = metadata.get("labels") or {}
        if (metadata["namespace"], labels.get(_SERVICE_LABEL)) != (namespace, service):
            continue
        ports = [port.get("port") for port in item.get("ports") or ()]
        for endpoint in item.get("endpoints") or ():
            for address in endpoint.get("addresses") or ():
                yield from (f"{address}:{port}" for port in ports)
                yield str(address)


def source_addresses(services: Sequence[Item], nodes: Sequence[Item]) -> dict[str, Name]:
    """The addresses at which the source's moving Services answer, each with what it leads to."""
    found: dict[str, Name] = {}
    hosts = [
        address["address"]
        for node in nodes
        for address in (node.get("status") or {}).get("addresses") or ()
        if address["type"] in ("InternalIP", "ExternalIP")
    ]
    for service in services:
        metadata, spec = service["metadata"], service.get("spec") or {}
        key = f"{metadata['namespace']}/{metadata['name']}"
        name = Name("in-cluster", key, key)
        balancers = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        alone = [*(spec.get("clusterIPs") or ()), *(spec.get("externalIPs") or ())]
        alone += [balancer["ip"] for balancer in balancers if balancer.get("ip")]
        found |= dict.fromkeys((address for address in alone if address != "None"), name)
        ports = [port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")]
        found |= {f"{host}:{port}": name for host in hosts for port in ports}
    return found
