"""The images of 3scale's stand-in and of the operators, for the node agent's images file."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from lab.services.images import REPOSITORY, TRUSTED
from lab.setup import Tools

REGISTRY = "registry.example"
_BUNDLE = "/usr/local/bin/bundle"
_MYSQL = "/usr/local/bin/start-mysql"


def images(authorities: str, tools: Tools, repository: Path = REPOSITORY) -> dict[str, Mapping[str, object]]:
    """Images by name without a tag. `authorities`: PEM of those that they trust."""
    environment = {"PYTHONPATH": str(repository), "PYTHONUNBUFFERED": "1", "SSL_CERT_FILE": TRUSTED}
    trusted = {TRUSTED: authorities}

    def image(*words: str, **files: str) -> Mapping[str, object]:
        return {"entrypoint": (sys.executable, *words), "env": environment, "files": {**trusted, **files}}

    stand_in = ("-m", "lab.rhoam.threescale")
    bundle = f'#!/bin/sh\nexec {sys.executable} -m lab.rhoam.threescale bundle "$@"\n'
    amp = f"{REGISTRY}/3scale-amp2"
    return {
        f"{amp}/system": image(*stand_in, **{_BUNDLE: bundle}),
        **{f"{amp}/{name}": image(*stand_in) for name in ("backend", "zync", "apicast")},
        f"{amp}/idle": {"cmd": ("sh",), "applets": True},
        f"{amp}/redis": {"entrypoint": (str(tools.redis_server), "--protected-mode", "no", "--save", "")},
        f"{amp}/mysql": {"entrypoint": ("sh", _MYSQL), "files": {_MYSQL: _mysql(tools)}},
        f"{amp}/3scale-operator": image("-m", "lab.rhoam.operators.threescale"),
        f"{REGISTRY}/integreatly/rhmi-operator": image("-m", "lab.rhoam.operators.rhoam"),
        f"{REGISTRY}/rhsso/operator": image("-m", "lab.rhoam.operators.sso"),
        "postgres": _with_path(tools.pg_dump.parent),
    }


def _with_path(*folders: Path) -> Mapping[str, object]:
    """An image with a shell, curl, and PostgreSQL's own clients."""
    path = ":".join([*map(str, folders), "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"])
    return {"cmd": ("sh",), "env": {"PATH": path}}


def _mysql(tools: Tools) -> str:
    """A MariaDB that begins empty, with the user that the pod's environment names."""
    data = "/var/lib/mysql-of-pod"
    install = _words(tools.mariadb_install_db, "--no-defaults", "--user=root", "--skip-test-db")
    return f"""#!/bin/sh
set -eu
mkdir -p {data} /var/lib/mysql-files
{install} --auth-root-authentication-method=normal --datadir={data} >/dev/null
cat >/var/lib/mysql-files/init.sql <<SQL
CREATE DATABASE IF NOT EXISTS system CHARACTER SET utf8mb4;
CREATE OR REPLACE USER '$MYSQL_USER'@'%' IDENTIFIED BY '$MYSQL_PASSWORD';
GRANT ALL ON system.* TO '$MYSQL_USER'@'%';
SQL
exec {tools.mariadbd} --no-defaults --user=root --datadir={data} --bind-address=0.0.0.0 \\
    --socket=/var/lib/mysql-files/socket --init-file=/var/lib/mysql-files/init.sql \\
    --tmpdir=/var/lib/mysql-files --innodb-buffer-pool-size=16M --performance-schema=OFF
"""


def _words(*words: object) -> str:
    return " ".join(map(str, words))
