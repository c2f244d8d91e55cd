"""What the access logs of an ingress tell: which clients asked for which domain.

Two forms are read: a JSON object a line, and the line that the community's nginx ingress writes by default.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cutover.callers import objects
from cutover.errors import StepError
from cutover.ports import Cluster
from stacks.settings import Environment, SourceIngress

TAIL_LINES = 50_000
"""How far back a pod's log is read."""
MOST_CLIENTS = 50
"""How many clients of a domain go into the journal; users are many, and callers ask again and again."""

_HOST = ("host", "http_host", "vhost", "server_name")
_CLIENT = ("client", "remote_addr", "remote_address", "client_ip")
_AGENT = ("agent", "http_user_agent", "user_agent")
_NGINX = re.compile(
    r'(?P<client>\S+) - \S+ \[[^\]]*\] "[^"]*" \d{3} \d+ "[^"]*" "(?P<agent>[^"]*)" \d+ [\d.]+ '
    r"\[(?P<upstream>[^\]]*)\]"
)


@dataclass(frozen=True, order=True)
class Client:
    """Somebody who asks for a domain."""

    domain: str
    address: str
    agent: str
    """The product of its User-Agent, without version and comments."""


@dataclass(frozen=True)
class Seen:
    """What an ingress has seen."""

    requests: Counter[Client]
    lines: int

    def evidence(self) -> dict[str, Any]:
        """For the journal: those who asked most, and how many others there were."""
        found: dict[str, Any] = {"lines": self.lines, "clients": [], "others": {}}
        domains = sorted({client.domain for client in self.requests})
        for domain in domains:
            clients = [item for item in self.requests.most_common() if item[0].domain == domain]
            found["clients"] += [asdict(client) | {"requests": n} for client, n in clients[:MOST_CLIENTS]]
            found["others"][domain] = len(clients[MOST_CLIENTS:])
        return found

    @property
    def agents(self) -> frozenset[str]:
        """The products that asked for anything."""
        return frozenset(client.agent for client in self.requests)


def parse(line: str, upstreams: Mapping[str, str]) -> Client | None:
    """The client of a line; None for a line about something else.

    `upstreams`: domains by the name that the ingress gives to their Service (`namespace-service-port`).
    """
    text = line.strip()
    if text.startswith("{"):
        try:
            fields = json.loads(text)
        except ValueError:  # cut off at the edge of the log
            return None
        host, client, agent = (_first(fields, keys) for keys in (_HOST, _CLIENT, _AGENT))
        return Client(host.partition(":")[0].lower(), client, _product(agent)) if host and client else None
    if not (found := _NGINX.match(text)):
        return None
    upstream = found["upstream"].rpartition("-")[0]
    if upstream not in upstreams:
        return None
    return Client(upstreams[upstream], found["client"], _product(found["agent"]))


def _first(fields: Mapping[str, Any], keys: Iterable[str]) -> str:
    return next((str(fields[key]) for key in keys if fields.get(key)), "")


def _product(agent: str) -> str:
    return re.split(r"[\s/]", agent.strip(), maxsplit=1)[0][:80] if agent not in ("", "-") else ""


def read_access_logs(environment: Environment, cluster: Cluster, ingress: SourceIngress) -> Seen:
    """Reads the logs of an ingress's pods. Raises StepError where there are no such pods."""
    domains = {domain.name for domain in environment.domains}
    upstreams = {domain.service.replace("/", "-"): domain.name for domain in environment.domains}
    pods = [
        pod
        for pod in cluster.list(objects.PODS, ingress.namespace)
        if ingress.selector.items() <= (pod["metadata"].get("labels") or {}).items()
    ]
    if not pods:
        labels = ", ".join(f"{key}={value}" for key, value in ingress.selector.items())
        raise StepError(
            f"cluster {cluster.context} has no pod of an ingress in {ingress.namespace} with {labels}, whose "
            "access log tells who calls"
        )
    requests: Counter[Client] = Counter()
    lines = 0
    for pod in pods:
        metadata = pod["metadata"]
        for container in pod["spec"]["containers"]:
            for line in cluster.logs(metadata["namespace"], metadata["name"], container["name"], TAIL_LINES):
                lines += 1
                client = parse(line, upstreams)
                if client is not None and client.domain in domains:
                    requests[client] += 1
    return Seen(requests, lines)
