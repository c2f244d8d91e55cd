"""How setup runs a command and what it says when one does not work."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.setup import SetupError, progress
from lab.setup.install import parse_go_version


def step(folder: Path) -> progress.Step:
    return progress.Step("doing it", "1 min", folder / "logs" / "it.log", "Mend it.")


def test_a_command_that_takes_too_long_is_ended_and_named(tmp_path: Path) -> None:
    with (
        pytest.raises(SetupError, match=r"`sleep 60` took more than 0 s") as error,
        step(tmp_path) as running,
    ):
        running.run(["sleep", "60"], timeout=0.2)
    assert str(tmp_path / "logs" / "it.log") in str(error.value)
    assert "Mend it." in str(error.value)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no-such-program"), step(tmp_path) as running:
        running.run(["no-such-program"], timeout=5)


def test_it_tells_now_and_then_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_BEAT_SECONDS", 0.0)
    with step(tmp_path) as running:
        running.run(["sh", "-c", "echo compiling this; sleep 0.5"], timeout=20)
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("setup: doing it (usually 1 min; log: ")
    assert any(line.endswith("of usually 1 min: compiling this") for line in said)
    assert said[-1].startswith("setup: doing it: done in ")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (61, "1 min 01 s"), (600, "10 min 00 s")]
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert progress.spell(seconds) == text


@pytest.mark.parametrize(
    ("text", "version"),
    [("go1.26.3\n", (1, 26, 3)), ("go1.27", (1, 27, 0)), ("go1.26.0-rc1", (1, 26, 0)), ("devel", None)],
)
def test_versions_of_go(text: str, version: tuple[int, ...] | None) -> None:
    assert parse_go_version(text) == version
