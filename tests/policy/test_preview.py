"""`pulumi preview --policy-pack policy` of the real program: on the lab's engine, against the lab's AWS."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.engine.launcher import write_launcher
from tests.policy.programs import write_settings
from tests.unit.recording import PROJECT


@dataclass
class Clone:
    """A copy of the project, with a backend of its own and the lab's AWS."""

    folder: Path
    env: dict[str, str]

    def pulumi(self, *words: str, code: int = 0) -> str:
        """Runs a command; what it said."""
        done = subprocess.run(
            ["pulumi", *words],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        return said

    def change(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Changes the environment's settings."""
        file = self.folder / "Pulumi.prod.yaml"
        document = yaml.safe_load(file.read_text())
        change(document["config"]["landfall:environment"])
        file.write_text(yaml.safe_dump(document, sort_keys=False))


@pytest.fixture(scope="module")
def services() -> Iterator[dict[str, str]]:
    """AWS and the providers, and the variables by which they are found."""
    with (
        _started("lab.aws", "--port", "0") as aws,
        _started("lab.providers", AWS_ENDPOINT_URL=aws.line) as providers,
    ):
        yield {"AWS_ENDPOINT_URL": aws.line, "PULUMI_DEBUG_PROVIDERS": providers.line}


class _started:  # noqa: N801 - reads as a word at its use
    """A module that runs until the end of the block; `line` is what it says once it is ready."""

    def __init__(self, module: str, *words: str, **env: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *words],
            cwd=PROJECT,
            env={**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", **env},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.line = ""

    def __enter__(self) -> _started:
        assert self._process.stdout is not None
        self.line = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture
def clone(tmp_path: Path, services: dict[str, str]) -> Clone:
    """A copy of the project, with the stack `prod`."""
    folder = tmp_path / "project"
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("stacks", "components", "policy"):
        shutil.copytree(PROJECT / name, folder / name, ignore=ignored)
    for name in ("__main__.py", "Pulumi.yaml"):
        shutil.copy2(PROJECT / name, folder / name)
    write_settings(folder)
    for name in ("backend", "home"):
        (tmp_path / name).mkdir()
    launcher = write_launcher(tmp_path / "bin")
    env = {
        **os.environ,
        **services,
        "PATH": f"{launcher.parent}{os.pathsep}{os.environ['PATH']}",
        "PULUMI_BACKEND_URL": (tmp_path / "backend").as_uri(),
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_CONFIG_PASSPHRASE": "a phrase that passes",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "PYTHONWARNINGS": "ignore",
    }
    for name in ("PULUMI_STACK", "PULUMI_CONFIG_PASSPHRASE_FILE", "AWS_PROFILE", "PYTHONPATH"):
        env.pop(name, None)
    found = Clone(folder, env)
    found.pulumi("stack", "init", "prod")
    return found


def test_the_pack_lets_the_landing_zone_through_and_not_what_somebody_makes_of_it(clone: Clone) -> None:
    # What depends on the day is tested elsewhere.
    (clone.folder / "levels.json").write_text('{"EKS.2": "advisory"}')
    pack = ("--policy-pack", "policy", "--policy-pack-config", "levels.json", "--stack", "prod")

    def forever(settings: dict[str, Any]) -> None:
        for exception in settings["exceptions"]:
            exception["until"] = "9999-12-31"

    clone.change(forever)
    said = clone.pulumi("preview", *pack)
    assert "[mandatory]" not in said
    assert "SecretsManager.1 does not hold for prod-cache until" in said
    assert "EKS.3 of prod: encryptionConfig.provider.keyArn is not known yet" in said

    def open_it(settings: dict[str, Any]) -> None:
        settings["cluster"]["public_access_cidrs"] = ["198.51.100.0/24"]
        settings["protected"] = False
        settings["exceptions"] = []

    clone.change(open_it)
    said = clone.pulumi("preview", *pack, code=255)
    assert "[mandatory] EKS.1 of aws:eks/cluster:Cluster prod (landfall 0.1.0)" in said
    assert "vpcConfig.endpointPublicAccess is true; expected false" in said
    assert "[mandatory] RDS.8 of aws:rds/instance:Instance prod-database" in said
    assert "[mandatory] SecretsManager.1-stack of aws:secretsmanager/secret:Secret prod-cache" in said
    assert "error: preview failed: mandatory policies are violated" in said

    said = clone.pulumi("up", "--yes", "--skip-preview", *pack, code=255)
    assert "error: update failed: mandatory policies are violated" in said
    made = clone.pulumi("stack", "export", "--stack", "prod")
    assert "aws:eks/cluster:Cluster" not in made, "what violates a policy is not made"
