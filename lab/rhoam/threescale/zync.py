"""zync makes the Routes of accounts and services: zync takes what is wanted, zync-que carries it out.

3scale's zync keeps its jobs in PostgreSQL; this one hands each to zync-que before it answers, and keeps
nothing: what it has made stands in the cluster.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import queue
import re
import threading
import urllib.request
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from lab.rhoam.threescale.kubernetes import Kubernetes
from lab.rhoam.threescale.store import Store
from lab.rhoam.threescale.web import Answer, HttpError, Request, Route, Server, serve
from lab.services.variables import Variables

log = logging.getLogger(__name__)

ZYNC_PORT = 8080
QUE_PORT = 9394
CALL_SECONDS = 10.0
RETRY_SECONDS = 1.0
TO = "zync.3scale.net/route-to"
RECORD = "zync.3scale.net/record"
_ROUTES = "/apis/route.openshift.io/v1/namespaces"
_KINDS = {
    "system-master": "master",
    "system-provider": "provider",
    "system-developer": "developer",
    "apicast-production": "api",
    "apicast-staging": "api",
}
_PORTS = {"apicast-production": "gateway", "apicast-staging": "gateway"}

Wanted = Mapping[str, str]
"""The service that each host is to lead to."""


def wanted_routes(store: Store, account: int) -> Wanted:
    """What the database says of an account's hosts."""
    row = store.row("SELECT * FROM accounts WHERE id = %s", account)
    if row is None:
        return {}
    if row["master"]:
        return {str(row["self_domain"]): "system-master"}
    found = {str(row["self_domain"]): "system-provider", str(row["domain"]): "system-developer"}
    for proxy in store.rows(
        "SELECT proxies.* FROM proxies JOIN services ON services.id = proxies.service_id "
        "WHERE services.account_id = %s",
        account,
    ):
        for column, service in (("endpoint", "apicast-production"), ("sandbox_endpoint", "apicast-staging")):
            if host := urlsplit(str(proxy[column] or "")).hostname:
                found[host] = service
    return found


def notify(url: str, token: str, account: int, wanted: Wanted) -> None:
    """Tell zync. Raises OSError."""
    _put(f"{url.rstrip('/')}/notification", token, {"record": str(account), "routes": dict(wanted)})


def _put(url: str, token: str, body: Mapping[str, Any]) -> None:
    headers = {"Authorization": f'Token token="{token}"', "Content-Type": "application/json"}
    data = json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method="PUT")  # noqa: S310 - in the cluster
    with urllib.request.urlopen(request, timeout=CALL_SECONDS):  # noqa: S310
        pass


def zync(environment: Mapping[str, str] = os.environ) -> int:
    """Run zync."""
    variables = Variables(environment)
    token, que = variables.text("ZYNC_AUTHENTICATION_TOKEN"), variables.text("ZYNC_QUE_URL")
    variables.check()

    def take(request: Request) -> Answer:
        _check(request, token)
        routes = json.loads(request.field("routes"))
        _put(f"{que.rstrip('/')}/jobs", token, {"record": request.field("record"), "routes": routes})
        return Answer({"status": "accepted"}, 202)

    routes = (Route("PUT", "/notification", take), Route("GET", "/status/live", _alive))
    return serve([Server(int(environment.get("LISTEN_PORT") or ZYNC_PORT), routes, (OSError, ValueError))])


def que(environment: Mapping[str, str] = os.environ) -> int:
    """Run zync-que."""
    variables = Variables(environment)
    token = variables.text("ZYNC_AUTHENTICATION_TOKEN")
    variables.check()
    jobs: queue.Queue[tuple[str, Wanted]] = queue.Queue()

    def take(request: Request) -> Answer:
        _check(request, token)
        jobs.put((request.field("record"), json.loads(request.field("routes"))))
        return Answer({"status": "queued"}, 202)

    routes = (Route("PUT", "/jobs", take), Route("GET", "/status/live", _alive))
    ended = threading.Event()
    thread = threading.Thread(target=_work, args=(jobs, Kubernetes(), ended))
    thread.start()
    server = Server(int(environment.get("LISTEN_PORT") or QUE_PORT), routes, (OSError, ValueError))
    code = serve([server], ended)
    thread.join()
    return code


def _alive(_: Request) -> Answer:
    return Answer({"status": "ok"})


def _check(request: Request, token: str) -> None:
    if request.headers.get("Authorization") != f'Token token="{token}"':
        raise HttpError(401, "zync wants its authentication token")


def _work(jobs: queue.Queue[tuple[str, Wanted]], cluster: Kubernetes, ended: threading.Event) -> None:
    while not ended.is_set() or not jobs.empty():
        try:
            record, wanted = jobs.get(timeout=0.2)
        except queue.Empty:
            continue
        try:
            make_routes(cluster, record, wanted)
        except OSError as error:
            log.warning("the routes of %s: %s; tried again", record, error)
            jobs.put((record, wanted))
            ended.wait(RETRY_SECONDS)


def make_routes(cluster: Kubernetes, record: str, wanted: Wanted) -> None:
    """Makes the Routes of an account as they are wanted, and removes those of it that are not."""
    path = f"{_ROUTES}/{cluster.namespace}/routes"
    there = {
        item["spec"]["host"]: item["metadata"]["name"]
        for item in cluster.list(path, labelSelector=f"{RECORD}={record}")
    }
    for host in there.keys() - wanted.keys():
        cluster.delete(f"{path}/{there[host]}")
    for body in _routes(record, wanted):
        cluster.apply(f"{path}/{body['metadata']['name']}", body, "zync")


def _routes(record: str, wanted: Wanted) -> Iterable[dict[str, Any]]:
    for host, service in wanted.items():
        short = re.sub(r"[^a-z0-9]", "", hashlib.sha256(host.encode()).hexdigest())[:5]
        yield {
            "apiVersion": "route.openshift.io/v1",
            "kind": "Route",
            "metadata": {
                "name": f"zync-3scale-{_KINDS[service]}-{short}",
                "labels": {"app": "3scale-api-management", TO: service, RECORD: record},
            },
            "spec": {
                "host": host,
                "to": {"kind": "Service", "name": service, "weight": 100},
                "port": {"targetPort": _PORTS.get(service, "http")},
                "tls": {"termination": "edge", "insecureEdgeTerminationPolicy": "Redirect"},
            },
        }
