"""A forwarder for stragglers: clients that go on using the source's address after DNS has moved on."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.core.v1 import ConfigMap

NAME = "landfall-forwarder"
UNPRIVILEGED_USER = 101
"""The user `nginx` of the official images."""
DRAIN_SECONDS = 5
"""How long a stopping pod goes on serving, until the cluster's proxies send it nothing any more."""


@dataclass(frozen=True)
class Route:
    """One domain, and the Service through which its requests still arrive."""

    domain: str
    service: str
    """The Service's name, in the forwarder's namespace."""
    port: int
    """The port of the pods that the Service sends to."""
    selector: Mapping[str, str]
    """The labels that the Service normally selects its pods by."""


class Forwarder(pulumi.ComponentResource):
    """nginx in one namespace of the source's cluster, sending what arrives on to the target's ingress.

    It speaks https to the target with the domain as Host and as server name, and verifies its certificate.
    A request that arrives by an in-cluster name is sent on under its Service's domain. Runs unprivileged.

    It stands unused until a Service's selector is set to `forwarding_selector(...)`.

    Args:
        routes: all domains of the namespace.
        targets: addresses of the target's ingress.
        ca_bundle: the file in the image that holds the authorities of the target's certificates.
        serving: whether Services send to it now; it is then protected.
    """

    def __init__(
        self,
        name: str,
        *,
        namespace: str,
        image: str,
        routes: Sequence[Route],
        targets: pulumi.Input[Sequence[str]],
        ca_bundle: str,
        serving: bool,
        replicas: int = 2,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("landfall:kubernetes:Forwarder", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, protect=serving)
        ports = sorted({route.port for route in routes})
        ready_port = next(port for port in range(8081, 8081 + len(ports) + 1) if port not in ports)
        configuration = pulumi.Output.from_input(targets).apply(
            lambda addresses: nginx_configuration(namespace, routes, addresses, ca_bundle, ready_port)
        )
        labels = {"app.kubernetes.io/name": NAME}
        config_map = ConfigMap(
            f"{namespace}/{NAME}",
            metadata={"namespace": namespace, "name": NAME, "labels": labels},
            data={"nginx.conf": configuration},
            opts=child,
        )
        selected = {key: NAME for route in routes for key in route.selector}
        Deployment(
            f"{namespace}/{NAME}",
            metadata={"namespace": namespace, "name": NAME, "labels": labels},
            spec={
                "replicas": replicas,
                "selector": {"match_labels": labels},
                "strategy": {"rolling_update": {"max_unavailable": 0, "max_surge": 1}},
                "template": {
                    "metadata": {
                        "labels": selected | labels,
                        # nginx reads its configuration at start: a new one takes new pods.
                        "annotations": {"landfall/configuration": configuration.apply(_checksum)},
                    },
                    "spec": {
                        "automount_service_account_token": False,
                        "termination_grace_period_seconds": 60,
                        "security_context": {
                            "run_as_non_root": True,
                            "run_as_user": UNPRIVILEGED_USER,
                            "run_as_group": UNPRIVILEGED_USER,
                            "fs_group": UNPRIVILEGED_USER,
                            "seccomp_profile": {"type": "RuntimeDefault"},
                        },
                        "containers": [
                            {
                                "name": "nginx",
                                "image": image,
                                "command": [
                                    "nginx",
                                    "-e",
                                    "stderr",
                                    "-c",
                                    "/etc/landfall-forwarder/nginx.conf",
                                ],
                                "ports": [{"container_port": port} for port in ports],
                                "readiness_probe": {
                                    "http_get": {"path": "/ready", "port": ready_port},
                                    "period_seconds": 2,
                                },
                                "lifecycle": {
                                    "pre_stop": {"exec_": {"command": ["/bin/sh", "-c", _drain_command()]}}
                                },
                                "security_context": {
                                    "allow_privilege_escalation": False,
                                    "read_only_root_filesystem": True,
                                    "capabilities": {"drop": ["ALL"]},
                                },
                                "resources": {
                                    "requests": {"cpu": "100m", "memory": "64Mi"},
                                    "limits": {"memory": "256Mi"},
                                },
                                "volume_mounts": [
                                    {"name": "configuration", "mount_path": "/etc/landfall-forwarder"},
                                    {"name": "temporary", "mount_path": "/tmp"},  # noqa: S108 - in the container
                                ],
                            }
                        ],
                        "volumes": [
                            {"name": "configuration", "config_map": {"name": config_map.metadata.name}},
                            {"name": "temporary", "empty_dir": {}},
                        ],
                    },
                },
            },
            opts=child,
        )
        self.register_outputs({})


def forwarding_selector(selector: Mapping[str, str]) -> dict[str, str]:
    """The selector, of the same keys, by which a Service sends to the forwarder instead of to its pods."""
    return dict.fromkeys(selector, NAME)


def nginx_configuration(
    namespace: str, routes: Sequence[Route], targets: Sequence[str], ca_bundle: str, ready_port: int
) -> str:
    """The forwarder's nginx.conf.

    Raises:
        ValueError: there is no target to forward to.
    """
    if not targets:
        raise ValueError("the target's stack has no ingress address to forward to")
    servers = "\n".join(_servers(namespace, routes))
    upstream = "\n".join(f"    server {address}:443;" for address in targets)
    return f"""\
pid /tmp/nginx.pid;
error_log stderr;
daemon off;
worker_processes 2;
worker_shutdown_timeout 30s;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  server_tokens off;
  client_max_body_size 0;
  client_body_temp_path /tmp/body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
  # A connection a request: a kept one may be closed by the target while a POST is sent on it, which nobody
  # may repeat. Session resumption keeps the handshakes short.
  upstream target {{
{upstream}
  }}
  proxy_http_version 1.1;
  proxy_connect_timeout 5s;
  proxy_read_timeout 60s;
  # nginx passes no POST, LOCK or PATCH on to another server once it has sent it to one.
  proxy_next_upstream error timeout;
  proxy_next_upstream_tries 3;
  proxy_next_upstream_timeout 15s;
  proxy_ssl_server_name on;
  proxy_ssl_verify on;
  proxy_ssl_verify_depth 3;
  proxy_ssl_trusted_certificate {ca_bundle};
  proxy_ssl_protocols TLSv1.2 TLSv1.3;
  proxy_ssl_session_reuse on;
{servers}
  server {{
    listen {ready_port} default_server;
    location = /ready {{ return 200; }}
    location / {{ return 404; }}
  }}
}}
"""


def _servers(namespace: str, routes: Sequence[Route]) -> Iterator[str]:
    """A server a domain. Where a port serves several Services, an unknown Host is refused."""
    for port in sorted({route.port for route in routes}):
        here = [route for route in routes if route.port == port]
        named: set[str] = set()
        for index, route in enumerate(here):
            names = [route.domain]
            if route.service not in named:
                inside = f"{route.service}.{namespace}"
                names += [route.service, inside, f"{inside}.svc", f"{inside}.svc.cluster.local"]
                named.add(route.service)
            first = index == 0 and len({route.service for route in here}) == 1
            yield _server(route, names, default=first)
        if len(named) > 1:
            yield f"  server {{\n    listen {port} default_server;\n    return 421;\n  }}"


def _server(route: Route, names: Sequence[str], *, default: bool) -> str:
    return f"""\
  server {{
    listen {route.port}{" default_server" if default else ""};
    server_name {" ".join(names)};
    location / {{
      proxy_pass https://target;
      proxy_ssl_name {route.domain};
      proxy_set_header Host {route.domain};
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
    }}
  }}"""


def _drain_command() -> str:
    """Serve on, then end gracefully; the kubelet's own signal comes once this command has returned."""
    return (
        f"sleep {DRAIN_SECONDS}; nginx -e stderr -c /etc/landfall-forwarder/nginx.conf -s quit; "
        "while [ -e /tmp/nginx.pid ]; do sleep 0.2; done"
    )


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
