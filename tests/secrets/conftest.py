"""A world in memory and its command line, as the cutover's own tests have them."""

from __future__ import annotations

import pytest

from tests.cutover.conftest import cutover, environment, plan, project, settings, world  # noqa: F401
from tests.secrets.canaries import Canaries


@pytest.fixture
def canaries() -> Canaries:
    """None yet."""
    return Canaries()
