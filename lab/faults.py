"""What can go wrong in a migration, put into a lab from outside: each holds for the time of a `with` block.

None of it is a switch in the code under test: objects are labelled, an ingress answers errors, a certificate
has expired, a table refuses rows, an address is not let in, Cloudflare refuses or somebody else was faster.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import yaml

from lab.cloudflare.faults import Fault
from lab.clouds import DOMAIN, SERVICES_NAMESPACE, ZONE, Clouds
from lab.clouds.internet import CLOUDFLARE_CONTROL_PORT
from lab.database import connect
from lab.kubernetes.ingress.nginx import CONTROL_PORT
from lab.topology import AWS, HUAWEI, Place
from lab.world import LabError

_CALL_SECONDS = 20.0
_EXCLUDED = "velero.io/exclude-from-backup"
_TRIGGER = "landfall_fault_no_commit"
_ASK = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=10).close()"


@contextmanager
def left_out_of_backup(clouds: Clouds, namespace: str, thing: str) -> Iterator[None]:
    """An object of the source (`secret/boss-database`) bears the label by which Velero leaves it out.

    Velero counts no warning for it: that it is missing on the target shows only where objects are compared.
    """
    label = ("label", "-n", namespace, thing)
    clouds.kubectl(HUAWEI, *label, "--overwrite", f"{_EXCLUDED}=true")
    try:
        yield
    finally:
        clouds.kubectl(HUAWEI, *label, f"{_EXCLUDED}-")


@contextmanager
def in_the_way(
    clouds: Clouds, namespace: str, name: str, data: Mapping[str, str], place: Place = AWS
) -> Iterator[None]:
    """A ConfigMap of that name, with other data, stands on the target before anything is restored.

    A restore does not touch an object that exists: it warns, and the old data stays.
    """
    metadata = {"name": name, "namespace": namespace}
    there = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}
    own = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    clouds.kubectl(place, "apply", "-f", "-", stdin=yaml.safe_dump_all([own, there]))
    try:
        yield
    finally:
        clouds.kubectl(place, "delete", "configmap", "-n", namespace, name, "--ignore-not-found")


@contextmanager
def failing_ingress(
    clouds: Clouds,
    place: Place = AWS,
    *,
    host: str = DOMAIN,
    path: str = "/",
    status: int = 503,
    share: float = 1.0,
    count: int = 0,
) -> Iterator[None]:
    """A side's ingress answers a `share` of the requests for a host with an error, `count` at most (0: all).

    With the target and a small share it is a target that goes wrong during the soak; with `count=1` and
    `path="/reports"` it is BOSS that fails once when Kodo reports.
    """
    wanted = {"host": host, "path": path, "status": status, "share": share, "count": count}
    _ask_ingress(clouds, place, wanted)
    try:
        yield
    finally:
        _ask_ingress(clouds, place, {})


@contextmanager
def never_committed(clouds: Clouds) -> Iterator[None]:
    """What BOSS's pods take from Redis cannot be committed: the table `usage_records` refuses every row.

    `POST /usage` is still acknowledged, so the list in Redis grows and never drains; nothing else fails.
    """
    refuse = (
        f"CREATE TRIGGER boss.{_TRIGGER} BEFORE INSERT ON boss.usage_records FOR EACH ROW "
        "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no usage is committed: a fault of the lab'"
    )
    _execute(clouds, refuse)
    try:
        yield
    finally:
        _execute(clouds, f"DROP TRIGGER IF EXISTS boss.{_TRIGGER}")


@contextmanager
def forgotten_nat_address(clouds: Clouds) -> Iterator[str]:
    """The NAT address that the target's pods come from is not let in to the database; gives that address.

    It holds for whoever opens the database within the block, and afterwards until it is opened again.
    """
    if not clouds.nat_addresses:
        raise LabError("the target has no NAT addresses yet: bring up the stack of the environment first")
    address = clouds.nat_addresses[0]
    clouds.forgotten.add(address)
    clouds.database.revoke(address)
    try:
        yield address
    finally:
        clouds.forgotten.discard(address)


@contextmanager
def expired_certificate(
    clouds: Clouds, place: Place = AWS, *, domain: str = DOMAIN, namespace: str = SERVICES_NAMESPACE
) -> Iterator[None]:
    """A side's TLS Secret for a domain holds a certificate that expired yesterday; the ingress serves it."""
    name = f"{domain.replace('.', '-')}-tls"
    before = json.loads(clouds.kubectl(place, "get", "secret", "-n", namespace, name, "-o", "json"))["data"]
    expired = clouds.workloads.certificate(domain, days=-1)
    _set_secret(clouds, place, namespace, name, _encoded(expired))
    try:
        yield
    finally:
        _set_secret(clouds, place, namespace, name, before)


@contextmanager
def cloudflare_goes_wrong(*faults: Fault) -> Iterator[None]:
    """Cloudflare's API errs, limits, delays or drops answers, as each fault says."""
    _control("PUT", "/faults", [fault.model_dump() for fault in faults])
    try:
        yield
    finally:
        _control("PUT", "/faults", [])


def somebody_changes_record(domain: str = DOMAIN, **changes: object) -> None:
    """Somebody else changes a domain's A record at Cloudflare's console, and tells nobody."""
    if not domain.endswith(ZONE):
        raise LabError(f"{domain} is not in the zone {ZONE}")
    _control("PATCH", f"/records/{domain}/A", changes)


def _ask_ingress(clouds: Clouds, place: Place, wanted: Mapping[str, object]) -> None:
    url = f"http://127.0.0.1:{CONTROL_PORT}/faults?{urlencode(wanted)}"
    command = clouds.world.command(place.host, [sys.executable, "-c", _ASK, url])
    asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_CALL_SECONDS)
    if asked.returncode != 0:
        raise LabError(f"the ingress of {place.host} does not take faults: {asked.stderr.strip()[-300:]}")


def _execute(clouds: Clouds, statement: str) -> None:
    with connect(clouds.database.operator) as connection, connection.cursor() as cursor:
        cursor.execute(statement)


def _encoded(values: Mapping[str, str]) -> dict[str, str]:
    return {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}


def _set_secret(clouds: Clouds, place: Place, namespace: str, name: str, data: Mapping[str, str]) -> None:
    # by stdin: a key must not stand in a process list
    metadata = {"name": name, "namespace": namespace}
    wanted = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": metadata,
        "data": dict(data),
    }
    apply = ("apply", "--server-side", "--force-conflicts", "--field-manager=landfall-lab", "-f", "-")
    clouds.kubectl(place, *apply, stdin=json.dumps(wanted))


def _control(method: str, path: str, body: Any) -> None:
    url = f"http://127.0.0.1:{CLOUDFLARE_CONTROL_PORT}{path}"
    request = urllib.request.Request(url, json.dumps(body).encode(), method=method)
    urllib.request.urlopen(request, timeout=_CALL_SECONDS).close()  # noqa: S310 - http
