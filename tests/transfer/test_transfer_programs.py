"""Programs that work for long: their time limit, their end with us, their words, and their secrets."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import IO

import pytest

from cutover.errors import InterruptedRunError, StepError, StepTimeoutError
from cutover.mysql import Server, option_file
from cutover.transfer.programs import program, run
from tests.transfer.transfer_world import make_world

SERVER = Server("the old one", "db", 3306, "land fall", 'can"ary\\', ca="/ca.pem")


def test_data_goes_in_and_out(tmp_path: Path) -> None:
    got: list[bytes] = []

    def feed(stream: IO[bytes]) -> None:
        stream.write(b"x" * 1_000_000)

    def take(stream: IO[bytes]) -> None:
        got.append(stream.read())

    context = make_world(tmp_path).context
    said = run(context, ["sh", "-c", "cat; echo said >&2"], "copying", feed=feed, take=take)
    assert got == [b"x" * 1_000_000]
    assert said == "said"


def test_a_program_that_fails_is_told_by_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(StepError, match=r"the dump failed \(sh ended with 7\): no space"):
        run(make_world(tmp_path).context, ["sh", "-c", "echo no space >&2; exit 7"], "the dump")


def test_a_program_that_ends_before_it_has_read_everything_is_told(tmp_path: Path) -> None:
    def feed(stream: IO[bytes]) -> None:
        while True:
            stream.write(b"x" * 65536)

    with pytest.raises(StepError, match="ended before it had read its input"):
        run(make_world(tmp_path).context, ["true"], "the load", feed=feed)


def test_input_that_cannot_be_made_ends_the_program(tmp_path: Path) -> None:
    def feed(stream: IO[bytes]) -> None:
        raise StepError("the file is cut short")

    with pytest.raises(StepError, match=r"the file is cut short|the load failed"):
        run(make_world(tmp_path).context, ["sleep", "60"], "the load", feed=feed)


@pytest.mark.parametrize("stopped", [False, True], ids=["time limit", "stopped by the operator"])
def test_whoever_stops_waiting_ends_the_program_and_its_children(tmp_path: Path, stopped: bool) -> None:
    context = make_world(tmp_path).context
    pids = tmp_path / "pids"
    script = f"sleep 60 & echo $! $$ > {pids}; wait"

    def progress() -> str:
        return "at work"

    if stopped:
        context.stopping = pids.exists
    error = InterruptedRunError if stopped else StepTimeoutError
    with pytest.raises(error), context.limit(60 if stopped else 1, "the step"):
        run(context, ["sh", "-c", script], "the dump", progress=progress)
    for pid in pids.read_text().split():
        for _ in range(100):
            state = Path("/proc", pid, "stat")
            if not state.exists() or state.read_text().split()[2] == "Z":
                break
            time.sleep(0.05)
        else:
            pytest.fail(f"process {pid} still runs")


def test_a_secret_of_the_environment_reaches_the_program_and_not_its_arguments(tmp_path: Path) -> None:
    script = 'tr "\\0" " " </proc/$$/cmdline; echo; echo $SECRET'
    said = run(
        make_world(tmp_path).context, ["sh", "-c", script], "looking", environment={"SECRET": "canary"}
    )
    assert said.splitlines()[-1] == "canary"
    assert "canary" not in said.splitlines()[0]
    assert "SECRET" not in os.environ


def test_the_file_of_options_is_ours_alone_and_goes_away() -> None:
    with option_file(SERVER, "client", "mydumper") as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        text = path.read_text()
        assert text.count('password = "can\\"ary\\\\"') == 2
        assert "[mydumper]" in text
        assert "ssl-verify-server-cert" in text
    assert not path.exists()


def test_a_program_that_is_absent_says_what_brings_it() -> None:
    with pytest.raises(StepError, match="no-such-program is not installed here: install a-package"):
        program("no-such-program", package="a-package")
