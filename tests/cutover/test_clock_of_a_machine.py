"""A machine's time of day goes an hour ahead or back, or stands still, while a lease is held: nobody cares.

Real processes hold the lease and want it; what is off is libc's answer to them, and no other clock than the
time of day.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cutover.lease_homes import ROOT, SECONDS, Home, Other
from tests.faults.off_machine import OffMachine

OFF = ("+3600", "-3600", "frozen")
LOOK = "import sys, time; print(time.time() - float(sys.argv[1]))"
WANT = """
import sys
from cutover.errors import LeaseError
from tests.cutover.lease_homes import Home
try:
    with Home(sys.argv[1]).lease() as held:
        print("epoch", held.epoch)
except LeaseError as error:
    print(error)
"""


@pytest.fixture
def machine(tmp_path: Path) -> OffMachine:
    return OffMachine.build(tmp_path)


def wants(home: Home, machine: OffMachine) -> str:
    """What somebody else is told who wants the lease."""
    done = subprocess.run(
        [sys.executable, "-c", WANT, home.text], env=dict(machine.environment()), cwd=ROOT,
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize("off", OFF)
def test_a_holder_keeps_it_whatever_the_time_of_day(home: Home, machine: OffMachine, off: str) -> None:
    holder = Other(home, machine.environment())
    try:
        holder.tell("effect")
        assert holder.line() == "done"
        machine.set_clock(off)
        time.sleep(SECONDS / 3)
        holder.tell("effect")
        assert holder.line() == "done"
        # whoever comes has the same wrong time, and none of his own
        assert "already running" in wants(home, machine)
        machine.set_clock("")
        assert "already running" in wants(home, machine)
        holder.tell("effect")
        assert holder.line() == "done"
    finally:
        holder.end()
    machine.set_clock(off)
    assert wants(home, machine) == "epoch 2\n", "who has ended is followed, whatever the time of day"


def test_the_time_of_day_is_really_off(machine: OffMachine) -> None:
    def seen(off: str) -> float:
        machine.set_clock(off)
        argv = [sys.executable, "-c", LOOK, str(time.time())]
        done = subprocess.run(
            argv, env=dict(machine.environment()), capture_output=True, text=True, check=True, timeout=60
        )
        return float(done.stdout)

    assert seen("+3600") > 3500
    assert seen("-3600") < -3000
