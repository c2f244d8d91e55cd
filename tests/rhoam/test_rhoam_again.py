"""Part of the way back, and ahead again: what an earlier attempt left is known as its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from cutover.history import BACK
from cutover.plan import Plan
from tests.rhoam.rhoam_world import RhoamWorld
from tests.rhoam.test_rhoam_whole import drive, go


@pytest.mark.parametrize(
    ("there", "back"),
    [
        pytest.param("serve", "restore", id="the default tenant's token is no reverted Secret"),
        pytest.param("leave", "connect", id="the migration cluster's routes are its own again"),
        pytest.param("update", "connect", id="3scale is already of the version that it is updated to"),
    ],
)
def test_it_goes_back_a_part_and_ahead_to_its_end(
    world: RhoamWorld, plan: Plan, tmp_path: Path, there: str, back: str
) -> None:
    path = tmp_path / "journal.jsonl"
    assert go(world, plan, path, until=there).outcome == f"reached {there}"

    assert drive(world, plan, path, BACK, back).outcome == f"rolled back to {back}"

    assert drive(world, plan, path).outcome == "succeeded"
