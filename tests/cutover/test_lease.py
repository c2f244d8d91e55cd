"""One runner at a time, with a growing epoch; a killed one's children are ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cutover.clock import SystemClock
from cutover.errors import LeaseError
from cutover.lease import LocalLease, is_held

ROOT = Path(__file__).parents[2]
HOLD = """
import subprocess, sys, time
from pathlib import Path
from cutover.clock import SystemClock
from cutover.lease import LocalLease
with LocalLease(Path(sys.argv[1]), SystemClock()):
    child = subprocess.Popen(["sleep", "300"], stdout=subprocess.DEVNULL, start_new_session=True)
    print(child.pid, flush=True)
    time.sleep(300)
"""


def lease(path: Path, last_epoch: int = 0) -> LocalLease:
    return LocalLease(path, SystemClock(), last_epoch)


def hold(path: Path) -> tuple[subprocess.Popen[str], int]:
    """Another process that holds the lease and has a child."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert holder.stdout is not None
    return holder, int(holder.stdout.readline())


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_the_epoch_grows_with_each_holder(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    epochs = []
    for _ in range(3):
        with lease(path) as held:
            epochs.append(held.epoch)

    assert epochs == [1, 2, 3]


def test_the_epoch_never_falls_behind_the_journal(tmp_path: Path) -> None:
    with lease(tmp_path / "lease", last_epoch=7) as held:
        assert held.epoch == 8


def test_a_second_runner_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    with (
        lease(path),
        pytest.raises(LeaseError, match=f"process {os.getpid()} on .* since"),
        lease(path),
    ):
        pytest.fail("two hold the lease")
    assert not is_held(path)


def test_a_stopped_holder_still_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    holder, child = hold(path)
    try:
        holder.send_signal(signal.SIGSTOP)
        assert is_held(path)
        with pytest.raises(LeaseError, match=f"process {holder.pid}"), lease(path):
            pytest.fail("two hold the lease")
        assert alive(child)
    finally:
        holder.kill()
        holder.communicate()
        os.kill(child, signal.SIGKILL)


def test_a_killed_holders_children_are_ended_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    holder, child = hold(path)
    holder.kill()
    holder.communicate()
    assert alive(child)

    with lease(path) as held:
        assert held.epoch == 2
        assert not alive(child)


def test_asking_whether_it_is_held_takes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    assert not is_held(path)
    with lease(path):
        assert is_held(path)
        assert is_held(path)
    assert not is_held(path)


def test_a_damaged_lease_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    path.write_text("{]")

    with pytest.raises(LeaseError, match="damaged"), lease(path):
        pytest.fail("a damaged lease was taken")
    assert not is_held(path), "it was given back"


def test_its_epoch_is_known_only_while_it_is_held(tmp_path: Path) -> None:
    with lease(tmp_path / "lease") as held:
        pass
    with pytest.raises(LeaseError, match="not held"):
        _ = held.epoch
