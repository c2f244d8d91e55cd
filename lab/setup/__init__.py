"""Finds the programs of a lab; `python3 -m lab.setup` installs or builds those that are missing.

Only the standard library is used here: setup runs before there is anything else.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from lab.setup import cache, go_tools
from lab.setup.errors import SetupError
from lab.setup.programs import find_program

__all__ = ["SetupError", "Tools", "find_program", "find_pulumi", "find_tools"]


@dataclass(frozen=True)
class Tools:
    """Absolute paths of the programs of a lab."""

    kube_apiserver: Path
    kube_controller_manager: Path
    kube_proxy: Path
    kubectl: Path
    velero: Path
    velero_plugin_for_aws: Path
    etcd: Path
    mariadbd: Path
    mariadb_install_db: Path
    mariadb: Path
    mariadb_upgrade: Path
    postgres: Path
    initdb: Path
    psql: Path
    pg_dump: Path
    pgloader: Path
    mydumper: Path
    redis_server: Path
    redis_cli: Path
    nginx: Path
    haproxy: Path
    nft: Path
    conntrack: Path
    busybox: Path


_OWN_NAMES = {"pg_dump": "pg_dump"}
_NAMES = {field.name: _OWN_NAMES.get(field.name, field.name.replace("_", "-")) for field in fields(Tools)}


def find_tools() -> Tools:
    """The lab's programs. Raises SetupError naming all that are missing, and what brings them."""
    built = {
        name: path for tools in go_tools.ALL for name, path in go_tools.find(tools, cache.folder()).items()
    }
    paths = {field: built[name] if name in built else find_program(name) for field, name in _NAMES.items()}
    found = {field: path for field, path in paths.items() if path is not None}
    if len(found) < len(paths):
        missing = ", ".join(name for field, name in _NAMES.items() if field not in found)
        raise SetupError(
            f"the lab lacks {missing}; `python3 -m lab.setup` in the project's folder brings them"
        )
    return Tools(**found)


def find_pulumi() -> Path | None:
    """The official pulumi: the one on PATH, else the one that setup could get."""
    own = go_tools.pulumi_folder(cache.folder()) / "pulumi"
    return find_program("pulumi") or (own if own.exists() else None)
