"""Finds the programs of a lab; `python3 -m lab.setup` installs or builds those that are missing.

Only the standard library is used here: setup runs before there is anything else.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.setup import cache, go_tools

# Debian keeps servers where a user's PATH does not look
_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")


class SetupError(Exception):
    """Something that setup needs is missing or failed; the message says what, where, and what to do."""


@dataclass(frozen=True)
class Tools:
    """Absolute paths of the programs of a lab."""

    kube_apiserver: Path
    kube_controller_manager: Path
    kube_proxy: Path
    kubectl: Path
    etcd: Path
    mariadbd: Path
    mariadb_install_db: Path
    mariadb: Path
    redis_server: Path
    redis_cli: Path
    nginx: Path
    haproxy: Path
    nft: Path
    conntrack: Path
    busybox: Path


_GO_PROGRAMS = {
    "kube_apiserver": "kube-apiserver",
    "kube_controller_manager": "kube-controller-manager",
    "kube_proxy": "kube-proxy",
    "kubectl": "kubectl",
}
_SYSTEM_PROGRAMS = {
    "etcd": "etcd",
    "mariadbd": "mariadbd",
    "mariadb_install_db": "mariadb-install-db",
    "mariadb": "mariadb",
    "redis_server": "redis-server",
    "redis_cli": "redis-cli",
    "nginx": "nginx",
    "haproxy": "haproxy",
    "nft": "nft",
    "conntrack": "conntrack",
    "busybox": "busybox",
}


def find_tools() -> Tools:
    """The lab's programs. Raises SetupError naming all that are missing, and what brings them."""
    cache_folder = cache.folder()
    found: dict[str, Path] = {}
    missing: list[str] = []
    for field, name in _GO_PROGRAMS.items():
        path = go_tools.program(go_tools.KUBERNETES, name, cache_folder)
        if os.access(path, os.X_OK):
            found[field] = path
        else:
            missing.append(f"{name} (expected at {path})")
    for field, name in _SYSTEM_PROGRAMS.items():
        system = find_program(name)
        if system:
            found[field] = system
        else:
            missing.append(name)
    if missing:
        raise SetupError(
            "the lab lacks " + ", ".join(missing) + "; run `python3 -m lab.setup` in the project's folder"
        )
    return Tools(**found)


def find_program(name: str) -> Path | None:
    """The absolute path of an installed program, system folders included; None if there is none."""
    folders = [*os.environ.get("PATH", os.defpath).split(os.pathsep), *_SYSTEM_FOLDERS]
    path = shutil.which(name, path=os.pathsep.join(folders))
    return Path(path).absolute() if path else None
