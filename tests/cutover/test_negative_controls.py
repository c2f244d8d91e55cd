"""Plans with a protection taken away, for rehearsals that have to fail."""

from __future__ import annotations

from unittest import mock

import pytest

from cutover.plan import check_plan
from cutover.plans import build_plan
from lab.options import Options
from lab.without import PARTS
from lab.world import LabError
from stacks.settings import Environment
from tests.cutover.conftest import filled_settings


@pytest.mark.parametrize("part", PARTS)
def test_each_is_the_plan_itself_and_differs_in_what_a_step_does(part: str) -> None:
    environment = Environment.model_validate(filled_settings(replication=True))
    whole = build_plan("boss-corestone", environment)
    try:
        plan = build_plan(f"lab.without:{part}", environment)
    finally:
        mock.patch.stopall()

    assert check_plan(plan) == ()
    assert plan.hash == whole.hash


def test_a_rehearsal_is_told_which_part_it_goes_without() -> None:
    assert Options.read({"WITHOUT": "gate"}).plan_name == "lab.without:gate"
    assert Options.read({}).plan_name == "boss-corestone"
    with pytest.raises(LabError, match="WITHOUT=brakes: expected nothing, gate"):
        Options.read({"WITHOUT": "brakes"})
    with pytest.raises(LabError, match="add THEN=rollback"):
        Options.read({"WITHOUT": "reverse"})
