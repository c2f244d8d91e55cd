"""A lab that stays: what its people are asked for, and which plans it is for."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from lab import standing
from lab.clouds.workstation import Workstation
from lab.rhoam.api import ApiError
from lab.scene import Desk


@dataclass
class Place:
    """Stands for a workspace instance and for the desk there: programs run where the test runs."""

    folder: Path

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def project(self) -> Path:
        return self.folder / "project"

    def environment(self) -> Mapping[str, str]:
        return {"GREETING": "it's ours"}

    def inside(self, argv: list[str]) -> list[str]:
        return ["env", *argv]

    def cutover_argv(self) -> list[str]:
        return ["echo", "cutover"]


@contextmanager
def served(
    folder: Path, monkeypatch: pytest.MonkeyPatch, deeds: Mapping[str, Callable[[], None]]
) -> Iterator[Place]:
    place = Place(folder)
    place.bin.mkdir()
    place.project.mkdir()
    for name in ("_PAGE", "_OPERATOR"):
        monkeypatch.setattr(standing, name, folder / name)
    ending = threading.Event()
    serving = threading.Thread(
        target=standing._serve, args=(cast(Workstation, place), cast(Desk, place), deeds, ending)
    )
    serving.start()
    try:
        while not (folder / "_OPERATOR").exists():
            assert serving.is_alive()
        yield place
    finally:
        ending.set()
        serving.join()


def run(*argv: str | Path) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


def test_what_people_are_asked_for_is_done_and_what_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def publish() -> None:
        asked.append("publish")
        if len(asked) < 2:
            raise ApiError("status 404: no such tenant")

    with served(tmp_path, monkeypatch, {"fill": lambda: asked.append("fill"), "publish": publish}) as place:
        assert run(place.bin / "publish") == "it did not work: status 404: no such tenant\n"
        assert run(place.bin / "publish") == "done\n"
        assert run(place.bin / "fill") == "done\n"
        assert asked == ["publish", "publish", "fill"]
        assert run(place.bin / "cutover", "status") == "cutover status\n"
        there = run(tmp_path / "_OPERATOR", "bash", "-c", "echo $GREETING; pwd")
        assert there == f"it's ours\n{place.project}\n"


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"PLAN": "of.my:own"}, "PLAN=of.my:own: a lab that stays is for boss-corestone or rhoam"),
        ({"PLAN": "rhoam", "WATCH": "8765"}, "PLAN=rhoam: it has no WITHOUT, SWITCH or WATCH"),
    ],
)
def test_a_lab_that_there_is_not_is_refused_before_anything_starts(
    variables: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert standing.up() == 1
    assert says in capsys.readouterr().err
