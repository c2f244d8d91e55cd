"""What this machine lacks for a lab: `look` gathers facts, `decide` judges them. Neither changes anything."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.setup.programs import find_program

OLDEST_PYTHON = (3, 11)
_COMMAND_TIMEOUT_SECONDS = 20
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_GIB = 1024**3
NEEDED_SPACE_GIB = 8
"""For the Go build's own cache, the modules and all that is kept."""

PACKAGES = {
    "etcd-server": ("etcd",),
    "mariadb-server": ("mariadbd", "mariadb-install-db"),
    "mariadb-client": ("mariadb",),
    "postgresql": ("postgres", "initdb"),
    "postgresql-client": ("psql", "pg_dump", "pg_restore"),
    "pgloader": ("pgloader",),
    "mydumper": ("mydumper", "myloader"),
    "redis-server": ("redis-server",),
    "redis-tools": ("redis-cli",),
    "nginx-light": ("nginx",),
    "libnginx-mod-http-lua": ("ngx_http_lua_module.so",),
    "haproxy": ("haproxy",),
    "nftables": ("nft",),
    "conntrack": ("conntrack",),
    "iproute2": ("ip",),
    "procps": ("sysctl",),
    "busybox": ("busybox",),
    "util-linux": ("unshare", "nsenter", "setpriv"),
    "mount": ("mount",),
    "chromium": ("chromium",),
    "spin": ("spin",),
    "g++": ("g++", "gcc"),
}
"""Debian packages and the programs for which they are needed: a program that is there needs no package."""

_NGINX_MODULES = (Path("/usr/lib/nginx/modules"), Path("/usr/share/nginx/modules"))


@dataclass(frozen=True)
class Facts:
    """What there is on a machine, as far as setup cares."""

    python: tuple[int, int]
    system: str
    has_apt: bool
    is_root: bool
    sudo: str  # "works", "refuses" or "absent"
    namespaces: bool  # whether root may make them; taken as true where we are not root
    missing_programs: frozenset[str]
    venv: bool
    python_is_debians: bool
    certificates: bool
    free_bytes: int


@dataclass(frozen=True)
class Verdict:
    """`packages` are to be installed; with any of `problems` setup cannot go on."""

    packages: tuple[str, ...]
    problems: tuple[str, ...]


def decide(facts: Facts, *, builds: bool) -> Verdict:
    """What has to be installed, and what stands in the way; `builds` is whether Go programs must be built."""
    problems = []
    packages = [
        package for package, programs in PACKAGES.items() if not facts.missing_programs.isdisjoint(programs)
    ]
    if not facts.certificates:
        packages.append("ca-certificates")
    version = ".".join(map(str, facts.python))
    if facts.python < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        problems.append(
            f"Python {wanted} or newer: this is {version}. "
            f"Install one, and name it: make PYTHON3=python{wanted} …"
        )
    elif not facts.venv and facts.python_is_debians:
        packages.append(f"python{version}-venv")
    elif not facts.venv:
        problems.append(f"Python's modules venv and ensurepip: {sys.executable} has none of its own")
    if packages and not facts.has_apt:
        problems.append(
            f"the Debian packages {', '.join(packages)}, or what gives the same programs: "
            f"setup installs on Debian and Ubuntu alone, and this is {facts.system}"
        )
    if not facts.is_root and facts.sudo == "absent":
        problems.append("root, or sudo: a lab makes network namespaces")
    elif not facts.is_root and facts.sudo == "refuses":
        problems.append("root, or sudo that works here: it asks for a password, and there is no terminal")
    if not facts.namespaces:
        problems.append(
            "the right to make network, mount and process namespaces: root has none of it here "
            "(a container needs CAP_SYS_ADMIN and CAP_NET_ADMIN)"
        )
    if builds and facts.free_bytes < NEEDED_SPACE_GIB * _GIB:
        problems.append(
            f"{NEEDED_SPACE_GIB} GiB of disk space for the cache: {facts.free_bytes / _GIB:.1f} GiB are free "
            "(LANDFALL_CACHE names another folder)"
        )
    return Verdict(tuple(packages), tuple(problems))


def look(cache_folder: Path) -> Facts:
    """The facts of this machine."""
    is_root = os.geteuid() == 0
    needed = [program for programs in PACKAGES.values() for program in programs]
    return Facts(
        python=(sys.version_info[0], sys.version_info[1]),
        system=_system(Path("/etc/os-release")),
        has_apt=find_program("apt-get") is not None,
        is_root=is_root,
        sudo="works" if is_root else _sudo(),
        namespaces=not is_root or _succeeds(["unshare", "--net", "--mount", "--pid", "--fork", "true"]),
        missing_programs=frozenset(program for program in needed if not _is_there(program)),
        venv=all(importlib.util.find_spec(module) is not None for module in ("venv", "ensurepip")),
        python_is_debians=Path(sys.executable).resolve().parent == Path("/usr/bin"),
        certificates=_CERTIFICATES.exists(),
        free_bytes=shutil.disk_usage(_existing(cache_folder)).free,
    )


def _is_there(program: str) -> bool:
    if program.endswith(".so"):
        return any((folder / program).exists() for folder in _NGINX_MODULES)
    return find_program(program) is not None


def _system(os_release: Path) -> str:
    lines = os_release.read_text().splitlines() if os_release.exists() else []
    for line in lines:
        if line.startswith("PRETTY_NAME="):
            return line.split("=", 1)[1].strip('"')
    return sys.platform


def _sudo() -> str:
    if find_program("sudo") is None:
        return "absent"
    if sys.stdin.isatty() or _succeeds(["sudo", "-n", "true"]):
        return "works"
    return "refuses"


def _succeeds(argv: Sequence[str]) -> bool:
    try:
        result = subprocess.run(argv, capture_output=True, check=False, timeout=_COMMAND_TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0


def _existing(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.exists())
