"""The servers that the providers talk to, and the providers themselves, once for each test process."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.providers.__main__ import start
from lab.providers.aws.provider import AwsProvider
from lab.providers.kubernetes.provider import KubernetesProvider
from tests.providers.api_server import ApiServer
from tests.providers.client import ProviderClient
from tests.providers.cloud import SETTINGS, AwsProcess, Cloud

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


@pytest.fixture(scope="session")
def aws_process() -> Iterator[AwsProcess]:
    """The lab's AWS."""
    process = AwsProcess()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def aws_port(aws_process: AwsProcess) -> Iterator[int]:
    """The aws provider's port; its process finds AWS by the standard variable."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", aws_process.url)
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
            environment.delenv(name, raising=False)
        server, port = start(AwsProvider())
        yield port
        server.stop(None)


@pytest.fixture(scope="session")
def cloud(aws_process: AwsProcess, aws_port: int) -> Iterator[Cloud]:
    """Resources for all tests of one process."""
    with ProviderClient(aws_port, SETTINGS) as client:
        yield Cloud(aws_process, client)
