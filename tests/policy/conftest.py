"""One day for all tests: controls and exceptions depend on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from policy.controls import eks
from tests.policy.programs import DAY


@pytest.fixture(autouse=True, scope="session")
def _one_day() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(eks, "today", lambda: DAY)
        yield
