"""A PostgreSQL dump pushed by a throwaway pod: the pod's own script, with real tools, as a process."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cutover.errors import StepError
from cutover.transfer import DumpDatabase, RestoreByPod, StackDatabase
from lab.kubernetes.node.environment import expand
from lab.stores.postgres import PostgresDb
from tests.transfer.transfer_world import CONVERTED, DUMP, REGION, STACK, TransferWorld

pytestmark = pytest.mark.lab

DESTINATION = StackDatabase(
    name="the destination's system database",
    stack=STACK,
    output="destination_database",
    engine="postgres",
    database="system",
    region=REGION,
    ca="postgres.pem",
)
RESTORE = RestoreByPod(
    dump=DUMP, target=DESTINATION, cluster="destination", namespace="threescale", image="tools"
)


class ProcessCluster:
    """A fake cluster: a pod is a process on this machine, with its environment from its Secret."""

    context = "destination"

    def __init__(self, folder: Path) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.made: list[dict[str, Any]] = []
        self.folder = folder
        self.pods: dict[str, subprocess.Popen[bytes]] = {}
        self.command: tuple[str, ...] = ()
        """Instead of a pod's own."""

    def create(self, plural: str, manifest: Mapping[str, Any]) -> None:
        name = manifest["metadata"]["name"]
        self.made.append(dict(manifest))
        if (plural, name) in self.objects:
            return
        self.objects[plural, name] = dict(manifest)
        if plural == "pods":
            container = manifest["spec"]["containers"][0]
            given = {
                item["name"]: self.objects["secrets", item["valueFrom"]["secretKeyRef"]["name"]][
                    "stringData"
                ][item["valueFrom"]["secretKeyRef"]["key"]]
                for item in container["env"]
            }
            with (self.folder / "log").open("wb") as log:
                self.pods[name] = subprocess.Popen(
                    [expand(word, given) for word in self.command or container["command"]],
                    env={"PATH": os.environ["PATH"], **given},
                    stdout=log,
                    stderr=log,
                    cwd=self.folder,
                )

    def get(self, api_version: str, plural: str, namespace: str, name: str) -> dict[str, Any] | None:
        found = self.objects.get((plural, name))
        if found is None or plural != "pods":
            return found
        code = self.pods[name].poll()
        state = {"running": {}} if code is None else {"terminated": {"exitCode": code}}
        return {**found, "status": {"phase": "Running", "containerStatuses": [{"state": state}]}}

    def delete(self, api_version: str, plural: str, namespace: str, name: str) -> None:
        self.objects.pop((plural, name), None)
        if plural == "pods" and (process := self.pods.pop(name, None)):
            process.kill()
            process.wait()

    def logs(self, namespace: str, pod: str, container: str, tail_lines: int) -> Sequence[str]:
        return (self.folder / "log").read_text().splitlines()[-tail_lines:]


@pytest.fixture
def cluster(world: TransferWorld, postgres: PostgresDb, tmp_path: Path) -> ProcessCluster:
    """The destination's cluster, a dump of a filled database, and a database of a fresh installation."""
    found = ProcessCluster(tmp_path)
    world.context.clusters = {"destination": found}  # type: ignore[dict-item]
    world.bucket("dumps")
    world.give("destination_database", postgres.server())
    with postgres.session() as session:
        session.execute("CREATE TABLE accounts (id bigserial PRIMARY KEY, name text, data bytea)")
        session.execute("INSERT INTO accounts (name, data) VALUES ('é', '\\x00ff'), (NULL, NULL)")
        session.execute('CREATE TABLE "Mixed Case" (id int)')
    DumpDatabase(source=CONVERTED, dump=DUMP).apply(world.context)
    postgres.reset()
    with postgres.session() as session:
        session.execute("CREATE TABLE accounts (fresh int)")
    return found


def test_a_pod_restores_compares_and_leaves_nothing(
    world: TransferWorld, cluster: ProcessCluster, postgres: PostgresDb
) -> None:
    assert RESTORE.observe(world.context).state == "not done"
    assert RESTORE.apply(world.context)["rows"] == 2
    assert RESTORE.observe(world.context).state == "done"
    assert cluster.objects == {}
    with postgres.session() as session:
        assert session.value("INSERT INTO accounts (name) VALUES ('x') RETURNING id") == 3
        assert session.value("SELECT count(*) FROM before_landfall.accounts") == 0
    assert RESTORE.observe(world.context).state == "not done"
    assert RESTORE.apply(world.context)["rows"] == 2, "again, as after a runner that was killed"
    RESTORE.undo(world.context)
    with postgres.session() as session:
        assert session.rows("SELECT fresh FROM accounts") == []
        assert session.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'before_landfall'") == 0


def test_the_pod_has_no_rights_a_deadline_and_no_secret_in_its_command(
    world: TransferWorld, cluster: ProcessCluster, postgres: PostgresDb
) -> None:
    RESTORE.apply(world.context)
    account, secret, pod = cluster.made
    assert account["automountServiceAccountToken"] is False
    spec = pod["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == account["metadata"]["name"]
    assert spec["activeDeadlineSeconds"] == 3600
    password = postgres.server().password
    assert secret["stringData"]["PGPASSWORD"] == password
    assert password not in json.dumps(pod)
    assert secret["stringData"]["DUMP_URL"] not in json.dumps(pod)


def test_a_dump_that_is_cut_short_is_not_restored(
    world: TransferWorld, cluster: ProcessCluster, postgres: PostgresDb
) -> None:
    import boto3  # noqa: PLC0415

    s3 = boto3.client("s3", region_name=REGION)
    key = f"{DUMP.prefix}/system.dump"
    whole = s3.get_object(Bucket="dumps", Key=key)["Body"].read()
    s3.put_object(Bucket="dumps", Key=key, Body=whole[:-40])
    with pytest.raises(StepError, match=r"ended with 65: .*checksum differs.*`cutover run` starts the pod"):
        RESTORE.apply(world.context)
    assert cluster.objects == {}
    with postgres.session() as session:
        assert session.rows("SELECT fresh FROM accounts") == []


def test_a_pod_that_fails_is_told_by_its_log(
    world: TransferWorld, cluster: ProcessCluster, postgres: PostgresDb
) -> None:
    cluster.command = ("sh", "-c", "echo pg_restore: error: no space; exit 3")
    with pytest.raises(StepError, match="ended with 3: pg_restore: error: no space"):
        RESTORE.apply(world.context)
    RESTORE.repair(world.context)
    assert cluster.objects == {}
