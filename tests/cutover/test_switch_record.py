"""The record of a switch, on disks that fail."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cutover.database_move.switching import serving
from cutover.errors import StepError
from cutover.switching import SwitchRecord
from cutover.switching.record import Stage


def last_stage(path: Path) -> str:
    found = SwitchRecord.last(path)
    assert found is not None
    return str(found["stage"])


def test_half_a_line_is_cut_off_before_the_next_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "switch.jsonl"
    record = SwitchRecord(path)
    record.note("arming")
    write = os.write

    def full(file: int, data: bytes) -> int:
        write(file, data[:5])
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StepError, match="cannot be written"):
        record.note("parking")
    monkeypatch.setattr(os, "write", write)

    assert last_stage(path) == "arming"
    record.note("given up")
    record.close()
    assert last_stage(path) == "given up"


def test_a_line_that_a_dead_runner_left_unfinished_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "switch.jsonl"
    path.write_bytes(b'{"stage":"arming"}\n{"stage":"par')

    record = SwitchRecord(path)
    record.note("given up")
    record.close()

    assert path.read_bytes().splitlines()[1:] == [b'{"stage":"given up"}']


@pytest.mark.parametrize(
    ("forth", "back", "side"),
    [
        ("arming", None, "source"),
        ("given up", None, "source"),
        ("parking", None, None),
        ("done", "arming", "target"),
        ("done", "fencing", None),
    ],
)
def test_while_it_is_armed_the_old_database_serves(
    tmp_path: Path, forth: Stage, back: Stage | None, side: str | None
) -> None:
    for name, stage in (("switch", forth), ("switch-back", back)):
        if stage is not None:
            record = SwitchRecord(tmp_path / f"{name}.jsonl")
            record.note(stage)
            record.close()

    assert serving(tmp_path) == side
