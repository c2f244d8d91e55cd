"""What a dump of MySQL looks like when it is whole, and what is taken out of it before it is loaded."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutover.errors import StepError
from cutover.transfer.mysql_dump import refuse_cut_short, without_definers

WHOLE = b"-- MySQL dump 10.13\nCREATE TABLE `a` (`id` int);\n-- Dump completed on 2026-01-01  0:00:00\n"


def load(line: bytes) -> bytes:
    return b"".join(without_definers(iter([line])))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            b"/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`%`*/ /*!50003 TRIGGER t BEFORE INSERT ON a\n",
            b"/*!50003 CREATE*/ /*!50017*/ /*!50003 TRIGGER t BEFORE INSERT ON a\n",
        ),
        (b"CREATE DEFINER=`a``b`@`10.0.0.%` PROCEDURE p()\n", b"CREATE PROCEDURE p()\n"),
        (b"/*!50013 DEFINER=`root`@`%` SQL SECURITY DEFINER */\n", b"/*!50013 SQL SECURITY DEFINER */\n"),
        (b"/*M!999999\\- enable the sandbox mode */ \n", b""),
        (
            b"INSERT INTO a VALUES ('DEFINER=`root`@`%`');\n",
            b"INSERT INTO a VALUES ('DEFINER=`root`@`%`');\n",
        ),
    ],
)
def test_definers_go_and_rows_stay(line: bytes, expected: bytes) -> None:
    assert load(line) == expected


@given(st.binary())
def test_a_row_is_never_changed(value: bytes) -> None:
    line = b"INSERT INTO a VALUES ('" + value.replace(b"\n", b"\\n") + b"');\n"
    assert load(line) == line


def test_a_whole_dump_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a.sql.gz").write_bytes(gzip.compress(WHOLE))
    refuse_cut_short(tmp_path)
    (tmp_path / "a.sql.gz").unlink()
    (tmp_path / "a.sql").write_bytes(WHOLE)
    refuse_cut_short(tmp_path)


@given(st.integers(1, len(WHOLE) - 1))
def test_a_dump_that_ends_anywhere_before_its_end_is_refused(length: int) -> None:
    import tempfile  # noqa: PLC0415

    if b"-- Dump completed" in WHOLE[:length]:
        return
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.sql").write_bytes(WHOLE[:length])
        with pytest.raises(StepError, match="is cut short"):
            refuse_cut_short(Path(folder))


@given(st.integers(0, len(gzip.compress(WHOLE)) - 1))
def test_a_compressed_dump_that_ends_anywhere_before_its_end_is_refused(length: int) -> None:
    import tempfile  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.sql.gz").write_bytes(gzip.compress(WHOLE)[:length])
        with pytest.raises(StepError, match="cut short"):
            refuse_cut_short(Path(folder))


def test_mydumpers_dump_is_whole_once_it_says_so(tmp_path: Path) -> None:
    metadata = tmp_path / "metadata"
    metadata.write_text("Started dump at: 2026-01-01 00:00:00\nFinished dump at: 2026-01-01 00:00:01\n")
    refuse_cut_short(tmp_path)
    metadata.write_text("Started dump at: 2026-01-01 00:00:00\n")
    with pytest.raises(StepError, match="does not say when it finished"):
        refuse_cut_short(tmp_path)
    metadata.rename(tmp_path / "metadata.partial")
    with pytest.raises(StepError, match="no whole dump of MySQL"):
        refuse_cut_short(tmp_path)
