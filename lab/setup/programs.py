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


def find_program(name: str) -> Path | None:
    """The absolute path of an installed program, system folders included; None if there is none."""
    folders = [*os.environ.get("PATH", os.defpath).split(os.pathsep), *_SYSTEM_FOLDERS]
    path = shutil.which(name, path=os.pathsep.join(folders))
    return Path(path).absolute() if path else None
