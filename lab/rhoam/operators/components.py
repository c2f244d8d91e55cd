"""What the 3scale operator makes: the Deployments and Services of 3scale, for a version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lab.rhoam.threescale.kubernetes import Object

REGISTRY = "registry.example/3scale-amp2"
COMPONENTS = (
    "apicast-production",
    "apicast-staging",
    "backend-cron",
    "backend-listener",
    "backend-worker",
    "system-app",
    "system-memcache",
    "system-searchd",
    "system-sidekiq",
    "zync",
    "zync-database",
    "zync-que",
)
INTERNAL = ("backend-redis", "system-mysql", "system-redis")
"""What 3scale brings itself where nothing external is plugged in."""
LABELS = {"app": "3scale-api-management"}
ZYNC_ACCOUNT = "zync-que-sa"
_IDLE = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done")
_GRACE_SECONDS = 10

Source = tuple[str, str]
"""A Secret and a key in it."""


@dataclass(frozen=True)
class Component:
    """A Deployment of one container, and the ports of its Services, by Service."""

    name: str
    image: str
    args: Sequence[str] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Source] = field(default_factory=dict)
    services: Mapping[str, tuple[str, int, int]] = field(default_factory=dict)
    """Name of the port, the Service's port and the container's."""
    ready: tuple[str, int] | None = None
    """Path and port of the readiness probe."""
    command: Sequence[str] = ()
    account: str = ""


_DATABASE: Mapping[str, Source] = {"DATABASE_URL": ("system-database", "URL")}
_SYSTEM: Mapping[str, Source] = {
    **_DATABASE,
    "REDIS_URL": ("system-redis", "URL"),
    "ZYNC_AUTHENTICATION_TOKEN": ("zync", "ZYNC_AUTHENTICATION_TOKEN"),
}
_INTERNAL_API: Mapping[str, Source] = {
    "CONFIG_INTERNAL_API_USER": ("backend-internal-api", "username"),
    "CONFIG_INTERNAL_API_PASSWORD": ("backend-internal-api", "password"),
}
_QUEUES: Mapping[str, Source] = {
    "CONFIG_REDIS_PROXY": ("backend-redis", "REDIS_STORAGE_URL"),
    "CONFIG_QUEUES_MASTER_NAME": ("backend-redis", "REDIS_QUEUES_URL"),
}
_GATEWAY: Mapping[str, Source] = {
    "THREESCALE_PORTAL_ENDPOINT": ("system-master-apicast", "PROXY_CONFIGS_ENDPOINT"),
    "BACKEND_ENDPOINT_OVERRIDE": ("backend-listener", "service_endpoint"),
}
_SEED: Mapping[str, Source] = {
    **{
        name: ("system-seed", name)
        for name in (
            "MASTER_DOMAIN",
            "MASTER_USER",
            "MASTER_PASSWORD",
            "MASTER_ACCESS_TOKEN",
            "TENANT_NAME",
            "ADMIN_USER",
            "ADMIN_PASSWORD",
            "ADMIN_ACCESS_TOKEN",
        )
    },
    "APICAST_ACCESS_TOKEN": ("system-master-apicast", "ACCESS_TOKEN"),
}


def components(wildcard: str) -> Iterator[Component]:
    """All of 3scale's own; `wildcard`: the domain below which tenants are served."""
    yield Component(
        "system-app",
        "system",
        ("system-app",),
        {"THREESCALE_SUPERDOMAIN": wildcard},
        {
            **_SYSTEM,
            **_INTERNAL_API,
            **_SEED,
            "BACKEND_REDIS_URL": ("backend-redis", "REDIS_STORAGE_URL"),
            "BACKEND_URL": ("backend-listener", "service_endpoint"),
            "SECRET_KEY_BASE": ("system-app", "SECRET_KEY_BASE"),
        },
        {
            "system-master": ("http", 3000, 3002),
            "system-provider": ("http", 3000, 3000),
            "system-developer": ("http", 3000, 3001),
        },
        ("/status", 3000),
    )
    yield Component(
        "system-sidekiq",
        "system",
        ("system-sidekiq",),
        {"ZYNC_ENDPOINT": "http://zync:8080"},
        _SYSTEM,
        ready=("/metrics", 9394),
    )
    yield Component(
        "backend-listener",
        "backend",
        ("backend-listener",),
        secrets={**_QUEUES, **_INTERNAL_API},
        services={"backend-listener": ("http", 3000, 3000)},
        ready=("/status", 3000),
    )
    for name in ("backend-worker", "backend-cron"):
        yield Component(name, "backend", (name,), secrets=_QUEUES, ready=("/status", 9421))
    token: Mapping[str, Source] = {"ZYNC_AUTHENTICATION_TOKEN": ("zync", "ZYNC_AUTHENTICATION_TOKEN")}
    yield Component(
        "zync",
        "zync",
        ("zync",),
        {"ZYNC_QUE_URL": "http://zync-que:9394"},
        token,
        {"zync": ("http", 8080, 8080)},
        ("/status/live", 8080),
    )
    yield Component(
        "zync-que",
        "zync",
        ("zync-que",),
        secrets=token,
        services={"zync-que": ("http", 9394, 9394)},
        ready=("/status/live", 9394),
        account=ZYNC_ACCOUNT,
    )
    for name in ("apicast-production", "apicast-staging"):
        yield Component(
            name,
            "apicast",
            ("apicast",),
            secrets=_GATEWAY,
            services={name: ("gateway", 8080, 8080)},
            ready=("/status/ready", 8090),
        )
    # nothing in the stand-in caches, searches, or keeps zync's jobs: these are there to be scaled
    for name in ("system-memcache", "system-searchd", "zync-database"):
        yield Component(name, "idle", command=_IDLE)


