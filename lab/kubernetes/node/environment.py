"""The environment of a container, as the kubelet puts it together when the container starts."""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from lab.kubernetes.node.api import Object

Fetch = Callable[[str, str], Awaitable[Object | None]]
"""Gives the ConfigMap or Secret (`configmaps` or `secrets`, name) of the pod's namespace; None if absent."""

_REFERENCE = re.compile(r"\$(\$|\(([^()]+)\))")
_QUANTITY = re.compile(r"^([0-9.]+)(m|k|[MGTPE]|[KMGTPE]i)?$")
_UNITS = {"m": 1e-3, **{u: 1000.0 ** (i + 1) for i, u in enumerate("kMGTPE")}}
_UNITS |= {f"{u.upper()}i": 1024.0 ** (i + 1) for i, u in enumerate("kMGTPE")}


class ConfigError(Exception):
    """Something a container refers to is absent or wrong: CreateContainerConfigError."""


async def container_environment(
    pod: Object, container: Object, fetch: Fetch, facts: Mapping[str, str], services: Mapping[str, str]
) -> dict[str, str]:
    """All variables that the pod's declaration gives a container; raises ConfigError.

    `facts` are the values of field references that the status decides (`status.podIP` …), `services` the
    variables of service links. Later ones win: service links, envFrom, env.
    """
    environment = dict(services)
    for source in container.get("envFrom") or []:
        environment |= await _from_source(source, fetch)
    given: dict[str, str] = {}
    for item in container.get("env") or []:
        value = item.get("value", "")
        if "valueFrom" in item:
            found = await _value_from(item["valueFrom"], pod, container, fetch, facts)
            if found is None:
                continue
            value = found
        else:
            value = expand(value, {**services, **given})  # as the kubelet: envFrom is not referred to
        given[item["name"]] = value
    return environment | given


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` where NAME is known; `$$` stands for one dollar."""

    def replacement(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return variables.get(match[2], match[0])

    return _REFERENCE.sub(replacement, text)


async def _from_source(source: Object, fetch: Fetch) -> dict[str, str]:
    kind = "configmaps" if "configMapRef" in source else "secrets"
    reference = source["configMapRef" if kind == "configmaps" else "secretRef"]
    found = await fetch(kind, reference["name"])
    if found is None:
        if reference.get("optional"):
            return {}
        raise ConfigError(f'{_singular(kind)} "{reference["name"]}" not found')
    prefix = source.get("prefix", "")
    return {prefix + key: value for key, value in text_entries(found).items()}


async def _value_from(
    source: Object, pod: Object, container: Object, fetch: Fetch, facts: Mapping[str, str]
) -> str | None:
    if "fieldRef" in source:
        return field_value(pod, source["fieldRef"]["fieldPath"], facts)
    if "resourceFieldRef" in source:
        return resource_value(pod, container, source["resourceFieldRef"])
    for key, kind in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
        if key in source:
            return await _key_of(kind, source[key], fetch)
    raise ConfigError(f"the lab's node agent knows no variable source {', '.join(source)}")


async def _key_of(kind: str, reference: Object, fetch: Fetch) -> str | None:
    found = await fetch(kind, reference["name"])
    entries = text_entries(found) if found else {}
    if reference["key"] in entries:
        return entries[reference["key"]]
    if reference.get("optional"):
        return None
    if found is None:
        raise ConfigError(f'{_singular(kind)} "{reference["name"]}" not found')
    metadata = found["metadata"]
    raise ConfigError(
        f"couldn't find key {reference['key']} in {_singular(kind).capitalize()} "
        f"{metadata['namespace']}/{metadata['name']}"
    )


def _singular(kind: str) -> str:
    return kind.removesuffix("s")


def text_entries(found: Object) -> dict[str, str]:
    """The entries of a ConfigMap or Secret as text."""
    return {key: value.decode(errors="surrogateescape") for key, value in entries(found).items()}


def entries(found: Object) -> dict[str, bytes]:
    """The entries of a ConfigMap or Secret as bytes."""
    data: dict[str, str] = found.get("data") or {}
    if found.get("kind") == "Secret" or "type" in found:
        return {key: base64.b64decode(value) for key, value in data.items()}
    binary: dict[str, str] = found.get("binaryData") or {}
    return {key: value.encode() for key, value in data.items()} | {
        key: base64.b64decode(value) for key, value in binary.items()
    }


def field_value(pod: Object, path: str, facts: Mapping[str, str]) -> str:
    """The value of a downward API field; raises ConfigError for one that is not supported."""
    if path in facts:
        return facts[path]
    metadata, spec = pod["metadata"], pod["spec"]
    subscript = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
    if subscript:
        return str((metadata.get(subscript[1]) or {}).get(subscript[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        values: Mapping[str, Any] = metadata.get(path.partition(".")[2]) or {}
        return "\n".join(f'{key}="{value}"' for key, value in sorted(values.items()))
    known = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
    }
    if path not in known:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return str(known[path])


def resource_value(pod: Object, container: Object, reference: Object) -> str:
    """A container's request or limit in units of the divisor, rounded up."""
    name = reference.get("containerName")
    if name:
        container = next(item for item in pod["spec"]["containers"] if item["name"] == name)
    section, _, resource = reference["resource"].partition(".")
    resources = container.get("resources") or {}
    amount = (resources.get(section) or {}).get(resource)
    if amount is None and section == "requests":
        amount = (resources.get("limits") or {}).get(resource)
    divisor = quantity(reference.get("divisor") or "1") or 1.0
    return str(-int(-quantity(amount or "0") // divisor))


def quantity(text: str) -> float:
    """A Kubernetes quantity as a number; raises ConfigError."""
    match = _QUANTITY.match(str(text))
    if match is None:
        raise ConfigError(f"{text} is no quantity")
    return float(match[1]) * _UNITS.get(match[2] or "", 1.0)


def service_links(services: Iterable[Object], namespace: str, enabled: bool) -> dict[str, str]:
    """The variables of the namespace's services, and always of the API's own."""
    variables: dict[str, str] = {}
    for service in services:
        metadata, spec = service["metadata"], service["spec"]
        api = metadata["namespace"] == "default" and metadata["name"] == "kubernetes"
        address = spec.get("clusterIP")
        if not api and (not enabled or metadata["namespace"] != namespace):
            continue
        if not address or address == "None" or not spec.get("ports"):
            continue
        variables |= _link(metadata["name"].upper().replace("-", "_"), address, spec["ports"])
    return variables


def _link(name: str, address: str, ports: list[Object]) -> dict[str, str]:
    first = ports[0]
    protocol = first.get("protocol", "TCP").lower()
    variables = {
        f"{name}_SERVICE_HOST": address,
        f"{name}_SERVICE_PORT": str(first["port"]),
        f"{name}_PORT": f"{protocol}://{address}:{first['port']}",
    }
    for port in ports:
        protocol = port.get("protocol", "TCP").lower()
        if port.get("name"):
            variables[f"{name}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
        base = f"{name}_PORT_{port['port']}_{protocol.upper()}"
        variables |= {
            base: f"{protocol}://{address}:{port['port']}",
            f"{base}_PROTO": protocol,
            f"{base}_PORT": str(port["port"]),
            f"{base}_ADDR": address,
        }
    return variables
