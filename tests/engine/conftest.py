"""A workshop for each test: a backend, a home and a cloud of its own, and the engine as `pulumi` on PATH."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.engine.launcher import write_launcher
from tests.engine.cloud import Cloud, running
from tests.engine.workshop import PASSPHRASE, Workshop


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """A running cloud."""
    with running(Cloud()) as found:
        yield found


@pytest.fixture
def workshop(tmp_path: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """A workshop with the environment that the engine needs."""
    found = Workshop(tmp_path, cloud)
    found.project.mkdir()
    found.backend.mkdir()
    (found.project / "Pulumi.yaml").write_text("name: shop\nruntime: python\n", encoding="utf-8")
    launcher = write_launcher(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{launcher.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PULUMI_BACKEND_URL", found.backend.as_uri())
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE)
    monkeypatch.setenv("PULUMI_DEBUG_PROVIDERS", f"cloud:{cloud.port}")
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)
    monkeypatch.delenv("PULUMI_STACK", raising=False)
    return found
