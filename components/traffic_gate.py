"""A gate before the services of a namespace: it can hold requests for a moment, and choose who answers."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.core.v1 import ConfigMap, PodSpecArgsDict, Service

NAME = "landfall-gate"
FOLDER = "/etc/landfall-gate"
RUNTIME_PORT = 9901
"""HAProxy's runtime API; only the API server's port forwarding reaches it, as it listens on loopback."""
READY_PORT = 9902
UNPRIVILEGED_USER = 99
"""The user `haproxy` of the official images."""
HOLD_MILLISECONDS = 30_000
"""The longest that a request is held, whatever becomes of whoever closed the gate."""
Side = Literal["source", "target"]

PARK = """\
-- Holds a request while the gate is closed. One thread runs all of this: once the answer to `set map` is out,
-- every later request is held, and those before it count as current sessions of their backend.
local state = Map.new("{state}", Map._str)
core.register_action("park", {{"http-req"}}, function(txn)
  if state:lookup("gate") ~= "closed" then return end
  local waited = 0
  while state:lookup("gate") == "closed" and waited < {hold} do
    core.msleep(2)
    waited = waited + 2
  end
end)
"""


@dataclass(frozen=True)
class GateRoute:
    """One Service that the gate stands before."""

    name: str
    """The Service's name."""
    port: int
    """The port of the pods that it sends to: the gate listens on the same."""
    source: str
    """Host and port of those who answer with the source's database."""
    target: str
    """Host and port of those who answer with the target's."""
    selector: Mapping[str, str] = field(default_factory=dict)
    """The labels that the Service normally selects its pods by."""


class TrafficGate(pulumi.ComponentResource):
    """HAProxy in one namespace, between its Services and their pods.

    Requests pass to the side that the state says. The cutover closes the gate over HAProxy's runtime API: new
    requests are then held, in order, and those in flight go on to their end; it opens it towards either side.
    A held request waits at most `HOLD_MILLISECONDS`. What a client sees is one slower answer.

    The state is in a map that the runtime API changes; a pod that starts anew has the state of this
    declaration, so that it is brought in line right after a switch. Requests are never sent twice.

    Args:
        side: who answers, for pods that start.

    It stands unused until a Service's selector is set to `gate_selector(...)`.

    Outputs:
        selector: the labels of its pods.
    """

    def __init__(
        self,
        name: str,
        *,
        namespace: str,
        image: str,
        routes: Sequence[GateRoute],
        side: Side,
        replicas: int = 2,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("landfall:kubernetes:TrafficGate", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        labels = {"app.kubernetes.io/name": NAME}
        selected = {key: NAME for route in routes for key in route.selector}
        files = {
            "haproxy.cfg": haproxy_configuration(routes, dns=True),
            "park.lua": park_script(f"{FOLDER}/state.map"),
            "state.map": state_map(side),
        }
        config_map = ConfigMap(
            f"{namespace}/{NAME}",
            metadata={"namespace": namespace, "name": NAME, "labels": labels},
            data=files,
            opts=child,
        )
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
                        # The state is changed in place: only a new configuration takes new pods.
                        "annotations": {"landfall/configuration": _checksum(files["haproxy.cfg"])},
                    },
                    "spec": _pod(image, routes, config_map.metadata.name),
                },
            },
            opts=child,
        )
        Service(
            f"{namespace}/{NAME}",
            metadata={"namespace": namespace, "name": NAME, "labels": labels},
            spec={
                "selector": labels,
                "ports": [
                    {"name": f"port-{port}", "port": port, "target_port": port}
                    for port in sorted({route.port for route in routes})
                ],
            },
            opts=child,
        )
        self.selector = labels
        self.register_outputs({"selector": labels})


def gate_selector(selector: Mapping[str, str]) -> dict[str, str]:
    """The selector, of the same keys, by which a Service sends to the gate instead of to its pods."""
    return dict.fromkeys(selector, NAME)


