"""Both clouds' clusters, without nodes, for what a test runs in a world of its own."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import boto3

from lab import topology
from lab.kubernetes.control_plane import ClusterSpec, ControlPlane
from lab.setup import find_tools
from lab.supervisor import Supervisor
from lab.topology import Place
from lab.velero import Storage, start_velero
from lab.world import World

STORAGE = Storage(
    "backups",
    f"http://{topology.AWS_API}:{topology.AWS_API_PORT}",
    "ap-southeast-1",
    "lab-access-key",
    "lab-secret-key",
)


@contextmanager
def two_clusters(folder: Path, *, velero: bool = False) -> Iterator[tuple[ControlPlane, ControlPlane]]:
    """The source's and the target's control plane; with Velero beside each, storing into one bucket."""
    world = World(folder)
    topology.build(world)
    supervisor = Supervisor(world)
    tools = find_tools()

    def cluster(place: Place) -> ControlPlane:
        spec = ClusterSpec(place.host, place.host, place.node, place.api)
        plane = ControlPlane(spec, tools, world, supervisor, folder)
        plane.start()
        return plane

    try:
        if velero:
            _start_storage(supervisor)
        with ThreadPoolExecutor() as pool:
            source, target = pool.map(cluster, (topology.HUAWEI, topology.AWS))
            if velero:
                list(pool.map(lambda each: start_velero(each, tools, supervisor, STORAGE), (source, target)))
        yield source, target
        supervisor.check()
    finally:
        supervisor.stop_all()


def _start_storage(supervisor: Supervisor) -> None:
    aws = [sys.executable, "-m", "lab.aws", "--host", topology.AWS_API]
    options = ["--port", str(topology.AWS_API_PORT), "--elastic-ips", topology.ELASTIC_IPS]
    supervisor.start("aws-api", [*aws, *options], ready=_listens)
    keys = {"aws_access_key_id": STORAGE.access_key, "aws_secret_access_key": STORAGE.secret_key}
    s3 = boto3.client("s3", endpoint_url=STORAGE.endpoint, region_name=STORAGE.region, **keys)
    s3.create_bucket(Bucket=STORAGE.bucket, CreateBucketConfiguration={"LocationConstraint": STORAGE.region})


def _listens() -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((topology.AWS_API, topology.AWS_API_PORT)) == 0
