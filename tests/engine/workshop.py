"""What tests of the engine work with: a project, a backend, programs, and the engine's state."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi import automation

from tests.engine.cloud import Cloud

PASSPHRASE = "a phrase that passes"


class Thing(pulumi.CustomResource):
    """A thing of the tests' cloud."""

    address: pulumi.Output[str]
    size: pulumi.Output[int]
    value: pulumi.Output[Any]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None, **inputs: Any) -> None:
        given = {"address": None, "size": None, "value": None, **inputs}
        super().__init__("cloud:index:Thing", name, given, opts)


class Provider(pulumi.ProviderResource):
    """An explicit provider of the tests' cloud."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None, **inputs: Any) -> None:
        super().__init__("cloud", name, inputs, opts)


@dataclass
class Workshop:
    """Where a test works."""

    folder: Path
    cloud: Cloud

    @property
    def project(self) -> Path:
        """The project's folder."""
        return self.folder / "project"

    @property
    def backend(self) -> Path:
        """The backend's folder."""
        return self.folder / "backend"

    def stack(self, program: Callable[[], Any], name: str = "dev") -> automation.Stack:
        """A stack with an inline program."""
        options = automation.LocalWorkspaceOptions(work_dir=str(self.project))
        return automation.create_or_select_stack(name, project_name="shop", program=program, opts=options)

    def local(self, text: str, name: str = "dev") -> automation.Stack:
        """A stack with a local program of this text."""
        (self.project / "__main__.py").write_text(text, encoding="utf-8")
        return automation.create_or_select_stack(name, work_dir=str(self.project))

    def state(self, name: str = "dev") -> str:
        """The text of a stack's state."""
        return (self.backend / ".pulumi/stacks/shop" / f"{name}.json").read_text(encoding="utf-8")

    def resources(self, name: str = "dev") -> dict[str, dict[str, Any]]:
        """The resources of a stack's state, by name."""
        found = json.loads(self.state(name))["checkpoint"]["latest"].get("resources", [])
        return {item["urn"].rsplit("::", 1)[-1]: item for item in found}

    def run(self, *words: str, code: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Runs a command at a shell."""
        done = subprocess.run(
            ["pulumi", *words],
            cwd=self.project,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done
