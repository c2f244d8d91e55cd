"""Real controllers: a schedule that is handed over runs once, also what was missed while it was suspended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.setup.fakes import run_in_world

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("schedules")
    return json.loads(run_in_world("tests.cutover.lab.schedules_and_callers", folder))


def test_a_schedule_runs_once_whichever_side_runs_it(seen: Any) -> None:
    found = seen["schedules"]
    source, target = found["there"]["settlement"]

    assert found["at_once"] == [], "what the source has run is not run again when the target is resumed"
    assert source
    assert target
    assert min(target) > max(source)
    assert max(source) == found["ran_last"]["billing-guance-intl/settlement"]


def test_without_the_time_of_the_last_run_it_runs_twice(seen: Any) -> None:
    """The negative control: a schedule that is merely resumed repeats what was run elsewhere."""
    source, target = seen["schedules"]["there"]["careless"]

    assert set(source) & set(target)


def test_the_way_back_runs_nothing_twice_either(seen: Any) -> None:
    source, target = seen["schedules"]["back"]

    assert not set(source) & set(target)
    assert seen["schedules"]["suspended"] == {"source": False, "target": True}
    assert seen["schedules"]["observed"] == "not done"


def test_an_autoscaler_rests_and_is_as_before(seen: Any) -> None:
    found = seen["autoscalers"]

    assert found["frozen"] == {"scaleUp": "Disabled", "scaleDown": "Disabled"}
    assert found["observed"] == "done"
    assert found["after"] == found["before"]


def test_callers_are_found_through_the_real_api(seen: Any) -> None:
    assert seen["callers"] == [
        [
            "source",
            "source/ops-tools/exporter",
            "in-cluster",
            "ConfigMap told, BOSS",
            "webportal.billing-guance-intl.svc.cluster.local",
        ]
    ]
