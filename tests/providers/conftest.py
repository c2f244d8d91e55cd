"""The servers that the providers talk to, and the providers themselves, once for each test process."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.providers.__main__ import start
from lab.providers.kubernetes.provider import KubernetesProvider
from tests.providers.api_server import ApiServer
from tests.providers.client import ProviderClient

_namespaces = itertools.count(1)


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A running API server."""
    server = ApiServer(tmp_path_factory.mktemp("api-server"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def kubernetes_port() -> Iterator[int]:
    """The kubernetes provider's port."""
    server, port = start(KubernetesProvider())
    yield port
    server.stop(None)


@pytest.fixture
def namespace(api_server: ApiServer) -> str:
    """A namespace for one test."""
    name = f"test-{next(_namespaces)}"
    api_server.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    return name


@pytest.fixture
def kubernetes(api_server: ApiServer, kubernetes_port: int, tmp_path: Path) -> Iterator[ProviderClient]:
    """A provider instance as cluster administrator."""
    with ProviderClient(
        kubernetes_port, {"kubeconfig": (api_server.folder / "kubeconfig").read_text()}
    ) as client:
        yield client
