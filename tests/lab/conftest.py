"""What the tests with a whole lab share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: what lies in it may name a socket, whose path may have 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="lab-") as made:
        yield Path(made)
