"""What a plan moves, as the settings of its environment say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass(frozen=True)
class Moved:
    """Domains by name, the serving Deployments as (namespace, name), and every namespace touched."""

    domains: tuple[str, ...]
    workloads: tuple[tuple[str, str], ...]
    namespaces: tuple[str, ...]

    @classmethod
    def read(cls, settings_file: Path) -> Moved:
        """From `Pulumi.<environment>.yaml`."""
        settings = yaml.safe_load(settings_file.read_text())["config"]["landfall:environment"]
        workloads = tuple((item["namespace"], item["name"]) for item in settings["workloads"])
        shared = [item["namespace"] for item in settings.get("shared_workloads", [])]
        namespaces = dict.fromkeys([*(namespace for namespace, _ in workloads), *shared])
        return cls(tuple(domain["name"] for domain in settings["domains"]), workloads, tuple(namespaces))
