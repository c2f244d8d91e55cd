"""What access logs tell: which clients asked for which host, at an ingress or at the services themselves.

Two forms are read: a JSON object a line, and the line that the community's nginx ingress writes by default.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from cutover.callers import objects
from cutover.callers.names import Name, mentions
from cutover.errors import StepError
from cutover.ports import Cluster
from stacks.settings import Environment, SourceIngress

Lines = Sequence[str]
TAIL_LINES = 50_000
"""How far back a pod's log is read."""
MOST_CLIENTS = 50
"""How many clients of a domain go into the journal; users are many, and callers ask again and again."""

_HOST = ("host", "http_host", "vhost", "server_name")
_CLIENT = ("client", "remote_addr", "remote_address", "client_ip")
_MOMENT = ("moment", "msec", "time", "timestamp", "ts", "@timestamp")
_AGENT = ("agent", "http_user_agent", "user_agent")
_STATUS = ("status", "code")
_SECONDS = ("seconds", "request_time", "duration")
_NGINX = re.compile(
    r'(?P<client>\S+) - \S+ \[(?P<time>[^\]]*)\] "[^"]*" (?P<status>\d{3}) \d+ "[^"]*" "(?P<agent>[^"]*)" '
    r"\d+ (?P<seconds>[\d.]+) \[(?P<upstream>[^\]]*)\]"
)
_NGINX_TIME = "%d/%b/%Y:%H:%M:%S %z"


@dataclass(frozen=True, order=True)
class Client:
    """Somebody who asks for a host."""

    host: str
    """A domain, or a name in the cluster."""
    address: str
    agent: str
    """The product of its User-Agent, without version and comments."""


@dataclass(frozen=True)
class Request:
    """A line of an access log."""

    client: Client
    moment: float
    """When it was answered, in seconds since 1970; 0 where the line does not say."""
    status: int = 0
    """Of the answer; 0 where the line does not say."""
    seconds: float | None = None
    """Until it was answered; None where the line does not say."""


@dataclass(frozen=True)
class Seen:
    """What access logs hold."""

    requests: Counter[Client]
    lines: int

    def evidence(self) -> dict[str, Any]:
        """For the journal: those who asked most, and how many others there were."""
        found: dict[str, Any] = {"lines": self.lines, "clients": [], "others": {}}
        for host in sorted({client.host for client in self.requests}):
            clients = [item for item in self.requests.most_common() if item[0].host == host]
            found["clients"] += [asdict(client) | {"requests": n} for client, n in clients[:MOST_CLIENTS]]
            found["others"][host] = len(clients[MOST_CLIENTS:])
        return found

    @property
    def agents(self) -> frozenset[str]:
        """The products that asked for anything."""
        return frozenset(client.agent for client in self.requests)


def parse(line: str, upstreams: Mapping[str, str]) -> Request | None:
    """The request of a line; None for a line about something else.

    `upstreams`: domains by the name that the ingress gives to their Service (`namespace-service-port`).
    """
    text = line.strip()
    if text.startswith("{"):
        try:
            fields = json.loads(text)
        except ValueError:  # cut off at the edge of the log
            return None
        host, address, agent = (_first(fields, keys) for keys in (_HOST, _CLIENT, _AGENT))
        if not host or not address:
            return None
        client = Client(host.partition(":")[0].lower(), address, _product(agent))
        status, seconds = _number(fields, _STATUS), _number(fields, _SECONDS)
        return Request(client, _moment(fields), int(status or 0), seconds)
    if not (found := _NGINX.match(text)):
        return None
    upstream = found["upstream"].rpartition("-")[0]
    if upstream not in upstreams:
        return None
    client = Client(upstreams[upstream], found["client"], _product(found["agent"]))
    return Request(client, _nginx_moment(found["time"]), int(found["status"]), float(found["seconds"]))


def _nginx_moment(text: str) -> float:
    try:
        return datetime.strptime(text, _NGINX_TIME).timestamp()  # noqa: DTZ007 - the form has %z
    except ValueError:
        return 0


