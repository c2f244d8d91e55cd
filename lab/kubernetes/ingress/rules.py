"""From Kubernetes objects to a routing table; no effects here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.kubernetes.node.api import Object

ANNOTATIONS = "nginx.ingress.kubernetes.io/"
CATCH_ALL = ""
_TIMEOUTS = {"proxy-connect-timeout": 5.0, "proxy-send-timeout": 60.0, "proxy-read-timeout": 60.0}
_KNOWN = {
    *_TIMEOUTS,
    "backend-protocol",
    "upstream-vhost",
    "proxy-body-size",
    "ssl-redirect",
    "force-ssl-redirect",
}
_DEFAULT_BODY = "1m"
_SIZES = {"k": 1024, "m": 1024**2, "g": 1024**3}


@dataclass(frozen=True)
class Path:
    """A path of a host. Timeouts in seconds, `body` (0: any) in bytes; `vhost` empty: the client's Host."""

    path: str
    exact: bool
    backend: str
    secure: bool = False
    vhost: str = ""
    connect: float = 5.0
    send: float = 60.0
    read: float = 60.0
    body: int = 1024**2
    redirect: bool = False
    """Whether plain HTTP is sent on to HTTPS."""


@dataclass
class Table:
    """Where requests go: paths by host, peers by backend, the TLS secret (namespace, name) by host."""

    hosts: dict[str, list[Path]] = field(default_factory=dict)
    backends: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    secrets: dict[str, tuple[str, str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Cluster:
    """The objects that routing depends on."""

    ingresses: Sequence[Object]
    services: Mapping[tuple[str, str], Object]
    slices: Sequence[Object]


@dataclass(frozen=True)
class _Services:
    """Services, and the slices of each, by namespace and name."""

    objects: Mapping[tuple[str, str], Object]
    slices: Mapping[tuple[str, str], Sequence[Object]]


def is_ours(ingress: Object, ingress_class: str) -> bool:
    """Whether an Ingress names our class, by its field or by the old annotation."""
    named = ingress["spec"].get("ingressClassName")
    annotations: Mapping[str, str] = ingress["metadata"].get("annotations") or {}
    return bool((named or annotations.get("kubernetes.io/ingress.class")) == ingress_class)


def routing_table(cluster: Cluster, ingress_class: str) -> Table:
    """The table for all Ingresses of the class; of two that claim one path the older has it."""
    table = Table()
    services = _Services(cluster.services, _by_service(cluster.slices))
    ours = [ingress for ingress in cluster.ingresses if is_ours(ingress, ingress_class)]
    for ingress in sorted(ours, key=_age):
        _add(table, ingress, services)
    for paths in table.hosts.values():
        # exact before prefix, then the longest
        paths.sort(key=lambda path: (not path.exact, -len(path.path), path.path))
    return table


def _age(ingress: Object) -> tuple[str, str, str]:
    metadata = ingress["metadata"]
    return metadata.get("creationTimestamp", ""), metadata["namespace"], metadata["name"]


def _by_service(slices: Iterable[Object]) -> dict[tuple[str, str], list[Object]]:
    found: dict[tuple[str, str], list[Object]] = {}
    for item in slices:
        metadata = item["metadata"]
        service = (metadata.get("labels") or {}).get("kubernetes.io/service-name", "")
        found.setdefault((metadata["namespace"], service), []).append(item)
    return found


def _add(table: Table, ingress: Object, services: _Services) -> None:
    metadata, spec = ingress["metadata"], ingress["spec"]
    namespace, where = metadata["namespace"], f"Ingress {metadata['namespace']}/{metadata['name']}"
    secured: set[str] = set()
    for entry in spec.get("tls") or []:
        for host in entry.get("hosts") or [CATCH_ALL]:
            secured.add(host)
            if entry.get("secretName"):
                table.secrets.setdefault(host, (namespace, entry["secretName"]))
    options, problems = _options(metadata.get("annotations") or {})
    table.problems += [f"{where}: {problem}" for problem in problems]
    for host, path, exact, backend in _claims(spec):
        name = _backend(table, where, (namespace, backend), services)
        redirect = options["force"] or (options["redirect"] and host in secured)
        paths = table.hosts.setdefault(host, [])
        if all((other.path, other.exact) != (path, exact) for other in paths):
            paths.append(Path(path, exact, name, redirect=redirect, **options["path"]))


def _claims(spec: Object) -> list[tuple[str, str, bool, Object]]:
    """Host, path, whether it is exact, and backend of everything that an Ingress wants."""
    claims = [
        (
            rule.get("host", CATCH_ALL),
            entry.get("path") or "/",
            entry.get("pathType") == "Exact",
            entry["backend"],
        )
        for rule in spec.get("rules") or []
        for entry in (rule.get("http") or {}).get("paths") or []
    ]
    if spec.get("defaultBackend"):
        hosts = {host for host, *_ in claims} | {CATCH_ALL}
        claims += [(host, "/", False, spec["defaultBackend"]) for host in sorted(hosts)]
    return claims


def _options(annotations: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    own = {k.removeprefix(ANNOTATIONS): v for k, v in annotations.items() if k.startswith(ANNOTATIONS)}
    problems = [
        f"annotation {ANNOTATIONS}{name} is not known to the lab's ingress" for name in own.keys() - _KNOWN
    ]
    protocol = own.get("backend-protocol", "HTTP").upper()
    if protocol not in ("HTTP", "HTTPS"):
        problems.append(f"backend-protocol {protocol} is not known to the lab's ingress")
    try:
        connect, send, read = (float(own.get(name, default)) for name, default in _TIMEOUTS.items())
        body = size(own.get("proxy-body-size", _DEFAULT_BODY))
    except ValueError as error:
        problems.append(f"an annotation is not a number: {error}")
        (connect, send, read), body = _TIMEOUTS.values(), size(_DEFAULT_BODY)
    path = {
        "secure": protocol == "HTTPS",
        "vhost": own.get("upstream-vhost", ""),
        "connect": connect,
        "send": send,
        "read": read,
        "body": body,
    }
    force = own.get("force-ssl-redirect") == "true"
    return {"path": path, "force": force, "redirect": own.get("ssl-redirect") != "false"}, problems


def size(text: str) -> int:
    """Bytes, from nginx's notation (`8m`). Raises ValueError."""
    unit = _SIZES.get(text[-1:].lower())
    return int(text[:-1]) * unit if unit else int(text)


def _backend(table: Table, where: str, backend: tuple[str, Object], services: _Services) -> str:
    """Enter the peers of a backend (its namespace, and what the Ingress says) into the table; its name."""
    namespace, declared = backend
    wanted = declared.get("service") or {}
    port = wanted.get("port") or {}
    key = (namespace, wanted.get("name", ""))
    name = f"{namespace}/{key[1]}:{port.get('name') or port.get('number')}"
    if name not in table.backends:
        ports = (services.objects.get(key) or {"spec": {}})["spec"].get("ports") or []
        found = [item for item in ports if _matches(item, port)]
        if not found:
            table.problems.append(f"{where}: there is no Service port {name}")
        table.backends[name] = peers(services.slices.get(key, []), found[0].get("name", "")) if found else []
    return name


def _matches(declared: Object, wanted: Object) -> bool:
    if "name" in wanted:
        return bool(declared.get("name") == wanted["name"])
    return bool(declared["port"] == wanted.get("number"))


def peers(slices: Iterable[Object], port_name: str) -> list[tuple[str, int]]:
    """Addresses behind a service port: the ready ones; if none is, those that serve while they end."""
    ready: set[tuple[str, int]] = set()
    ending: set[tuple[str, int]] = set()
    for item in slices:
        ports = [p["port"] for p in item.get("ports") or [] if (p.get("name") or "") == port_name]
        for endpoint in item.get("endpoints") or []:
            conditions = endpoint.get("conditions") or {}
            found = {(address, port) for address in endpoint["addresses"] for port in ports}
            if conditions.get("ready", True):
                ready |= found
            elif conditions.get("serving", False) and conditions.get("terminating", False):
                ending |= found
    return sorted(ready or ending)


def as_lua(value: object) -> str:
    """A value as a Lua expression; strings hold nothing but printable ASCII and decimal escapes."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            plain = (chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:03d}" for b in value.encode())
            return '"' + "".join(plain) + '"'
        case Mapping():
            return "{" + ",".join(f"[{as_lua(k)}]={as_lua(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return "{" + ",".join(as_lua(item) for item in value) + "}"
    raise TypeError(f"{type(value).__name__} has no Lua form")
