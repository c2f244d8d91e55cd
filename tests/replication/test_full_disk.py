"""The target's disk is full: its replication stands still, and nobody but the switch notices."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cutover.switching import GivenUpError
from lab.bench_switch import fate
from lab.replication.switch_world import LIMITS, SwitchWorld

pytestmark = pytest.mark.lab
DISK_BYTES = 300 << 20
LEFT_BYTES = 256 << 10
RATE, SHARE = 150.0, 0.5
SHORT = replace(LIMITS, drain=1.0)
CAUGHT_UP_SECONDS = 120.0  # a server that waits for space looks for it once a minute


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SwitchWorld]:
    """The target's data lies on a disk of its own, which is small."""
    disk = tmp_path / "target"
    disk.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", disk], check=True, timeout=10
    )
    try:
        with SwitchWorld(tmp_path) as found:
            yield found
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True, timeout=10)


def test_a_full_disk_on_the_target_gives_the_traffic_back_and_costs_no_write(world: SwitchWorld) -> None:
    filler = world.folder / "target" / "filler"
    clients = world.clients(RATE, SHARE)
    time.sleep(1.0)
    with world.gates() as gates, world.switch(world.way(gates, "source"), limits=SHORT) as prepared:
        prepared.arm()
        fill(filler)
        grow(world)
        began = time.monotonic()
        with pytest.raises(GivenUpError) as told:
            prepared.run()
        waited = time.monotonic() - began
    assert "has not applied" in str(told.value)
    assert waited < SHORT.total
    time.sleep(0.5)
    found = fate(clients.stop(), world.written("source"))
    assert found["writes_acknowledged"] > 20
    assert not (found["failed"] or found["writes_lost"] or found["writes_duplicated"]), found

    filler.unlink()
    with world.target.session(None) as session:
        session.execute("START SLAVE")
    world.forward().wait_applied(world.forward().position(), CAUGHT_UP_SECONDS)
    clients = world.clients(RATE, SHARE)
    time.sleep(1.0)
    with world.gates() as gates, world.switch(world.way(gates, "source")) as prepared:
        prepared.arm()
        prepared.run()
    time.sleep(0.5)
    found = fate(clients.stop(), world.written("target"))
    assert not (found["failed"] or found["writes_lost"] or found["writes_duplicated"]), found
    assert set(world.written("source")) <= set(world.written("target"))


def fill(filler: Path) -> None:
    """Leaves `LEFT_BYTES` of the disk."""
    left = os.statvfs(filler.parent)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, left.f_bavail * left.f_frsize - LEFT_BYTES)


def grow(world: SwitchWorld) -> None:
    """Writes more on the source than the target has room for."""
    with world.source.session() as session:
        session.execute("CREATE TABLE ballast (id INT PRIMARY KEY, data LONGBLOB)")
        for number in range(8):
            session.execute("INSERT INTO ballast VALUES (%s, REPEAT('x', %s))", (number, 1 << 20))
