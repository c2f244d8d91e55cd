"""Pods whose settings were changed, and which may not have noticed: it counts where they are connected.

A pod is a process here, connected to one of two real databases. It got the database's port by its
environment, by a file of a ConfigMap's volume (which the kubelet exchanges under a running pod, as here), or
by a file that is mounted by subPath (which it does not exchange).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cutover.conditions.database_users import TargetServesPods
from cutover.context import Context
from cutover.database_move.mysql_move import MySqlMove
from cutover.errors import StepTimeoutError
from lab.replication.dms_setup import Databases
from lab.replication.mariadb import PASSWORD, SCHEMA
from tests.cutover.world import World
from tests.replication.test_database_move import gate, managed, move  # noqa: F401 - fixtures

POD = """
import os, sys, time, pymysql
way, place = sys.argv[1:]
def port():
    return int(os.environ["DATABASE_PORT"] if way == "environment" else open(place).read())
connected = None
while True:
    if connected is None or (way == "volume, read again" and port() != connected.port):
        connected = pymysql.connect(
            host="127.0.0.1", port=port(), user="app", password=os.environ["PASSWORD"], database="boss"
        )
        print("connected", flush=True)
    time.sleep(0.05)
"""
WAYS = ("environment", "volume, read once", "volume, read again", "subPath")


class Pod:
    """A process that stays connected, and what the kubelet keeps for it."""

    def __init__(self, folder: Path, way: str) -> None:
        self.way, self.folder = way, folder
        self.volume = folder / "port"
        self.process: subprocess.Popen[str] | None = None

    def configure(self, port: int) -> None:
        """A ConfigMap is changed: the kubelet exchanges the volume's file."""
        self.port = port
        fresh = self.folder / "port.new"
        fresh.write_text(str(port))
        fresh.replace(self.volume)

    def start(self) -> None:
        """With its settings as they are by now."""
        mounted = self.folder / "mounted"
        mounted.unlink(missing_ok=True)
        os.link(self.volume, mounted)  # the file itself, whatever stands at its path later
        place = mounted if self.way == "subPath" else self.volume
        given = {**os.environ, "DATABASE_PORT": str(self.port), "PASSWORD": PASSWORD}
        argv = [sys.executable, "-c", POD, self.way, str(place)]
        self.process = subprocess.Popen(argv, env=given, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "connected\n"

    def end(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.communicate()


@contextmanager
def running(folder: Path, way: str, port: int) -> Iterator[Pod]:
    pod = Pod(folder, way)
    pod.configure(port)
    pod.start()
    try:
        yield pod
    finally:
        pod.end()


@pytest.mark.parametrize("way", WAYS)
def test_a_changed_setting_counts_when_the_pod_is_connected_by_it(
    move: MySqlMove,  # noqa: F811 - a fixture
    managed: Databases,  # noqa: F811 - a fixture
    tmp_path: Path,
    way: str,
) -> None:
    source, target = managed
    with target.session(None) as session:
        session.execute("SET SESSION sql_log_bin = 0")
        session.execute(f"CREATE OR REPLACE USER app@'%' IDENTIFIED BY '{PASSWORD}'")
        session.execute(f"GRANT ALL ON {SCHEMA}.* TO app@'%'")
    for side in ("source", "target"):
        move._servers.fill_secrets(side)  # its own users are told from the services'
    context, workload = one_pod(move)
    with running(tmp_path, way, source.port) as pod:
        pod.configure(target.port)
        time.sleep(0.3)
        check = TargetServesPods(workloads=(workload,), seconds=1.0)
        if way == "volume, read again":
            assert TargetServesPods(workloads=(workload,), seconds=20.0).hold(context)
        else:
            with pytest.raises(StepTimeoutError, match="still on the source's: app"):
                check.hold(context)
        pod.end()
        pod.start()
        assert TargetServesPods(workloads=(workload,), seconds=20.0).hold(context)


def one_pod(of: MySqlMove) -> tuple[Context, str]:
    """A context in which one pod of a workload runs, as its cluster says; and the workload."""
    environment = of._environment
    world = World(environment)
    workload = environment.workloads[0].key
    world.target.replicas = {workload: 1}
    return replace(world.context(), database_move=of), workload
