"""Writes a `pulumi` executable that runs this engine."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def write_launcher(folder: Path) -> Path:
    """Writes `folder`/pulumi, to be found by a PATH that starts with `folder`, and returns its path.

    It runs with the Python of the calling process and with the repository's root on PYTHONPATH. Programs that
    the engine starts do not see that PYTHONPATH entry.
    """
    root = Path(__file__).resolve().parents[2]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pulumi"
    path.write_text(
        "#!/bin/sh\n"
        f"PYTHONPATH={shlex.quote(str(root))}${{PYTHONPATH:+:$PYTHONPATH}}\n"
        "export PYTHONPATH\n"
        f'exec {shlex.quote(sys.executable)} -P -m lab.engine "$@"\n',
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path
