"""Finds installed programs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

# Debian keeps servers, and Go's own archive keeps go, where a user's PATH does not look
_SYSTEM_FOLDERS = (
    "/usr/local/go/bin",
    "/usr/local/sbin",
    "/usr/sbin",
    "/sbin",
    "/usr/local/bin",
    "/usr/bin",
    "/bin",
)
_POSTGRESQL = Path("/usr/lib/postgresql")


def find_program(name: str) -> Path | None:
    """The absolute path of an installed program, system folders included; None if there is none."""
    # Debian keeps each version's server of PostgreSQL apart; the newest comes first
    versions = sorted(_POSTGRESQL.glob("*/bin"), key=lambda folder: folder.parent.name.zfill(4), reverse=True)
    folders = [
        *os.environ.get("PATH", os.defpath).split(os.pathsep),
        *_SYSTEM_FOLDERS,
        *(str(folder) for folder in versions),
    ]
    path = shutil.which(name, path=os.pathsep.join(folders))
    return Path(path).absolute() if path else None
