"""What the lab's own images run, for the node agent's images file."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

REGISTRY = "registry.example"
REPOSITORY = Path(__file__).resolve().parents[2]


def images(python: str = sys.executable, repository: Path = REPOSITORY) -> dict[str, Mapping[str, object]]:
    """Images by name without a tag, with `entrypoint` and `env`; the node agent itself has public ones."""
    return {f"{REGISTRY}/boss": _python_module("lab.services.boss", python, repository)}


def _python_module(module: str, python: str, repository: Path) -> Mapping[str, object]:
    entrypoint: Sequence[str] = [python, "-m", module]
    environment = {"PYTHONPATH": str(repository), "PYTHONUNBUFFERED": "1"}
    return {"entrypoint": entrypoint, "env": environment}
