"""A folder of our own for dumps on their way: nobody else reads it, and nothing of it stays."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cutover.context import Context
from cutover.errors import StepError

FOLDER = Path(".cutover", "transfer")


@contextmanager
def work_folder(context: Context, name: str) -> Iterator[Path]:
    """An empty folder, where what a killed runner has left of it is cleared away first. Raises StepError."""
    path = Path(context.project, FOLDER, re.sub(r"[^A-Za-z0-9.-]+", "-", name))
    try:
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True, mode=0o700)
    except OSError as error:
        raise StepError(f"the folder {path} for a dump cannot be made: {error}") from error
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
