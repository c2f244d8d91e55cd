"""The journal's promises where it is a file: durable, repaired at its end, refused where it was damaged.

What holds wherever it is kept is in test_journal_homes.py.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from cutover.errors import JournalError
from cutover.journal import Journal, read_journal
from tests.cutover.world import FakeClock


def write(path: Path, count: int = 3) -> bytes:
    journal = Journal(path, 1, FakeClock())
    for number in range(count):
        journal.append("intent", {"step": f"step-{number}", "note": "ü"})
    journal.close()
    return path.read_bytes()


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "journal"
    before = os.umask(0)
    try:
        write(path)
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_tail_torn_at_any_byte_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    content = write(path)
    last = content.rindex(b"\n", 0, -1) + 1
    for end in range(last + 1, len(content)):
        path.write_bytes(content[:end])
        assert read_journal(path).torn == end - last
        journal = Journal(path, 2, FakeClock())
        journal.append("intent", {"step": "after"})
        journal.close()
        kinds = [(record.kind, record.epoch) for record in read_journal(path).records]
        assert kinds == [("intent", 1), ("intent", 1), ("repaired", 2), ("intent", 2)], end


def test_a_tail_of_zeros_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    content = write(path)
    path.write_bytes(content + b"\0" * 512)

    Journal(path, 2, FakeClock()).close()

    assert [record.kind for record in read_journal(path).records] == ["intent"] * 3 + ["repaired"]


def test_reading_repairs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    content = write(path)[:-5]
    path.write_bytes(content)

    assert len(read_journal(path).records) == 2
    assert path.read_bytes() == content


def test_a_bit_flipped_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    content = write(path)
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(bytes(flipped))
        with pytest.raises(JournalError, match=r"damaged|version"):
            read_journal(path)
        assert path.read_bytes() == bytes(flipped)


def test_a_failing_fsync_ends_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal"
    journal = Journal(path, 1, FakeClock())
    journal.append("intent", {"step": "a"})

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(JournalError, match="could not be made durable"):
        journal.append("intent", {"step": "b"})
    monkeypatch.undo()
    with pytest.raises(JournalError, match="takes no more records"):
        journal.append("intent", {"step": "c"})
    journal.close()
    assert [record.data["step"] for record in read_journal(path).records] == ["a"]


def test_a_full_disk_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal"
    journal = Journal(path, 1, FakeClock())
    journal.append("intent", {"step": "a"})
    write_all = os.write
    room = [10]

    def write_some(file: int, line: bytes) -> int:
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_all(file, line[: room.pop()])

    monkeypatch.setattr(os, "write", write_some)
    with pytest.raises(JournalError, match="No space left"):
        journal.append("intent", {"step": "b"})
    monkeypatch.undo()
    journal.close()
    contents = read_journal(path)
    assert (len(contents.records), contents.torn) == (1, 0)


def test_a_line_is_one_json_object(tmp_path: Path) -> None:
    lines = write(tmp_path / "journal").splitlines()

    assert [json.loads(line)["n"] for line in lines] == [0, 1, 2]
