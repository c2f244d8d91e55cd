"""One cluster with its node agent, ingress and DNS, for all tests that need one."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.kubernetes.control_plane import ClusterSpec, ControlPlane
from lab.setup import find_tools
from lab.supervisor import Supervisor
from lab.world import World, inside_world
from tests.node.cluster import HOST, INGRESS, NODE, SERVER, UPSTREAM, Cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if not inside_world():
        pytest.skip("needs a lab's world: python -m lab.world -- python -m pytest -m lab")
    tools = find_tools()
    with tempfile.TemporaryDirectory(prefix="landfall-node-") as folder:
        world = World(Path(folder))
        supervisor = Supervisor(world)
        spec = ClusterSpec(HOST, HOST, NODE, NODE)
        cluster = Cluster(
            world, supervisor, ControlPlane(spec, tools, world, supervisor, Path(folder)), tools.kubectl
        )
        try:
            start(cluster)
            yield cluster
        finally:
            supervisor.stop_all()


def start(cluster: Cluster) -> None:
    """The internet with a resolver, the cluster's host, and all that runs there."""
    world, folder = cluster.world, cluster.control_plane.folder
    world.add_host(HOST, nameserver=UPSTREAM)
    world.link("world", HOST, "203.0.113.1", NODE)
    world.address("world", UPSTREAM)
    world.route(HOST, "default", "203.0.113.1")
    world.address(HOST, INGRESS)
    world.route("world", INGRESS, NODE)
    folder.mkdir(parents=True)
    names = folder / "names.json"
    record = {"name": "outside.example", "type": "A", "content": "203.0.113.77"}
    names.write_text(json.dumps({"records": [record]}))
    resolver = [sys.executable, "-m", "lab.dns", "--listen", UPSTREAM, "--records", str(names)]
    cluster.supervisor.start("resolver", [*resolver, "--upstream", UPSTREAM])
    image = {"entrypoint": [sys.executable, str(SERVER)], "env": {"FROM_IMAGE": "yes", "OVERRIDDEN": "no"}}
    cluster.images.write_text(json.dumps({"registry.example/server": image}))
    cluster.control_plane.start()
    cluster.start_node()
    cluster.start_dns()
    cluster.start_ingress()


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own, removed afterwards without waiting."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:50].strip("-")
    cluster.make_namespace(name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
