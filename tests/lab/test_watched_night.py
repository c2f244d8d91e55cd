"""The page in a browser, on a cutover of the lab: followed, approved, rolled back. Pictures: out/pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.setup.fakes import run_in_world

STOPPED = 7


@pytest.mark.lab
def test_a_cutover_is_followed_approved_and_rolled_back_on_the_page(folder: Path) -> None:
    seen = json.loads(run_in_world("tests.lab.watched_night", folder, seconds=1500))

    assert seen["refused"] == {
        "no token": 403,
        "a wrong token": 403,
        "events without a token": 403,
        "a forged Host": 421,
        "a forged Origin": 403,
        "no CSRF token": 403,
    }
    assert seen["let in"] == 200
    assert seen["serious"] == []
    assert seen["requests on the target"] > 0
    assert seen["code of the runner that was stopped"] == STOPPED
    assert seen["differences"] == []
    assert seen["samples"] > 0
