"""A share of the row `journal damage`: `make faults` looks at every byte."""

from __future__ import annotations

from pathlib import Path

from tests.faults.journal_damage import cut, flipped, of_tomorrow, written


def test_a_torn_tail_is_repaired(tmp_path: Path) -> None:
    content = written(tmp_path / "journal.jsonl")
    last = content[:-1].rfind(b"\n") + 1
    sizes = range(last, len(content), 17)
    assert [cut(tmp_path / "journal.jsonl", content[:size]) for size in sizes] == [""] * len(sizes)


def test_a_wrong_bit_is_seen(tmp_path: Path) -> None:
    content = written(tmp_path / "journal.jsonl")
    places = range(0, len(content), 37)
    assert [flipped(tmp_path / "journal.jsonl", content, at) for at in places] == [""] * len(places)


def test_a_later_version_is_left_alone(tmp_path: Path) -> None:
    content = written(tmp_path / "journal.jsonl")
    last = content[:-1].rfind(b"\n") + 1
    assert of_tomorrow(tmp_path / "journal.jsonl", content[:last]) == ""