def _number(fields: Mapping[str, Any], keys: Iterable[str]) -> float | None:
    """The first of these that is a number, or a text of one; None where there is none."""
    for key in keys:
        try:
            return float(fields[key])
        except (KeyError, TypeError, ValueError):
            continue
    return None


def _moment(fields: Mapping[str, Any]) -> float:
    """When a request was, from a number of seconds or an ISO 8601 time; 0 where neither is there."""
    for key in _MOMENT:
        value = fields.get(key)
        if isinstance(value, int | float):
            return float(value)
        try:
            return datetime.fromisoformat(str(value)).timestamp()
        except ValueError:
            continue
    return 0


def _first(fields: Mapping[str, Any], keys: Iterable[str]) -> str:
    return next((str(fields[key]) for key in keys if fields.get(key)), "")


def _product(agent: str) -> str:
    return re.split(r"[\s/]", agent.strip(), maxsplit=1)[0][:80] if agent not in ("", "-") else ""


def read_ingress(environment: Environment, cluster: Cluster, ingress: SourceIngress) -> Seen:
    """Who asked an ingress for a domain. Raises StepError where there are no such pods."""
    lines = [line for tail in ingress_lines(cluster, ingress, TAIL_LINES) for line in tail]
    clients = Counter(request.client for request in requests_of(environment, lines))
    return Seen(clients, len(lines))


def ingress_lines(cluster: Cluster, ingress: SourceIngress, tail_lines: int) -> Iterator[Lines]:
    """The ends of an ingress's logs, one a container. Raises StepError where there are no such pods."""
    pods = _pods(cluster, ingress.namespace, ingress.selector)
    if not pods:
        labels = ", ".join(f"{key}={value}" for key, value in ingress.selector.items())
        raise StepError(
            f"cluster {cluster.context} has no pod of an ingress in {ingress.namespace} with {labels}, whose "
            "access log tells who calls"
        )
    yield from _tails(cluster, pods, tail_lines)


def requests_of(environment: Environment, lines: Lines) -> list[Request]:
    """The requests for the environment's domains in an ingress's log."""
    domains = {domain.name for domain in environment.domains}
    upstreams = {domain.service.replace("/", "-"): domain.name for domain in environment.domains}
    found = (request for line in lines if (request := parse(line, upstreams)) is not None)
    return [request for request in found if request.client.host in domains]


def read_services(
    environment: Environment, cluster: Cluster, since: float = 0, tail_lines: int = TAIL_LINES
) -> Seen:
    """Who asked the services that move by a name in the cluster, as far as they write access logs.

    What moves along is left out, and so are requests from before `since` (seconds since 1970).
    """
    names = tuple(Name("in-cluster", domain.service, domain.service) for domain in environment.domains)
    pods = [
        pod
        for workload in environment.workloads
        for pod in _pods(cluster, workload.namespace, workload.selector)
    ]
    own = {(pod.get("status") or {}).get("podIP") for pod in pods}
    lines = [line for tail in _tails(cluster, pods, tail_lines) for line in tail]
    requests = [request for line in lines if (request := parse(line, {})) is not None]
    clients = Counter(
        request.client
        for request in requests
        if request.moment >= since
        and request.client.address not in own
        and any(True for _ in mentions(request.client.host, names, ""))
    )
    return Seen(clients, len(lines))


def _pods(cluster: Cluster, namespace: str, selector: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        pod
        for pod in cluster.list(objects.PODS, namespace)
        if selector.items() <= (pod["metadata"].get("labels") or {}).items()
        and (pod.get("status") or {}).get("phase") == "Running"
    ]


def _tails(cluster: Cluster, pods: Iterable[Mapping[str, Any]], tail_lines: int) -> Iterator[Lines]:
    for pod in pods:
        metadata = pod["metadata"]
        for container in pod["spec"]["containers"]:
            yield cluster.logs(metadata["namespace"], metadata["name"], container["name"], tail_lines)