def _pod(image: str, routes: Sequence[GateRoute], config_map: pulumi.Input[str]) -> PodSpecArgsDict:
    return {
        "automount_service_account_token": False,
        "termination_grace_period_seconds": 60,
        "security_context": {
            "run_as_non_root": True,
            "run_as_user": UNPRIVILEGED_USER,
            "run_as_group": UNPRIVILEGED_USER,
            "seccomp_profile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "haproxy",
                "image": image,
                "command": ["haproxy", "-W", "-db", "-f", f"{FOLDER}/haproxy.cfg"],
                "ports": [{"container_port": port} for port in sorted({route.port for route in routes})],
                "readiness_probe": {
                    "http_get": {"path": "/ready", "port": READY_PORT},
                    "period_seconds": 2,
                },
                # SIGUSR1 lets requests end; the cluster's proxies need a moment to send no more.
                "lifecycle": {
                    "pre_stop": {"exec_": {"command": ["/bin/sh", "-c", "sleep 5; kill -USR1 1; sleep 20"]}}
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
                "volume_mounts": [{"name": "configuration", "mount_path": FOLDER}],
            }
        ],
        "volumes": [{"name": "configuration", "config_map": {"name": config_map}}],
    }


def park_script(state: str) -> str:
    """The Lua action that holds requests; `state` is the map's file."""
    return PARK.format(state=state, hold=HOLD_MILLISECONDS)


def state_map(side: Side) -> str:
    """The map of a gate that is open towards a side."""
    return f"gate open\nside {side}\n"


def haproxy_configuration(
    routes: Sequence[GateRoute],
    *,
    folder: str = FOLDER,
    address: str = "*",
    runtime_port: int = RUNTIME_PORT,
    ready_port: int = READY_PORT,
    dns: bool,
) -> str:
    """The gate's haproxy.cfg.

    Args:
        address: where it listens for requests.
        dns: names of hosts are resolved again and again, by the pod's own resolver.
    """
    hold = HOLD_MILLISECONDS + 60_000
    resolving = " resolvers pod init-addr last,libc,none" if dns else ""
    resolvers = "resolvers pod\n  parse-resolv-conf\n  hold valid 5s\n\n" if dns else ""
    proxies = "\n".join(_proxies(routes, folder, address, resolving))
    return f"""\
global
  # One thread: closing the gate and letting a request pass never happen at the same time.
  nbthread 1
  maxconn 8000
  lua-load {folder}/park.lua
  stats socket ipv4@127.0.0.1:{runtime_port} level admin
  stats timeout 1h
  hard-stop-after 60s

{resolvers}defaults
  mode http
  timeout client 60s
  timeout connect 5s
  # How long an answer may take: the services' own limits are shorter.
  timeout server {hold}ms
  timeout http-request 30s
  timeout http-keep-alive 75s
  timeout tunnel 1h
  timeout queue {hold}ms
  option forwardfor if-none
  option http-keep-alive
  # Nobody may repeat a request that was sent.
  retries 3
  retry-on conn-failure
  no option redispatch
  default-server maxconn 0
  http-reuse safe

frontend ready
  bind {address}:{ready_port}
  http-request return status 200 if {{ path /ready }}
  http-request deny deny_status 404

{proxies}
"""


def _proxies(routes: Sequence[GateRoute], folder: str, address: str, resolving: str) -> list[str]:
    made = []
    for port in sorted({route.port for route in routes}):
        here = [route for route in routes if route.port == port]
        if len(here) > 1:
            names = ", ".join(route.name for route in here)
            raise ValueError(f"the Services {names} share the port {port}: the gate cannot tell them apart")
        (route,) = here
        made.append(f"""\
frontend {route.name}
  bind {address}:{port}
  http-request lua.park
  use_backend {route.name}-target if {{ str(side),map({folder}/state.map) -m str target }}
  default_backend {route.name}-source
""")
        made += [
            f"backend {route.name}-{side}\n  server {side} {where}{resolving}\n"
            for side, where in (("source", route.source), ("target", route.target))
        ]
    return made


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
