"""What can go wrong while 3scale moves, put into the lab from outside.

None of it is a switch in the code under test: an object is missing or cut, a row is one that PostgreSQL
refuses, somebody starts an operator, a job waits, another Route has the host, a Secret is immutable.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cutover.history import Status, fold
from cutover.journal import read_journal
from lab.database import connect
from lab.rhoam.clouds import THREESCALE, RhoamClouds
from lab.rhoam.openshift import OPERATOR
from lab.rhoam.places import DESTINATION, MIGRATION, Site

JOB = "a report that is sent tomorrow"
REFUSED_TABLE = "legacy_visits"
_POLL_SECONDS = 0.05
_CUT_BYTES = 64


@contextmanager
def cut_short(clouds: RhoamClouds, bucket: str, prefix: str) -> Iterator[str]:
    """The largest file of a dump lacks its end; gives its name."""
    s3 = clouds.aws("s3")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    key = max(listed, key=lambda found: int(found["Size"]))["Key"]
    whole = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=bucket, Key=key, Body=whole[:-_CUT_BYTES])
    try:
        yield str(key)
    finally:
        s3.put_object(Bucket=bucket, Key=key, Body=whole)


def a_row_that_postgres_refuses(clouds: RhoamClouds) -> None:
    """The source has a table of the customer's own, with a date that is none, as old MySQL lets in."""
    with connect(clouds.source_database.operator) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = ''")
        cursor.execute(f"CREATE TABLE {REFUSED_TABLE} (id INT PRIMARY KEY, visited DATE NOT NULL)")
        cursor.execute(f"INSERT INTO {REFUSED_TABLE} VALUES (1, '2020-02-29'), (2, '0000-00-00')")  # noqa: S608


def mend_the_row(clouds: RhoamClouds) -> None:
    """Somebody gives that row a date, where it was loaded."""
    with connect(clouds.migration_mysql.operator) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = ''")
        cursor.execute(f"UPDATE {REFUSED_TABLE} SET visited = '1970-01-01' WHERE id = 2")  # noqa: S608


@contextmanager
def operator_started(clouds: RhoamClouds, journal: Path, step: str) -> Iterator[None]:
    """Somebody starts the migration cluster's operator as soon as a step has paused it."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_POLL_SECONDS):
            if journal.exists() and fold(read_journal(journal).records).step(step).status is Status.DONE:
                scale_operator(clouds, MIGRATION, 1)
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def scale_operator(clouds: RhoamClouds, site: Site, replicas: int) -> None:
    """Scale the 3scale operator in 3scale's own namespace."""
    clouds.kubectl(site, "scale", "-n", THREESCALE, f"deployment/{OPERATOR}", f"--replicas={replicas}")


@contextmanager
def secret_frozen(clouds: RhoamClouds, namespace: str, name: str) -> Iterator[None]:
    """Somebody has made a Secret of the destination immutable; in the end they make it anew as it was."""
    cluster = clouds.clusters[DESTINATION]
    clouds.kubectl(DESTINATION, "patch", "-n", namespace, f"secret/{name}", "-p", '{"immutable": true}')
    try:
        yield
    finally:
        found = clouds.get(DESTINATION, f"secret/{name}", namespace)
        kept = {field: found[field] for field in ("apiVersion", "kind", "type", "data")}
        kept["metadata"] = {"namespace": namespace, "name": name}
        clouds.kubectl(DESTINATION, "delete", "-n", namespace, f"secret/{name}")
        cluster.apply([kept])


@contextmanager
def job_that_waits(clouds: RhoamClouds) -> Iterator[None]:
    """A job of the source's Sidekiq waits for tomorrow: its queues do not run empty."""
    system = clouds.source_system.client
    system.select(1)
    job = json.dumps({"class": "ReportWorker", "args": [JOB], "queue": "default", "jid": "0" * 24})
    system.zadd("schedule", {job: time.time() + 86_400})
    try:
        yield
    finally:
        system.zrem("schedule", job)


@contextmanager
def host_taken(clouds: RhoamClouds, host: str) -> Iterator[None]:
    """A Route of another namespace on the destination has a host already."""
    route: dict[str, Any] = {
        "apiVersion": "route.openshift.io/v1",
        "kind": "Route",
        "metadata": {"name": "in-the-way", "namespace": "default"},
        "spec": {
            "host": host,
            "to": {"kind": "Service", "name": "kubernetes"},
            "port": {"targetPort": "https"},
        },
    }
    clouds.clusters[DESTINATION].apply([route])
    try:
        yield
    finally:
        clouds.kubectl(DESTINATION, "delete", "-n", "default", "route/in-the-way")