def internal_components() -> Iterator[Component]:
    """The databases that 3scale brings itself; they keep nothing when their pod ends."""
    for name in ("backend-redis", "system-redis"):
        yield Component(name, "redis", services={name: ("redis", 6379, 6379)})
    yield Component(
        "system-mysql",
        "mysql",
        secrets={
            "MYSQL_USER": ("system-database", "DB_USER"),
            "MYSQL_PASSWORD": ("system-database", "DB_PASSWORD"),
        },
        services={"system-mysql": ("mysql", 3306, 3306)},
    )


def deployment(component: Component, namespace: str, version: str, owner: Object) -> Object:
    """A component's Deployment."""
    labels = {**LABELS, "deployment": component.name}
    env: list[Object] = [
        {"name": name, "value": value}
        for name, value in (*component.values.items(), ("AMP_RELEASE", version))
    ]
    env += [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": where, "key": key}}}
        for name, (where, key) in component.secrets.items()
    ]
    container: Object = {
        "name": component.name,
        "image": f"{REGISTRY}/{component.image}:{version}",
        "env": env,
    }
    if component.args:
        container["args"] = list(component.args)
    if component.command:
        container["command"] = list(component.command)
    if component.ready:
        path, port = component.ready
        container["readinessProbe"] = {
            "httpGet": {"path": path, "port": port},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
        }
    elif component.services:
        port = next(iter(component.services.values()))[2]
        container["readinessProbe"] = {"tcpSocket": {"port": port}, "periodSeconds": 1}
    pod: Object = {"terminationGracePeriodSeconds": _GRACE_SECONDS, "containers": [container]}
    if component.account:
        pod["serviceAccountName"] = component.account
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": component.name,
            "namespace": namespace,
            "labels": labels,
            "ownerReferences": [owner],
        },
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"} if component.name in INTERNAL else {"type": "RollingUpdate"},
            "selector": {"matchLabels": {"deployment": component.name}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def services(component: Component, namespace: str, owner: Object) -> Iterator[Object]:
    """A component's Services."""
    for name, (port_name, port, target) in component.services.items():
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": dict(LABELS),
                "ownerReferences": [owner],
            },
            "spec": {
                "selector": {"deployment": component.name},
                "ports": [{"name": port_name, "port": port, "targetPort": target}],
            },
        }
